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
from jaxtyping import Float, Int

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
    """Prompts of one width, with as many completions each, and their batches by step.

    Batches are a function of seed and step: epoch after epoch in a new order, none dropped (`culet.core.Batches`).
    """

    def __init__(
        self, rows: Sequence[PromptRow], tokenizer: "Tokenizer", *, new_tokens: int, batch_size: int, seed: int = 0,
        end_id: int | None = None,
    ):  # fmt: skip
        """Raises ValueError for no rows, an empty prompt or completion, and rows with different numbers of those.

        A completion longer than `new_tokens`, with its end, is an error too. The end of a text is `end_id`, by default
        the tokenizer's EOS; tokens are taken as they are, with their end if they have one.
        """
        if not rows:
            raise ValueError("there are no prompts")
        counts = {len(row.completions) for row in rows}
        if len(counts) > 1:
            raise ValueError(f"prompts have {sorted(counts)} completions; all must have as many")
        self.rows, self.tokenizer, self.completions = list(rows), tokenizer, counts.pop()
        self.prompts = as_prompts([row.tokens for row in rows])
        self.teacher_ids = np.array([_lesson(row.columns, number) for number, row in enumerate(rows)], np.int32)
        self.tokens, self.mask = self._encoded(new_tokens, tokenizer.eos_id if end_id is None else end_id)
        self.batches = Batches({"row": np.arange(len(rows))}, batch_size, seed)

    def _encoded(self, new_tokens: int, end_id: int) -> tuple[Int[np.ndarray, "N K T"], Float[np.ndarray, "N K T"]]:
        tokens = np.zeros((len(self.rows), self.completions, new_tokens), np.int32)
        mask = np.zeros(tokens.shape, np.float32)
        for number, row in enumerate(self.rows):
            for place, given in enumerate(row.completions):
                text = isinstance(given, str)
                ids = [*self.tokenizer.encode(given, bos=False, special=False), end_id] if text else list(given)
                if len(ids) < 1 + text:
                    raise ValueError(f"completion {place} of prompt {number} is empty")
                if len(ids) > new_tokens:
                    raise ValueError(
                        f"completion {place} of prompt {number} has {len(ids)} tokens with its end; "
                        f"new tokens are limited to {new_tokens}"
                    )
                tokens[number, place, : len(ids)], mask[number, place, : len(ids)] = ids, 1
        return tokens, mask

    def __getitem__(self, step: int) -> Int[np.ndarray, "B"]:
        """The numbers of the prompts of a step."""
        return self.batches[step]["row"]

    def reordered(self, seed: int) -> "PromptSet":
        """The same prompts in the order of another seed."""
        other = copy.copy(self)
        other.batches = Batches(self.batches.rows, self.batches.batch_size, seed)
        return other

    def first(self, count: int) -> "PromptSet":
        """The first `count` prompts alone, as wide as all of them, so that what is compiled for one set serves both.

        Raises ValueError if there are fewer.
        """
        if not 1 <= count <= len(self.rows):
            raise ValueError(f"the first {count} prompts were asked for, and there are {len(self.rows)}")
        other = copy.copy(self)
        other.rows, other.teacher_ids = self.rows[:count], self.teacher_ids[:count]
        other.prompts = Prompts(self.prompts.tokens[:count], self.prompts.padding[:count])
        other.tokens, other.mask = self.tokens[:count], self.mask[:count]
        other.batches = Batches({"row": np.arange(count)}, self.batches.batch_size, self.batches.seed)
        return other

    def repeated(self, numbers: Sequence[int] | np.ndarray, times: int) -> Prompts:
        """These prompts, each as many times, one after the other."""
        each = np.repeat(np.asarray(numbers), times)
        return Prompts(self.prompts.tokens[each], self.prompts.padding[each])

    def data(self, numbers: Sequence[int] | np.ndarray, times: int) -> Rollout:
        """The data's completions of these prompts as a rollout that nobody drew, [B times, ...].

        Raises ValueError if the data has fewer than `times` for a prompt.
        """
        if self.completions < times:
            raise ValueError(
                f"this method learns from {times} completion{'s' * (times > 1)} of each prompt, "
                f"and the data has {self.completions or 'none'}"
            )
        numbers = np.asarray(numbers)
        tokens, mask = (part[numbers, :times].reshape(-1, part.shape[-1]) for part in (self.tokens, self.mask))
        silent, finished = np.zeros(mask.shape, np.float32), np.ones(len(mask), bool)
        return Rollout(self.repeated(numbers, times), *jax.device_put((tokens, mask, finished, silent, silent)))


def _lesson(columns: Mapping[str, Any], number: int) -> int:
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
