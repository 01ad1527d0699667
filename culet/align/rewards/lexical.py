"""Entailment without a network: whether the words of a hypothesis stand in its premise, or go with those that do.

Which words go with which is learned from statements that follow, by the first of the alignment models of Brown and
others (1993); how much each sign counts, by logistic regression on statements that do and do not.

Axis letters: B statements, F signs, V words.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit

from culet.align.rewards.captions import KIND_OF, KINDS
from culet.align.rewards.examples import Statement
from culet.align.rewards.overlap import content_words, stem, words

SIGNS = (
    "fraction of content words that the premise has", *(f"{kind}s that it has not" for kind in KINDS),
    *(f"{kind}s in place of others that it has" for kind in KINDS),
    "mean log-lift of content words", "any statement",
)  # fmt: skip
ROUNDS = 3  # of expectation and maximisation
RAREST = 5  # times that a word must have been said to be known
FLOOR = 1e-2  # of a lift
COPIED = 20.0  # the lift of an unknown word that the premise has
RIDGE = 1e-4
FOR_LIFTS = 0.75  # of the statements; the others, whose words the lifts have not seen together, weigh the signs


@dataclasses.dataclass(frozen=True, eq=False)
class LexicalScorer:
    """The log-odds that a hypothesis follows from its premise: a sum of `SIGNS`, each with its weight.

    A lift is by how much likelier a word is beside one of the premise, [of the premise, of the hypothesis].
    """

    vocabulary: Mapping[str, int]
    lifts: Float[np.ndarray, "V V"]
    weights: Float[np.ndarray, "F"]

    def __call__(self, statements: Sequence[Statement]) -> Float[np.ndarray, "B"]:
        """Log-odds; labels are not looked at.

        A hypothesis without content words has no sign but the last, so that it is not taken for one that follows.
        """
        return self.signs(statements) @ self.weights

    def signs(self, statements: Sequence[Statement]) -> Float[np.ndarray, "B F"]:
        """What `SIGNS` name; numbers of words are counts."""
        return np.array([self._signs(each.premise, content_words(each.hypothesis)) for each in statements])

    def _signs(self, premise: str, said: Sequence[str]) -> list[float | int]:
        read = set(words(premise))
        known = {stem(word) for word in read}
        unread = [word for word in said if stem(word) not in known]
        kinds = [KIND_OF[word] for word in unread if word in KIND_OF]
        new = Counter(kind for kind, _ in kinds)
        other = Counter(kind for kind, group in kinds if not read.isdisjoint(group))
        beside = [self.vocabulary[name] for name in _stems(premise) if name in self.vocabulary]
        lifts = [self._log_lift(stem(word), beside, known) for word in said]
        fraction = 1 - len(unread) / len(said) if said else 0.0
        return [
            fraction, *(new[kind] for kind in KINDS), *(other[kind] for kind in KINDS),
            sum(lifts) / max(len(lifts), 1), 1.0,
        ]  # fmt: skip

    def _log_lift(self, name: str, beside: Sequence[int], known: set[str]) -> float:
        place = self.vocabulary.get(name)
        if place is None or not beside:
            return float(np.log(COPIED if name in known else FLOOR))
        return float(np.log(self.lifts[beside, place].mean() + FLOOR))


def train_lexical_scorer(statements: Sequence[Statement]) -> LexicalScorer:
    """Learns from statements with labels from 0 to 1; those that follow from a premise are most likely near the top.

    Raises ValueError unless the statements for the weights, the last quarter, are of both kinds, and if nothing was
    said often enough among the others that follow.
    """
    cut = int(FOR_LIFTS * len(statements))
    vocabulary, lifts = _learned_lifts([each for each in statements[:cut] if each.label > 0.5])
    untrained = LexicalScorer(vocabulary, lifts, np.zeros(len(SIGNS)))
    labels = np.array([each.label for each in statements[cut:]])
    if not labels.size or labels.min() >= 0.5 or labels.max() <= 0.5:
        raise ValueError("the last quarter of the statements must hold some that follow and others that do not")
    return dataclasses.replace(untrained, weights=_weights(untrained.signs(statements[cut:]), labels))


def _weights(signs: Float[np.ndarray, "B F"], labels: Float[np.ndarray, "B"]) -> Float[np.ndarray, "F"]:
    """Logistic regression with a small ridge."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = signs @ weights
        value = np.mean(np.logaddexp(0, log_odds) - labels * log_odds) + RIDGE * weights @ weights
        return float(value), signs.T @ (expit(log_odds) - labels) / len(labels) + 2 * RIDGE * weights

    return minimize(loss, np.zeros(signs.shape[1]), jac=True, method="L-BFGS-B").x


def _learned_lifts(statements: Sequence[Statement]) -> tuple[dict[str, int], Float[np.ndarray, "V V"]]:
    """P(word of a hypothesis | word of its premise) over P(word), each row shrunk to P(word) by one word's weight."""
    stems = [(_stems(each.premise), _stems(each.hypothesis)) for each in statements]
    counts = Counter(name for _, said in stems for name in said)
    vocabulary = {name: place for place, (name, count) in enumerate(counts.most_common()) if count >= RAREST}
    if not vocabulary:
        raise ValueError(f"no word was said {RAREST} times in statements that follow; it takes more of them")
    size = len(vocabulary)
    pairs = [tuple([vocabulary[name] for name in names if name in vocabulary] for names in both) for both in stems]
    read = np.concatenate([np.tile(premise, len(said)) for premise, said in pairs]).astype(int)
    said = np.concatenate([np.repeat(said, len(premise)) for premise, said in pairs]).astype(int)
    sizes = np.concatenate([np.full(len(said) * bool(premise), len(premise)) for premise, said in pairs])
    word = np.repeat(np.arange(len(sizes)), sizes)  # of the hypotheses, every pair of which explains it in part
    base = np.array([counts[name] for name in vocabulary], np.float64)
    base /= base.sum()
    table = np.repeat(base[None], size, axis=0)
    for _ in range(ROUNDS):
        likely = table[read, said]
        explained = likely / np.bincount(word, likely)[word]
        expected = np.bincount(read * size + said, explained, minlength=size * size).reshape(size, size)
        table = (expected + base[None]) / (expected.sum(axis=1, keepdims=True) + 1)
    return vocabulary, (table / base[None]).astype(np.float32)


def _stems(text: str) -> list[str]:
    return sorted({stem(word) for word in content_words(text)})
