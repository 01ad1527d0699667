"""Users' files of prompts: JSON lines, Parquet, or text with one prompt a line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from culet.align.prompts import PromptRow
from culet.core.text import find_files, read_objects, read_text, text_field
from culet.lm.tokenizers.chat_template import encode_many

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", ".txt", ".txt.gz")
PAIR, SINGLE = ("chosen", "rejected"), ("completion",)  # columns that hold completions of the prompt


def read_rows(
    file: str | Path, tokenizer: "Tokenizer", *, column: str = "prompt", chat: bool = False
) -> list[PromptRow]:
    """The prompts of a file with all that stands beside them, which rewards may look at.

    The prompt is the text under `column`. Columns "chosen" and "rejected", or "completion", are its completions. With
    `chat` the prompt is what a user says, in the tokenizer's own template.

    Raises `FileNotFoundError`, and `ValueError` naming file and line for what cannot be read so, for an empty prompt,
    for a pair of equal completions, for rows of which only some have completions, and for a file without prompts.
    """
    path = find_files([file], ENDINGS)[0]
    texts, rows = [], []
    for where, data in _objects(path, column):
        text = text_field(dict(data), column, where)
        if not text.strip():
            raise ValueError(f"{where}: the prompt is empty")
        texts.append(text)
        rows.append((_completions(data, where), {name: value for name, value in data.items() if name != column}))
    if not texts:
        raise ValueError(f"{path}: no prompts in this file")
    if len(counts := {len(completions) for completions, _ in rows}) > 1:
        raise ValueError(f"{path}: rows have {sorted(counts)} completions; all must have as many")
    return [
        PromptRow(text=text, tokens=ids, columns=columns, completions=completions)
        for text, ids, (completions, columns) in zip(texts, _encoded(texts, tokenizer, chat), rows, strict=True)
    ]


def _encoded(texts: Sequence[str], tokenizer: "Tokenizer", chat: bool) -> list[list[int]]:
    if chat:
        return encode_many([[{"role": "user", "content": text}] for text in texts], tokenizer)
    return [tokenizer.encode(text, special=False) for text in texts]


def _objects(path: Path, column: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif ".jsonl" in path.suffixes:
        yield from read_objects(path)
    else:
        for number, line in enumerate(read_text(path).split("\n"), 1):
            if line.strip():
                yield f"{path}:{number}", {column: line}


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path}: Parquet files need pyarrow; install culet[parquet]") from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as problem:
        raise ValueError(f"{path}: not a readable Parquet file ({str(problem)[:120]})") from None
    for number, row in enumerate(table.to_pylist()):
        yield f"{path}: row {number}", row


def _completions(data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    for names in (PAIR, SINGLE):
        if any(name in data for name in names):
            found = tuple(text_field(dict(data), name, where) for name in names)
            if len(set(found)) < len(found):
                raise ValueError(f"{where}: chosen and rejected are the same text; there is nothing to prefer")
            return found
    return ()
