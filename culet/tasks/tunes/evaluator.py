"""The listener who judges music: by what no training saw, and for each maker on the same prompts.

Its ear for quality is naive Bayes on how melodies move, from the other half of the tunes; its taste is the raters' own,
without their noise; key and metre are checked as they are.

Axis letters: N answers, B prompts, S completions of each that are judged, M metres, T tokens.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from culet.align.comparison import best_of, win_rates
from culet.align.frontier import REFERENCES, SAMPLES, Frontier
from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.checks import standardised
from culet.audio.tunes import Tune
from culet.audio.tunes.tune import key_of
from culet.experiments.experiment import Scale
from culet.lm import Decoder
from culet.objectives import best_of_n_kl_bound
from culet.tasks.tunes.phrases import SIZES, SLOTS, Use, phrases, prompts, supervised
from culet.tasks.tunes.rewards import answered_tune, tune_reward
from culet.tasks.tunes.tokens import tune_tokenizer
from culet.tasks.tunes.training_rewards import KNOWN, conformity, corrupted, reward_r, reward_u, samples, taste

BEST = 8
NO_TUNE = -1.0  # quality of what is none; that of corrupted phrases is -0.3 on average
SHOWN = ("4/4", "6/8")  # metres
WINS = {"win_rate": "all", "wins_r": "heard_r", "wins_u": "heard_u"}  # and the scores they come from


def _moves(tune: Tune) -> Iterator[tuple[str, int, int]]:
    """Each two moves that follow each other, and each note's place above the tonic with the move that follows."""
    tonic, pitches = key_of(tune.key)[0], tune.pitches
    moves = np.clip(np.diff(pitches), -12, 12).tolist()
    yield from (("moves", *pair) for pair in itertools.pairwise(moves))
    yield from (("place", (pitch - tonic) % 12, move) for pitch, move in zip(pitches, moves, strict=False))


@functools.cache
def _odds(scale: Scale) -> Mapping[tuple[str, int, int], float]:
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


def quality_unseen(scale: Scale, tune: Tune) -> float:
    """The mean over a tune's moves; moves that were not seen count as the least real."""
    known = _odds(scale)
    least = min(known.values())
    odds = [known.get(move, least) for move in _moves(tune)]
    return float(np.mean(odds)) if odds else least


class Listener:
    """A reward: what R is about (key, metre, quality) and what U is about (taste), at equal weights.

    Each has the standard deviation 1 over what the supervised model writes. The parts of what it judged last stay here,
    and beside them the rewards that are learned from.
    """

    def __init__(self, scale: Scale, seed: int):
        known = samples(scale, seed)[:KNOWN]
        quality = tune_reward(functools.partial(quality_unseen, scale), least=NO_TUNE)
        conforms, good = (standardised(reward=part, answers=known) for part in (tune_reward(conformity), quality))
        self.parts: Mapping[str, Reward] = {
            "heard_r": standardised(reward=lambda answers: conforms(answers) + good(answers), answers=known),
            "heard_u": standardised(reward=tune_reward(taste), answers=known),
            "reward_r": reward_r(scale, seed), "reward_u": reward_u(scale, seed),
            "conformity": tune_reward(conformity), "quality": quality, "taste": tune_reward(taste),
        }  # fmt: skip
        self.first: Mapping[str, Float[np.ndarray, "N"]] = {}  # a front asks about its references first
        self.scores: Mapping[str, Float[np.ndarray, "N"]] = {}
        self.answers: Sequence[Answer] = ()

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "N"]:
        """One number for each answer."""
        self.answers = answers
        parts = {name: np.asarray(part(answers), np.float64) for name, part in self.parts.items()}
        self.scores = parts | {"all": parts["heard_r"] + parts["heard_u"]}
        self.first = self.first or self.scores
        return self.scores["all"]


class Yardstick:
    """Measures makers of one seed against the supervised model, on phrases that begin with the same notes."""

    def __init__(self, scale: Scale, seed: int, use: Use):
        self.listener = Listener(scale, seed)
        asked = prompts(scale, use, count=SIZES[scale].held_out)
        self.front = Frontier(supervised(scale, seed), asked, SIZES[scale].new_tokens, reward=self.listener, seed=seed)
        self.references = {name: part.reshape(-1, REFERENCES) for name, part in self.listener.first.items()}
        self.start, self.written_first = self.front.rows[0] | self._means(), self.written()

    def __call__(self, policy: Decoder, step: int) -> dict[str, float]:
        """`win_rate`, and `wins_r` and `wins_u` by what R and U are about alone; means of all parts; `kl`, `length`."""
        return self.front(policy, step) | self._means()

    def written(self) -> dict[str, np.ndarray]:
        """Of the policy that was measured last: the listener's `scores` [B S], and `shown` phrases as tokens [M T].

        Those are the first tune that it wrote for the first prompt in each metre; 0 is padding.
        """
        asked, encode = [row.text for row in self.front.prompts.rows], tune_tokenizer().encode
        shown = np.zeros((len(SHOWN), SLOTS + max(size.new_tokens for size in SIZES.values())), np.int32)
        for place, metre in enumerate(SHOWN):
            first = SAMPLES * first_in(metre, asked)
            answers = self.listener.answers[first : first + SAMPLES]
            answer = next((each for each in answers if answered_tune(each)), answers[0])
            ids = encode(answer.prompt + answer.text, special=False)
            shown[place, : len(ids)] = ids
        return {"scores": self.listener.scores["all"].reshape(-1, SAMPLES), "shown": shown}

    def _means(self) -> dict[str, float]:
        scores = self.listener.scores
        wins = {
            name: float(win_rates(scores[part].reshape(-1, SAMPLES), self.references[part]).mean())
            for name, part in WINS.items()
        }
        return wins | {name: float(part.mean()) for name, part in scores.items()}

    def best_of(self, *rewards: str) -> dict[str, float]:
        """What the best of `BEST` reference phrases by the sum of these parts is worth, in the words of a call."""
        chosen = np.sum([self.references[name] for name in rewards], axis=0)
        wins = {name: win_rates(self.references[part], self.references[part]) for name, part in WINS.items()}
        best = {name: best_of(chosen, part, BEST) for name, part in (self.references | wins).items()}
        return best | {"kl": best_of_n_kl_bound(BEST)}


def first_in(metre: str, asked: Sequence[str]) -> int:
    """The place of the first prompt in a metre; 0 if there is none."""
    return next((place for place, prompt in enumerate(asked) if f" M:{metre} " in prompt), 0)


@functools.cache
def yardstick(scale: Scale, seed: int, use: Use) -> Yardstick:
    """One for all variants of a seed."""
    return Yardstick(scale, seed, use)
