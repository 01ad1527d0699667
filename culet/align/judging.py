"""From tokens to text and from text to rewards.

Axis letters: B prompts, K completions of each, R = B K rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from culet.align.prompts import PromptRow, PromptSet
from culet.align.rewards.answer import Answer, Reward, rewards_of
from culet.align.rewards.preference import Preference, probabilities_of
from culet.align.rollout import Rollout, sample
from culet.lm import Decoder
from culet.lm.sampling import Sampling

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer


def answers_of(rollout: Rollout, rows: Sequence[PromptRow], tokenizer: "Tokenizer") -> list[Answer]:
    """The completions of a rollout [R, ...] as text, without what ended them; `rows` has one entry for each."""
    tokens, lengths, finished = jax.device_get((rollout.completions, rollout.lengths, rollout.finished))
    answers = []
    for row, ids, length, ended in zip(rows, tokens, lengths.tolist(), finished.tolist(), strict=True):
        text = tokenizer.decode(ids[: length - ended].tolist())
        answers.append(Answer(prompt=row.text, text=text, tokens=length, finished=ended, columns=row.columns))
    return answers


def completions(
    policy: Decoder, prompts: PromptSet, numbers: Int[np.ndarray, "B"], times: int, new_tokens: int,
    key: Key[Array, ""], *, temperature: float = 1.0,
) -> list[Answer]:  # fmt: skip
    """What a policy writes to these prompts of a set, `times` answers to each, one after the other."""
    rollout = sampled(policy, prompts, numbers, times, new_tokens, key, temperature=temperature)
    return answers_of(
        rollout, [prompts.rows[number] for number in np.repeat(numbers, times).tolist()], prompts.tokenizer
    )


def sampled(
    policy: Decoder, prompts: PromptSet, numbers: Sequence[int] | np.ndarray, times: int, new_tokens: int,
    key: Key[Array, ""], *, temperature: float = 1.0,
) -> Rollout:  # fmt: skip
    """The same as tokens, with their log-probabilities; the temperature 0 takes the likeliest token each time."""
    tokenizer = prompts.tokenizer
    return sample(
        policy, prompts.repeated(numbers, times), Sampling(temperature, vocabulary=tokenizer.vocabulary),
        jnp.asarray(tokenizer.stop_ids, jnp.int32), new_tokens, key,
    )  # fmt: skip


def judged(reward: Reward, answers: Sequence[Answer], completions: int) -> Float[np.ndarray, "B K"]:
    """Rewards, prompt by prompt. Errors are those of `rewards_of`."""
    return rewards_of(reward, answers).reshape(-1, completions)


def compared(compare: Preference, answers: Sequence[Answer]) -> Float[np.ndarray, "B 2"]:
    """What a judge makes of two answers to each prompt: the probability of each being the better one.

    Errors are those of `probabilities_of`.
    """
    first = probabilities_of(compare, answers[::2], answers[1::2])
    return np.stack([first, 1 - first], axis=1)
