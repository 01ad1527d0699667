"""Users' text files, gzipped or not: finding them, reading text and JSON lines, errors that name file and line."""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HELD_OUT_FRACTION = 0.05


@dataclass(frozen=True)
class Document:
    """A titled text."""

    title: str
    text: str

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training: for 1 title in 20, by a hash that is the same everywhere and always."""
        return hash_fraction("document " + self.title) < HELD_OUT_FRACTION


def find_files(paths: Iterable[str | Path], endings: Sequence[str]) -> list[Path]:
    """The files among `paths`, and those in folders (searched in depth, in the order of their names) with such endings.

    Raises `FileNotFoundError` for a path that does not exist or a folder with no such file, and `ValueError` for a file
    of another kind and for no paths at all.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.name.endswith(tuple(endings)) and file.is_file())
            if not inside:
                raise FileNotFoundError(f"{path}: this folder holds no file that ends in {', '.join(endings)}")
            files += inside
        elif not path.is_file():
            raise FileNotFoundError(f"{path}: no such file or folder")
        elif not path.name.endswith(tuple(endings)):
            raise ValueError(f"{path}: not a kind of file that is read; those end in {', '.join(endings)}")
        else:
            files.append(path)
    if not files:
        raise ValueError("no files were given")
    return files


def data_file(*parts: str) -> Path:
    """A file in the folder of public data sets that the environment variable CULET_DATA names.

    Raises `FileNotFoundError`, saying what is missing, where there is none.
    """
    folder = os.environ.get("CULET_DATA")
    if not folder:
        raise FileNotFoundError(f"set CULET_DATA to a folder that holds {'/'.join(parts)}")
    file = Path(folder, *parts)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file in the folder that CULET_DATA names")
    return file


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, unzipped if its name ends in `.gz`, with plain line feeds.

    Raises `ValueError` for a broken gzip file, and naming the line for text that is not UTF-8.
    """
    raw = file.read_bytes()
    if file.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as problem:
            raise ValueError(f"{file}: not a whole gzip file ({problem})") from None
    try:
        text = raw.decode("utf-8-sig")  # some editors put a byte order mark in front
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ValueError(f"{file}: line {line} is not UTF-8 ({problem.reason}); convert the file first") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a `.jsonl` file, each with its file and line for messages; blank lines are skipped.

    Raises `ValueError` for a line that is not one JSON object, and as `read_text` does.
    """
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise ValueError(f"{where}: not valid JSON ({str(problem)[:120]})") from None
        if not isinstance(data, dict):
            raise ValueError(f"{where}: each line must hold one JSON object, this one holds a {type(data).__name__}")
        yield where, data


def text_field(data: dict[str, Any], name: str, where: str) -> str:
    """The text under `name` in an object. Raises `ValueError`, saying `where`, if it is missing or is no text."""
    value = data.get(name)
    if not isinstance(value, str):
        kind = f"is a {type(value).__name__}" if name in data else "is missing"
        raise ValueError(f'{where}: the field "{name}" must be text, and it {kind}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f'{where}: the field "{name}" is not valid Unicode (a lone surrogate)') from None
    return value


def hash_fraction(text: str) -> float:
    """A number from 0 to 1 that depends on the text alone and is even over texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
