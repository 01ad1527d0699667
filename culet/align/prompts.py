"""Prompts as rows: text, tokens, what else their file holds, and completions that the data has for them.

Axis letters: N prompts, B prompts of a batch, P prompt slots, K completions of each, T new tokens.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float, Int

from culet.align.rollout import Prompts, Rollout, as_prompts
from culet.core import Batches

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer


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
