"""Which of two answers is better: judges, what they make of the order, and rewards as judges.

Axis letters: B pairs of answers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from culet.align.rewards.answer import Answer, Reward, rewards_of

Preference = Callable[[Sequence[Answer], Sequence[Answer]], Float[np.ndarray, "B"]]
"""The probability that the first answer of each pair is the better one, whatever other pairs are asked with it."""


class PositionBias(NamedTuple):
    """What a judge makes of the order in which two answers are shown. Without bias: 0, 0 and 0.5."""

    pairs: int
    changed: float  # the fraction of pairs whose verdict (first, second or tie) is another one in the other order
    reversed: float  # the fraction of pairs whose winner loses in the other order
    shown_first: float  # the mean probability of whatever answer is shown first, over both orders


class LabellerAgreement(NamedTuple):
    """Fractions of pairs of which a judge says what the labels say, and its bias of position."""

    averaged: float  # over both orders, as RLAIF asks (2309.00267)
    single: float  # in one order, the mean over the two
    bias: PositionBias  # in one order


def probabilities_of(
    preference: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer], name: str = "the judge"
) -> Float[np.ndarray, "B"]:
    """P(firsts[i] is preferred to seconds[i]) of each pair i, as float32.

    Raises ValueError where the two differ in number, or the judge does not give one number for each pair, and
    ArithmeticError where one is no probability; all say which judge.
    """
    if len(firsts) != len(seconds):
        raise ValueError(
            f"{name} was given {len(firsts)} first answers and {len(seconds)} second ones; pairs are needed"
        )
    values = np.asarray(preference(firsts, seconds))
    if values.shape != (len(firsts),) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} gave {values.dtype}{list(values.shape)} for {len(firsts)} pairs; it must give one number for each"
        )
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ArithmeticError(f"{name} gave {values[first]} for pair {first}; it must give a probability, from 0 to 1")
    return values.astype(np.float32)


def both_orders(
    shown: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer], *, tie_margin: float
) -> Float[np.ndarray, "B"]:
    """The mean of what a judge says in one order and in the other, so that the order cannot matter.

    A probability nearer to 0.5 than `tie_margin` is a tie and becomes 0.5; so does, at any margin, what a judge says of
    two equal answers, however it rounds. The averaging is that of RLAIF (2309.00267); ties are ours.
    """
    return _averaged(*_asked(shown, firsts, seconds), firsts, seconds, tie_margin)


def _asked(
    shown: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer]
) -> tuple[Float[np.ndarray, "B"], Float[np.ndarray, "B"]]:
    """P(the answer shown first is better) in the order given and in the other one."""
    return probabilities_of(shown, firsts, seconds), probabilities_of(shown, seconds, firsts)


def _averaged(
    there: Float[np.ndarray, "B"], back: Float[np.ndarray, "B"], firsts: Sequence[Answer], seconds: Sequence[Answer],
    tie_margin: float,
) -> Float[np.ndarray, "B"]:  # fmt: skip
    mean = (1 + there - back) / 2
    equal = np.array([first.text == second.text for first, second in zip(firsts, seconds, strict=True)], bool)
    return np.where(equal | (np.abs(mean - 0.5) < tie_margin), np.float32(0.5), mean)


def preferred_by(reward: Reward, *, temperature: float = 1.0) -> Preference:
    """Prefers what the reward gives more to: sigmoid((first - second) / temperature), the model of Bradley and Terry.

    At temperature 0 the greater reward wins for certain, and equal ones are a tie, 0.5. Raises ValueError for a
    temperature below 0 or not finite; its calls raise as `rewards_of` does.
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature is {temperature}; it must be 0 (the greater reward wins) or positive")

    def preference(firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        rewards = rewards_of(reward, [*firsts, *seconds]).astype(np.float64)
        margins = rewards[: len(firsts)] - rewards[len(firsts) :]
        wins = (1 + np.sign(margins)) / 2 if temperature == 0 else expit(margins / temperature)
        return wins.astype(np.float32)

    return preference


def position_bias(
    preference: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer], *, tie_margin: float = 0.0
) -> PositionBias:
    """Asks about each pair in both orders and compares.

    Given the `shown` of a judge this measures the judge as it is; given the judge itself, what averaging leaves.
    Nearer to 0.5 than `tie_margin`, or 0.5 itself, is a tie. Raises ValueError for no pairs, and as `probabilities_of`
    does.
    """
    if not firsts:
        raise ValueError("there are no pairs to measure the bias of position on")
    return _bias(*_asked(preference, firsts, seconds), tie_margin)


def _bias(there: Float[np.ndarray, "B"], back: Float[np.ndarray, "B"], tie_margin: float) -> PositionBias:
    one, other = _verdicts(there, tie_margin), -_verdicts(back, tie_margin)
    return PositionBias(
        pairs=len(there),
        changed=float(np.mean(one != other)),
        reversed=float(np.mean(one * other < 0)),
        shown_first=float(np.mean([there, back])),
    )


def agreement(labels: Float[np.ndarray, "B"], others: Float[np.ndarray, "B"]) -> float:
    """The fraction of pairs of which two labellers say the same; where either calls it a tie (0.5) it counts half.

    Both give the probability that the first of each pair is the better one. Raises ValueError for no pairs.
    """
    if not len(labels):
        raise ValueError("there are no labels to compare")
    return float(0.5 + 0.5 * np.mean(np.sign(labels - 0.5) * np.sign(others - 0.5)))


def labeller_agreement(
    shown: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer], labels: Float[np.ndarray, "B"]
) -> LabellerAgreement:
    """How a judge agrees with people's labels of pairs, asked in one order and in both, and what it makes of the order.

    `shown` is the judge as it reads a pair, in the one order given (`ModelJudge.shown`); `labels` are the probabilities
    that the first is better, by people, say. Raises ValueError as `agreement` and `probabilities_of` do.
    """
    there, back = _asked(shown, firsts, seconds)
    return LabellerAgreement(
        averaged=agreement(labels, _averaged(there, back, firsts, seconds, 0.0)),
        single=(agreement(labels, there) + agreement(labels, 1 - back)) / 2,
        bias=_bias(there, back, 0.0),
    )


def checked_margin(tie_margin: float) -> float:
    """Raises ValueError unless the margin around 0.5 that counts as a tie lies from 0 to below 0.5."""
    if not 0 <= tie_margin < 0.5:
        raise ValueError(f"tie_margin is {tie_margin}; it must lie from 0 (no ties but equal answers) to below 0.5")
    return tie_margin


def _verdicts(probabilities: Float[np.ndarray, "B"], tie_margin: float) -> Float[np.ndarray, "B"]:
    """1 where the first wins, -1 where the second does, 0 for a tie."""
    return np.where(np.abs(probabilities - 0.5) < tie_margin, 0, np.sign(probabilities - 0.5))
