"""Prompts as rows: text, tokens, what else their file holds, and completions that the data has for them.

`read_rows` reads users' files of them: JSON lines, Parquet, or text with one prompt a line.

Axis letters: N prompts, B prompts of a batch, P prompt slots, K completions of each, T new tokens.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Int

from culet.align.rollout import Prompts, Rollout, as_prompts
from culet.core import Batches
from culet.core.text import find_files, read_objects, read_text, text_field
from culet.lm.tokenizers.chat_template import encode_many

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", ".txt", ".txt.gz")
PAIR, SINGLE = ("chosen", "rejected"), ("completion",)  # columns that hold completions of the prompt


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptRow:
    """One prompt. Completions are texts, or the very tokens that were written; of a pair the preferred one is first."""

    text: str
    tokens: Sequence[int]
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    completions: Sequence[str | Sequence[int]] = ()


class PromptSet:
    """Prompts of one width, each with the same number of completions, and the tokenizer that they are read by."""

    def __init__(self, rows: Sequence[PromptRow], tokenizer: "Tokenizer", *, end_id: int | None = None):
        """Raises ValueError for no rows, an empty prompt or completion, and rows with different numbers of completions.

        The end of a completion that is text is `end_id`, by default the tokenizer's EOS; tokens are taken as they are,
        with their end if they have one: those without it count as cut off.
        """
        if not rows:
            raise ValueError("there are no prompts")
        counts = {len(row.completions) for row in rows}
        if len(counts) > 1:
            raise ValueError(
                f"prompts have {sorted(counts)} completions; every prompt needs the same number of completions"
            )
        self.rows, self.tokenizer, self.completions = list(rows), tokenizer, counts.pop()
        self.prompts = as_prompts([row.tokens for row in rows])
        self.teacher_ids = np.array([_teacher_id(row.columns, number) for number, row in enumerate(rows)], np.int32)
        end_id = tokenizer.eos_id if end_id is None else end_id
        self.ends = sorted({end_id, *tokenizer.stop_ids})
        self.tokens, self.lengths = self._encoded(end_id)

    def _encoded(self, end_id: int) -> tuple[Int[np.ndarray, "N K T"], Int[np.ndarray, "N K"]]:
        written: list[list[int]] = []
        for number, row in enumerate(self.rows):
            for place, given in enumerate(row.completions):
                text = isinstance(given, str)
                ids = [*self.tokenizer.encode(given, bos=False, special=False), end_id] if text else list(given)
                if len(ids) < 1 + text:
                    raise ValueError(f"completion {place} of prompt {number} is empty")
                written.append(ids)
        lengths = np.array([len(ids) for ids in written], np.int32)
        tokens = np.zeros((len(written), max(lengths, default=0)), np.int32)
        for row, ids in zip(tokens, written, strict=True):
            row[: len(ids)] = ids
        shape = (len(self.rows), self.completions)
        return tokens.reshape(*shape, tokens.shape[1]), lengths.reshape(shape)

    def batches(self, batch_size: int, seed: int) -> Batches:
        """The numbers of the prompts of each step, as `batches(...)[step]["row"]`: all prompts once in each epoch."""
        return Batches({"row": np.arange(len(self.rows))}, batch_size, seed)

    def first(self, count: int) -> "PromptSet":
        """The first `count` prompts alone, as wide as all of them, so that what is compiled for one set serves both.

        Raises ValueError if there are fewer.
        """
        if not 1 <= count <= len(self.rows):
            raise ValueError(f"the first {count} prompts were asked for, and there are {len(self.rows)}")
        other = copy.copy(self)
        other.rows, other.teacher_ids = self.rows[:count], self.teacher_ids[:count]
        other.prompts = Prompts(self.prompts.tokens[:count], self.prompts.padding[:count])
        other.tokens, other.lengths = self.tokens[:count], self.lengths[:count]
        return other

    def repeated(self, numbers: Sequence[int] | np.ndarray, times: int) -> Prompts:
        """These prompts, each as many times, one after the other."""
        each = np.repeat(np.asarray(numbers), times)
        return Prompts(self.prompts.tokens[each], self.prompts.padding[each])

    def data(self, numbers: Sequence[int] | np.ndarray, times: int, new_tokens: int) -> Rollout:
        """The data's first `times` completions of these prompts as a rollout, [B times, new_tokens].

        Raises ValueError if the data has fewer than `times` for a prompt, or a longer one than `new_tokens`, its end
        counted.
        """
        if self.completions < times:
            raise ValueError(
                f"this method learns from {times} completion{'s' * (times > 1)} of each prompt, "
                f"and the data has {self.completions or 'none'}"
            )
        numbers = np.asarray(numbers)
        lengths = self.lengths[numbers, :times]
        if np.any(lengths > new_tokens):
            row, place = np.argwhere(lengths > new_tokens)[0]
            raise ValueError(
                f"completion {place} of prompt {numbers[row]} has {lengths[row, place]} tokens with its end; "
                f"new tokens are limited to {new_tokens}"
            )
        written = self.tokens[numbers, :times, :new_tokens].reshape(lengths.size, -1)
        tokens = np.zeros((lengths.size, new_tokens), np.int32)
        tokens[:, : written.shape[1]] = written
        mask = (np.arange(new_tokens) < lengths.reshape(-1, 1)).astype(np.float32)
        not_drawn = np.zeros(mask.shape, np.float32)
        finished = np.isin(tokens[np.arange(len(tokens)), lengths.ravel() - 1], self.ends)  # else cut off
        return Rollout(self.repeated(numbers, times), *jax.device_put((tokens, mask, finished, not_drawn, not_drawn)))


def _teacher_id(columns: Mapping[str, Any], number: int) -> int:
    teacher = columns.get("teacher", 0)
    if type(teacher) is not int or teacher < 0:
        raise ValueError(f'prompt {number}: the column "teacher" is {teacher!r}; it is a number from 0')
    return teacher


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
        raise ValueError(f"{path}: rows have {sorted(counts)} completions; every prompt needs the same number")
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
            texts = tuple(text_field(dict(data), name, where) for name in names)
            if len(set(texts)) < len(texts):
                raise ValueError(f"{where}: chosen and rejected are the same text; a pair needs two different ones")
            return texts
    return ()
