"""What a reward judges and what it gives: text in, one number per answer out.

Axis letters: B answers.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """A prompt and what was written after it."""

    prompt: str
    text: str
    tokens: int  # of the text, the stop token among them
    finished: bool = True  # whether a stop token was written; False if the limit on new tokens cut the answer off
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what else the prompt's line in the file held


Reward = Callable[[Sequence[Answer]], Float[np.ndarray, "B"]]
"""One number per answer, greater for better ones. No answer's number may depend on the other answers."""


def rewards_of(reward: Reward, answers: Sequence[Answer], name: str = "the reward") -> Float[np.ndarray, "B"]:
    """What the answers get, as float32.

    Raises ValueError where the reward gives another number of numbers than there are answers, and ArithmeticError where
    one is not finite; both say which reward and which answer.
    """
    found = np.asarray(reward(answers))
    if found.shape != (len(answers),) or found.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} gave {found.dtype}{list(found.shape)} for {len(answers)} answers; it must give one number for each"
        )
    if not np.isfinite(found).all():
        first = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ArithmeticError(f"{name} is {found[first]} for the answer {_brief(answers[first].text)}")
    return found.astype(np.float32)


def _brief(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
