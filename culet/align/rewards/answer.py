"""What a reward takes and gives: text in, one number per answer out.

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
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the rest of the prompt's line in its file


Reward = Callable[[Sequence[Answer]], Float[np.ndarray, "B"]]
"""One number per answer, greater for better ones. No answer's number may depend on the other answers."""


def rewards_of(reward: Reward, answers: Sequence[Answer], name: str = "the reward") -> Float[np.ndarray, "B"]:
    """The rewards of answers, as float32.

    Raises ValueError where the reward does not give one number for each answer, and ArithmeticError where
    one is not finite; both say which reward and which answer.
    """
    values = np.asarray(reward(answers))
    if values.shape != (len(answers),) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} gave {values.dtype}{list(values.shape)} for {len(answers)} answers; "
            "it must give one number for each"
        )
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ArithmeticError(f"{name} is {values[first]} for the answer {_brief(answers[first].text)}")
    return values.astype(np.float32)


def _brief(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
