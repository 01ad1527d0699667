"""Reading users' own text and conversations: `.txt` and `.jsonl` files, either gzipped, or folders of them."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from culet.lm.corpus import Document

_ENDINGS = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")


def read_documents(paths: Iterable[str | Path]) -> Iterator[Document]:
    """The documents in these files and folders (searched in depth, in the order of their names).

    A `.txt` file is one document; each line of a `.jsonl` file is one, an object with the text in its field "text".
    A document's title is its path, with the line behind a colon. Empty documents are left out, carriage returns too.

    Raises, before or while documents are given, `FileNotFoundError` for a path that does not exist or a folder with no
    such file, and `ValueError` naming file and line for another kind of file, for text that is not UTF-8, for a line
    that is no such object, and if all that is there is empty.
    """
    files = _find(paths)
    empty = True
    for file in files:
        if file.name.endswith((".txt", ".txt.gz")):
            texts: Iterable[tuple[str, str]] = [(str(file), _text(_read(file), str(file)))]
        else:
            texts = ((where, _field(data, "text", where)) for where, data in _objects(file))
        for title, text in texts:
            if text.strip():
                empty = False
                yield Document(title, text)
    if empty:
        raise ValueError(f"{', '.join(map(str, files))}: no text in there; a corpus needs at least one document")


def read_conversations(paths: Iterable[str | Path]) -> Iterator[list[dict[str, str]]]:
    """The conversations in these `.jsonl` files and folders, as messages with "role" and "content".

    A line is an object with "messages", or with "prompt" and "completion", which become a user's and an assistant's
    message. The order of roles is for `culet.lm.chat` to judge.

    Raises as `read_documents` does.
    """
    files = _find(paths)
    empty = True
    for file in files:
        if file.name.endswith((".txt", ".txt.gz")):
            raise ValueError(f"{file}: conversations are read from .jsonl files, one object on a line")
        for where, data in _objects(file):
            empty = False
            yield _messages(data, where)
    if empty:
        raise ValueError(f"{', '.join(map(str, files))}: no conversation in there")


def _find(paths: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.name.endswith(_ENDINGS) and file.is_file())
            if not inside:
                raise FileNotFoundError(f"{path}: this folder holds no file that ends in {', '.join(_ENDINGS)}")
            found += inside
        elif not path.is_file():
            raise FileNotFoundError(f"{path}: no such file or folder")
        elif not path.name.endswith(_ENDINGS):
            raise ValueError(f"{path}: not a kind of file that is read; those end in {', '.join(_ENDINGS)}")
        else:
            found.append(path)
    if not found:
        raise ValueError("no files were given")
    return found


def _read(file: Path) -> bytes:
    raw = file.read_bytes()
    if file.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as problem:
        raise ValueError(f"{file}: not a whole gzip file ({problem})") from None


def _text(raw: bytes, where: str) -> str:
    try:
        text = raw.decode("utf-8-sig")  # some editors put a byte order mark in front
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ValueError(f"{where}: line {line} is not UTF-8 ({problem.reason}); convert the file first") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a `.jsonl` file, each with its file and line for messages; blank lines are skipped."""
    for number, line in enumerate(_text(_read(file), str(file)).split("\n"), start=1):
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


def _field(data: dict[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        kind = f"is a {type(value).__name__}" if name in data else "is missing"
        raise ValueError(f'{where}: the field "{name}" must be text, and it {kind}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f'{where}: the field "{name}" is not valid Unicode (a lone surrogate)') from None
    return value


def _messages(data: dict[str, Any], where: str) -> list[dict[str, str]]:
    messages = data.get("messages")
    if messages is None and {"prompt", "completion"} <= data.keys():
        return [
            {"role": "user", "content": _field(data, "prompt", where)},
            {"role": "assistant", "content": _field(data, "completion", where)},
        ]
    if not isinstance(messages, list) or not messages:
        raise ValueError(f'{where}: needs "messages", a list with something in it, or "prompt" and "completion"')
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"{where}: message {number} must be an object with role and content")
    return [
        {name: _field(message, name, f"{where}: message {number}") for name in ("role", "content")}
        for number, message in enumerate(messages)
    ]
