"""A judge behind an endpoint: which of two answers is better, or how good one is from 1 to 10.

Axis letters: B answers or pairs.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer
from culet.align.rewards.endpoint import Endpoint, EndpointError, Reply
from culet.align.rewards.preference import both_orders, checked_margin
from culet.align.rewards.templates import (
    PAIR_INSTRUCTION,
    PAIR_TEMPLATE,
    SCORE_INSTRUCTION,
    SCORE_TEMPLATE,
    SCORES,
    PairQuestions,
    ScoreQuestions,
)


class EndpointJudge:
    """Prefers the answer whose label an endpoint's model would rather write; both orders are averaged.

    Where the reply has the log-probabilities of its first token, the probability of the first label is its share of
    those of both; else, or where neither label is among the likeliest tokens, the first label in the reply's text wins
    for certain. A reply without a label is a tie, 0.5, and counts in `unreadable`. Templates and ties are as for
    `ModelJudge`. Calls raise `EndpointError` as `Endpoint` does, and where no reply of a call has a label.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        instruction: str = PAIR_INSTRUCTION,
        template: str = PAIR_TEMPLATE,
        labels: tuple[str, str] = ("1", "2"),
        tie_margin: float = 0.0,
    ):
        """Raises ValueError for a template without its places or with others, equal or empty labels, and the margin."""
        self.ask = PairQuestions(instruction, template)
        if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
            raise ValueError(f"the labels are {labels[0]!r} and {labels[1]!r}; they must be two different words")
        self.endpoint, self.tie_margin = endpoint, checked_margin(tie_margin)
        self.labels = tuple(label.strip() for label in labels)
        self.unreadable = 0  # replies without a label so far

    def __call__(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The probability that the first of each pair is better, over both orders."""
        return both_orders(self.shown, firsts, seconds, tie_margin=self.tie_margin)

    def shown(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The same in the one order in which they are given: what `position_bias` measures."""
        found = _replies(self.endpoint, self.ask(firsts, seconds), self.labels)
        self.unreadable += sum(masses is None for masses in found)
        return np.array([0.5 if masses is None else masses[0] for masses in found], np.float32)


class EndpointScore:
    """A reward: how good an endpoint's model finds an answer, the mean of 1 to 10, as -1 to 1.

    The sum of i P(i), less 5.5, over 4.5, with the P(i) of the reply's first token where the endpoint offers them, else
    the first number from 1 to 10 in its text. Where numbers are written digit by digit, the mass of "1" is that of 10
    if the reply begins with "10", else that of 1. A reply without a number is worth 0, the middle, and counts in
    `unreadable`. The template is as for `ModelScore`; calls raise as those of `EndpointJudge`.
    """

    def __init__(self, endpoint: Endpoint, *, instruction: str = SCORE_INSTRUCTION, template: str = SCORE_TEMPLATE):
        """Raises ValueError for a template without its places or with others."""
        self.endpoint, self.ask = endpoint, ScoreQuestions(instruction, template)
        self.unreadable = 0  # replies without a number so far

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """One score from -1 to 1 per answer."""
        found = _replies(self.endpoint, self.ask(answers), SCORES)
        self.unreadable += sum(masses is None for masses in found)
        means = [5.5 if masses is None else float(np.dot(masses, np.arange(1, 11))) for masses in found]
        return ((np.array(means) - 5.5) / 4.5).astype(np.float32)


def _replies(endpoint: Endpoint, texts: Sequence[str], labels: Sequence[str]) -> list[list[float] | None]:
    """The probability of each label in each reply, None where a reply has none."""
    replies = endpoint.ask(texts)
    found = [_masses(reply, labels) for reply in replies]
    if replies and not any(found):
        raise EndpointError(
            f"{endpoint.url}: no reply has one of the labels {', '.join(labels)}; one is {replies[0].text[:60]!r}. Say "
            "in the template what to reply with, or take another model"
        )
    return found


def _masses(reply: Reply, labels: Sequence[str]) -> list[float] | None:
    written = _written(reply.text, labels)
    masses = dict.fromkeys(labels, 0.0)
    for token, logprob in reply.first:
        if (label := token.strip()) in masses:
            masses[label] += math.exp(min(logprob, 0.0))
    if written is not None and reply.first and masses[written] == 0 and reply.text.strip().startswith(written):
        begun = next((label for label in labels if written.startswith(label) and masses[label] > 0), None)
        if begun is not None:  # "10" that was written as "1" and "0"
            masses[written], masses[begun] = masses[begun], 0.0
    total = sum(masses.values())
    if total > 0:
        return [masses[label] / total for label in labels]
    return None if written is None else [float(label == written) for label in labels]


def _written(text: str, labels: Sequence[str]) -> str | None:
    """The label that stands first in the text as a word of its own."""
    longest = sorted(labels, key=len, reverse=True)
    found = re.search(r"(?<!\w)(?:" + "|".join(map(re.escape, longest)) + r")(?!\w)", text)
    return found[0] if found else None
