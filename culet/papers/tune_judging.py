"""The listener who judges music: by what no training saw, and for each maker on the same prompts.

Its ear for quality is naive Bayes on how melodies move, from the other half of the tunes; its taste is the raters' own,
without their noise; key and metre are checked as they are.

Axis letters: P points of a run, B prompts, S completions of each, M reference completions of each.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from culet.align.front import REFERENCES, SAMPLES, Front, win_rates
from culet.align.rewards.answer import Answer, Reward
from culet.core.experiment import Scale
from culet.lm import Decoder
from culet.music import Tune
from culet.music.tune import key_of
from culet.papers.aligning import worth_of_best
from culet.papers.tune_rewards import conformity, corrupted, reward_r, reward_u, scored, standardised, taste
from culet.papers.tunes import NEW_TOKENS, Use, phrases, prompts, supervised

BEST = 8
HELD_OUT: Mapping[Scale, int] = {"smoke": 2, "laptop": 128}  # prompts that a run is measured on
LISTENERS = ("listener", "heard_r", "heard_u")


def _moves(tune: Tune) -> Iterator[tuple[str, int, int]]:
    """Each two moves that follow each other, and each note's place above the tonic with the move that follows."""
    tonic, pitches = key_of(tune.key)[0], tune.pitches
    moves = np.clip(np.diff(pitches), -12, 12).tolist()
    yield from (("moves", *pair) for pair in itertools.pairwise(moves))
    yield from (("place", (pitch - tonic) % 12, move) for pitch, move in zip(pitches, moves, strict=False))


@functools.cache
def unseen_quality(scale: Scale) -> Mapping[tuple[str, int, int], float]:
    """The log odds that a move comes from a real phrase and not a corrupted one, from the half that no reward saw."""
    generator = np.random.default_rng(1)
    real, other = Counter[Any](), Counter[Any]()
    for phrase in phrases(scale, "training", 1):
        real.update(_moves(phrase))
        other.update(_moves(corrupted(phrase, generator)))
    return {
        move: float(np.log((real[move] + 1) / (real.total() + 1)) - np.log((other[move] + 1) / (other.total() + 1)))
        for move in real | other
    }


def _quality(scale: Scale, tune: Tune) -> float:
    """The mean over a tune's moves; moves never heard count as the least real."""
    known = unseen_quality(scale)
    least = min(known.values())
    found = [known.get(move, least) for move in _moves(tune)]
    return float(np.mean(found)) if found else least


class Listener:
    """A reward that keeps its parts: what R and U are about, and both together, of the answers that it judged last."""

    def __init__(self, scale: Scale, heard: Sequence[Answer]):
        """Each part has the standard deviation 1 over `heard`."""
        quality = scored(functools.partial(_quality, scale))
        conforms = standardised(scored(conformity), heard)
        good = standardised(quality, heard)
        self._r = standardised(lambda answers: conforms(answers) + good(answers), heard)
        self._u = standardised(scored(taste), heard)
        self._raw: Mapping[str, Reward] = {"conformity": scored(conformity), "quality": quality, "taste": scored(taste)}
        self.last: Mapping[str, Float[np.ndarray, "..."]] = {}
        self.answers: Sequence[Answer] = ()

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "..."]:
        r, u = self._r(answers), self._u(answers)
        self.last = {"heard_r": r, "heard_u": u, "listener": r + u}
        self.last |= {name: part(answers) for name, part in self._raw.items()}
        self.answers = answers
        return self.last["listener"]
