"""Reading users' own text and conversations: `.txt` and `.jsonl` files, either gzipped, or folders of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from culet.core.text import Document, find_files, read_objects, read_text, text_field

_ENDINGS = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")


def read_documents(paths: Iterable[str | Path]) -> Iterator[Document]:
    """The documents in these files and folders (searched in depth, in the order of their names).

    A `.txt` file is one document; each line of a `.jsonl` file is one, an object with the text in its field "text".
    A document's title is its path, with the line behind a colon. Empty documents are left out, carriage returns too.

    Raises, before or while documents are given, `FileNotFoundError` for a path that does not exist or a folder with no
    such file, and `ValueError` naming file and line for another kind of file, for text that is not UTF-8, for a line
    that is no such object, and if all that is there is empty.
    """
    files = find_files(paths, _ENDINGS)
    empty = True
    for file in files:
        if file.name.endswith((".txt", ".txt.gz")):
            texts: Iterable[tuple[str, str]] = [(str(file), read_text(file))]
        else:
            texts = ((where, text_field(data, "text", where)) for where, data in read_objects(file))
        for title, text in texts:
            if text.strip():
                empty = False
                yield Document(title, text)
    if empty:
        raise ValueError(f"{', '.join(map(str, files))}: no text in there; a corpus needs at least one document")


def read_conversations(paths: Iterable[str | Path]) -> Iterator[list[dict[str, str]]]:
    """The conversations in these `.jsonl` files and folders, as messages with "role" and "content".

    A line is an object with "messages", or with "prompt" and "completion", which become a user's and an assistant's
    message. The order of roles is checked when they are encoded (`culet.lm.tokenizers.chat_template`).

    Raises as `read_documents` does.
    """
    files = find_files(paths, _ENDINGS)
    empty = True
    for file in files:
        if file.name.endswith((".txt", ".txt.gz")):
            raise ValueError(f"{file}: conversations are read from .jsonl files, one JSON object in each line")
        for where, data in read_objects(file):
            empty = False
            yield _messages(data, where)
    if empty:
        raise ValueError(f"{', '.join(map(str, files))}: no conversation in there")


def read_prompts(file: str | Path) -> list[str]:
    """The prompts in a `.jsonl` file with a "prompt" in each line, or in a text file with one prompt a line.

    Raises `ValueError`, naming file and line, for what cannot be read so, and for a file with no prompts.
    """
    path = find_files([file], _ENDINGS)[0]
    if ".jsonl" in path.suffixes:
        prompts = [text_field(data, "prompt", where) for where, data in read_objects(path)]
    else:
        prompts = [line for line in read_text(path).splitlines() if line.strip()]
    if not prompts:
        raise ValueError(f"{path}: no prompts in this file")
    return prompts


def _messages(data: dict[str, Any], where: str) -> list[dict[str, str]]:
    messages = data.get("messages")
    if messages is None and {"prompt", "completion"} <= data.keys():
        return [
            {"role": "user", "content": text_field(data, "prompt", where)},
            {"role": "assistant", "content": text_field(data, "completion", where)},
        ]
    if not isinstance(messages, list) or not messages:
        raise ValueError(f'{where}: needs "messages", a list that is not empty, or both "prompt" and "completion"')
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"{where}: message {number} must be an object with role and content")
    return [
        {name: text_field(message, name, f"{where}: message {number}") for name in ("role", "content")}
        for number, message in enumerate(messages)
    ]
