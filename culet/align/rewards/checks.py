"""Rewards that a program can decide: the right answer, a pattern, a length, words that must or must not be there.

Axis letters: B answers.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer, Reward, rewards_of

Unit = Literal["words", "characters", "tokens"]

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?<![\w.])-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<!\w)-?\$?\.\d+")
_EDGES = " \t\n.,;:!?\"'`*\u201c\u201d\u2018\u2019"  # with the typographic quotation marks


def exact_text(*, column: str) -> Reward:
    """1 where the answer is the text in `column` of the prompt's line, else 0.

    Both are compared in Unicode's form NFKC, case-folded, runs of white space as one space, and without white space,
    quotation marks, asterisks and stops at either end. Calls raise ValueError where a line has no such column.
    """
    return _each(lambda answer: float(_normal(answer.text) == _normal(_cell(answer, column))))


def exact_number(*, column: str) -> Reward:
    """1 where the answer's number equals the one in `column` of the prompt's line, else 0, as decimals.

    The number of a text is the first after its last "####", as GSM8K writes (2110.14168), or without that mark the last
    one in it; commas between thousands and a dollar sign count for nothing. A text without a number is wrong. Calls
    raise ValueError where a line has no such column, or no number in it.
    """

    def right(answer: Answer) -> float:
        cell = _cell(answer, column)
        wanted = _number(cell)
        if wanted is None:
            raise ValueError(f"column {column!r} holds no number to compare answers with: {cell[:60]!r}")
        return float(_number(answer.text) == wanted)

    return _each(right)


def matches(*, pattern: str, whole: bool = False) -> Reward:
    """1 where the regular expression is found in the answer, or if `whole` describes all of it; else 0.

    Raises ValueError for a pattern that is none.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from None
    find = compiled.fullmatch if whole else compiled.search
    return _each(lambda answer: float(find(answer.text) is not None))


def length_near(*, target: int, unit: Unit = "words") -> Reward:
    """-|length - target| / target: 0 at the target, -1 for an empty answer, and ever less beyond twice the target.

    Words are runs of letters, digits and underscores; tokens are the policy's own, its stop token among them. Raises
    ValueError for a target below 1 and for an unknown unit.
    """
    if target < 1:
        raise ValueError(f"target is {target}; it must be at least 1")
    measure = _measure(unit)
    return _each(lambda answer: -abs(measure(answer) - target) / target)


def length_penalty(*, per_unit: float, unit: Unit = "tokens") -> Reward:
    """-per_unit times the length, as WARP subtracts 0.0005 per token (2406.16768). Units as for `length_near`.

    Raises ValueError for a number that is not positive, or not finite, and for an unknown unit.
    """
    if not 0 < per_unit < math.inf:
        raise ValueError(f"per_unit is {per_unit}; it must be positive, and is taken from the reward")
    measure = _measure(unit)
    return _each(lambda answer: -per_unit * measure(answer))


def keywords(*, wanted: Sequence[str] = (), forbidden: Sequence[str] = ()) -> Reward:
    """The fraction of what is asked that the answer does: each wanted word in it, each forbidden word not in it.

    Words (or phrases) count where they stand whole, in either case. Raises ValueError where none is given, one is
    empty, or one is both wanted and forbidden.
    """
    if isinstance(wanted, str) or isinstance(forbidden, str):
        raise ValueError("wanted and forbidden are lists of words, not one text")
    inside, outside = [[_whole_word(word) for word in words] for words in (wanted, forbidden)]
    if not inside and not outside:
        raise ValueError("there are no keywords; give some that are wanted or forbidden")
    if both := {word.casefold() for word in wanted} & {word.casefold() for word in forbidden}:
        raise ValueError(f"the keyword {sorted(both)[0]!r} is both wanted and forbidden")

    def fraction(answer: Answer) -> float:
        done = sum(bool(word.search(answer.text)) for word in inside)
        done += sum(not word.search(answer.text) for word in outside)
        return done / (len(inside) + len(outside))

    return _each(fraction)


