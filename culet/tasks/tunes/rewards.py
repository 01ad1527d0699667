"""Scores of tunes as rewards that `culet.align` learns from.

Axis letters: B answers.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from culet.audio.tunes.tune import Tune, read_tune

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer, Reward


def tune_reward(score: Callable[[Tune], float], *, least: float = 0.0) -> "Reward":
    """The score of the tune that prompt and answer make; what is no tune gets the `least`."""

    def reward(answers: Sequence["Answer"]) -> Float[np.ndarray, "B"]:
        tunes = map(answered_tune, answers)
        return np.array([least if tune is None else score(tune) for tune in tunes])

    return reward


def answered_tune(answer: "Answer") -> Tune | None:
    """The tune that prompt and answer make, or None if they make none."""
    try:
        return read_tune(answer.prompt + answer.text)
    except ValueError:
        return None
