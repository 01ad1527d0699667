"""From tokens to text and from text to rewards.

Axis letters: B prompts, K completions of each, R = B K rows.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Float

from culet.align.prompts import PromptRow
from culet.align.rewards.answer import Answer, Reward, rewards_of
from culet.align.rollout import Rollout

if TYPE_CHECKING:
    from culet.lm.tokenizer import Tokenizer

Compare = Callable[[Sequence[Answer], Sequence[Answer]], Float[np.ndarray, "B"]]
"""The probability that the first answer is the better one, of each pair of answers to one prompt."""


def answers_of(rollout: Rollout, rows: Sequence[PromptRow], tokenizer: "Tokenizer") -> list[Answer]:
    """The completions of a rollout [R, ...] as text, without what ended them; `rows` has one entry for each."""
    tokens, lengths, finished = jax.device_get((rollout.completions, rollout.lengths, rollout.finished))
    answers = []
    for row, ids, length, ended in zip(rows, tokens, lengths.tolist(), finished.tolist(), strict=True):
        text = tokenizer.decode(ids[: length - ended].tolist())
        answers.append(Answer(prompt=row.text, text=text, tokens=length, finished=ended, columns=row.columns))
    return answers


def judged(reward: Reward, answers: Sequence[Answer], completions: int) -> Float[np.ndarray, "B K"]:
    """Rewards, prompt by prompt. Errors are those of `rewards_of`."""
    return rewards_of(reward, answers).reshape(-1, completions)


def compared(compare: Compare, answers: Sequence[Answer]) -> Float[np.ndarray, "B 2"]:
    """What a judge makes of two answers to each prompt: the probability of each being the better one."""
    firsts, seconds = answers[::2], answers[1::2]
    first = rewards_of(lambda ones: compare(ones, seconds), firsts, "the judge")
    if not ((first >= 0) & (first <= 1)).all():
        raise ValueError("the judge gave numbers that are no probabilities, outside 0 to 1")
    return np.stack([first, 1 - first], axis=1)