def keyword_count(*, keyword: str, at_least: int = 0, at_most: int | None = None) -> Reward:
    """1 where the word (or phrase) stands in the answer, whole and in either case, as often as asked; else 0.

    Raises ValueError for an empty word and for bounds that ask nothing or cannot be met.
    """
    word = _whole_word(keyword)
    if at_least < 0 or (at_most is not None and at_most < at_least) or (at_least == 0 and at_most is None):
        raise ValueError(f"{keyword!r} at least {at_least} and at most {at_most} times: give bounds that ask something")
    most = math.inf if at_most is None else at_most
    return _each(lambda answer: float(at_least <= len(word.findall(answer.text)) <= most))


def combined(*, rewards: Mapping[str, Reward], weights: Mapping[str, float]) -> Reward:
    """The weighted sum of named rewards, in float64.

    Raises ValueError where names and weights do not fit, or a weight is 0 or not finite; its calls raise as
    `rewards_of` does, with the name of the reward at fault.
    """
    if not rewards or set(rewards) != set(weights):
        raise ValueError(f"rewards {sorted(rewards)} and weights {sorted(weights)}: give each reward one weight")
    for name, weight in weights.items():
        if weight == 0 or not math.isfinite(weight):
            raise ValueError(f"the weight of {name} is {weight}; it must be finite and not 0 (leave the reward out)")

    def total(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        parts = {name: rewards_of(reward, answers, name).astype(np.float64) for name, reward in rewards.items()}
        return np.sum([weights[name] * part for name, part in parts.items()], axis=0)

    return total


def standardised(*, reward: Reward, answers: Sequence[Answer]) -> Reward:
    """The reward with mean 0 and standard deviation 1 over these answers, which are judged once, now.

    Rewards of any scale then go with one strength of a penalty, or into one sum. Raises as `rewards_of` does, and
    ValueError where all answers get the same.
    """
    values = rewards_of(reward, answers).astype(np.float64)
    mean, deviation = values.mean(), values.std()
    if not deviation > 0:
        raise ValueError(f"the reward gives all {len(answers)} answers the same, {mean:g}, and so has no deviation")
    return lambda answers: (np.asarray(reward(answers), np.float64) - mean) / deviation


def _each(of_one: Callable[[Answer], float]) -> Reward:
    def reward(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        return np.array([of_one(answer) for answer in answers], np.float64)

    return reward


def _cell(answer: Answer, column: str) -> str:
    """What the prompt's line holds in a column, as text."""
    if column not in answer.columns:
        raise ValueError(
            f"the prompt has no column {column!r} to compare answers with; it has {sorted(answer.columns)}"
        )
    value = answer.columns[column]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"column {column!r} holds {type(value).__name__}; it must hold a text or a number")
    return value if isinstance(value, str) else format(Decimal(str(value)), "f")


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)


def _number(text: str) -> Decimal | None:
    _, mark, marked = text.rpartition("####")
    numbers = _NUMBER.findall(marked if mark else text)
    return Decimal(numbers[0 if mark else -1].replace(",", "").replace("$", "")) if numbers else None


def _whole_word(word: str) -> re.Pattern[str]:
    """Finds the word where no letter or digit goes on at either end."""
    if not word.strip():
        raise ValueError("a keyword is empty")
    return re.compile(rf"(?<!\w){re.escape(word.strip())}(?!\w)", re.IGNORECASE)


def _measure(unit: str) -> Callable[[Answer], int]:
    measures: dict[str, Callable[[Answer], int]] = {
        "words": lambda answer: len(_WORD.findall(answer.text)),
        "characters": lambda answer: len(answer.text),
        "tokens": lambda answer: answer.tokens,
    }
    if unit not in measures:
        raise ValueError(f"unit is {unit!r}; it must be one of {', '.join(measures)}")
    return measures[unit]
