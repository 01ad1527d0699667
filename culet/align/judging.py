"""From tokens to text and from text to rewards.

Axis letters: B prompts, K completions of each, R = B K rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Float

from culet.align.prompts import PromptRow
from culet.align.rewards.answer import Answer, Reward, rewards_of
from culet.align.rewards.preference import Preference, probabilities_of
from culet.align.rollout import Rollout

if TYPE_CHECKING:
    from culet.lm.tokenizer import Tokenizer


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


def compared(compare: Preference, answers: Sequence[Answer]) -> Float[np.ndarray, "B 2"]:
    """What a judge makes of two answers to each prompt: the probability of each being the better one.

    Errors are those of `probabilities_of`.
    """
    first = probabilities_of(compare, answers[::2], answers[1::2])
    return np.stack([first, 1 - first], axis=1)
