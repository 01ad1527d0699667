"""JSON from files that may be broken or hostile, and the errors that every file of a checkpoint raises."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_BYTES = 2 * 2**20  # a 27B model's tensor header has 0.1 MB; the worst JSON of 2 MiB takes 0.1 GB to parse


class FileError(ValueError):
    """A file that cannot be used. The message says which file, where in it, what is wrong and what to do."""


class ConfigError(FileError):
    """A `config.json` that is broken, of another family, or asks for what the decoder does not do."""


class TensorError(FileError):
    """A tensor file or index that is missing, truncated or inconsistent, or a tensor that does not fit the model."""


def brief(value: object) -> str:
    """A value as it may stand in an error message: escaped, and cut when it is long."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = ascii(value)
    return text if len(text) <= 120 else text[:117] + "..."


def parse_object(raw: bytes, source: str, error: type[FileError]) -> dict[str, Any]:
    """The JSON object in `raw`. Raises `error`, naming `source`, for anything but one object without repeated keys."""
    repeats: list[list[tuple[str, Any]]] = []
    # A lambda, because it runs once per object and the tests' type checks make each call of a function slow.
    keep = lambda pairs: dict(pairs) if len({k for k, _ in pairs}) == len(pairs) else repeats.append(pairs)  # noqa: E731
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=keep)
    except RecursionError:
        raise error(f"{source}: JSON nested too deeply") from None
    except ValueError as problem:
        raise error(f"{source}: not valid JSON ({str(problem)[:120]})") from None
    if repeats:
        key, _ = Counter(key for key, _ in repeats[0]).most_common(1)[0]
        raise error(f"{source}: key {brief(key)} stands twice in one object")
    if not isinstance(parsed, dict):
        raise error(f"{source}: must hold one JSON object, not {brief(parsed)}")
    return parsed


def read_object(path: Path, error: type[FileError]) -> dict[str, Any]:
    """The JSON object in a file of at most `MOST_BYTES`. Raises `error` if it is missing, too large or broken."""
    if not path.is_file():
        raise error(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from None
    if len(raw) > MOST_BYTES:
        raise error(f"{path}: larger than {MOST_BYTES} bytes, too large for a file of this kind")
    return parse_object(raw, str(path), error)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes one object as indented JSON."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
