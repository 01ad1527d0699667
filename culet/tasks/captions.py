"""Captions for the experiments on post-training, a reward learned from them, and a judge of another kind.

Both tell how much a text sounds like a picture with an animal. They have learned from different halves of the
pictures, and the reward does not see the words that the labels were made of.

Axis letters: N texts, W words that a scorer knows.
"""

import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from culet.core.text import data_file, read_text
from culet.experiments.experiment import Metric, Scale

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer

Use = Literal["training", "tuning", "judging"]

_ONE = (
    "animal", "bear", "bird", "bull", "calf", "camel", "cat", "chicken", "cow", "deer", "dog", "duck", "elephant",
    "fish", "goat", "horse", "kitten", "lamb", "monkey", "pig", "pony", "puppy", "sheep", "zebra",
)  # fmt: skip
ANIMALS = frozenset([*_ONE, *(f"{name}s" for name in _ONE), "calves", "ponies", "puppies"])
KNOWN = 1000  # words that the reward weighs, the commonest
RIDGE = 0.3
_FOLDER = "multi30k-captions"


class Sizes(NamedTuple):
    """Of the data."""

    made_up: "Mapping[Use, int] | None"  # how many pictures are made up for each use; None: real ones


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes({"training": 800, "tuning": 64, "judging": 64}),
    "laptop": Sizes(None),
}
CAPTION_METRICS = (  # of where a run ended
    Metric(name="final_win_rate", unit="over the supervised model, by a judge never trained on", better="higher"),
    Metric(name="final_kl", unit="nats per caption from the supervised model", better="lower"),
    Metric(name="final_reward_win_rate", unit="over the supervised model, by the reward", better="higher"),
    Metric(name="final_reward", unit="standard deviations of human captions", better="higher"),
    Metric(name="final_length", unit="tokens", better="higher"),
)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Captions of some pictures, and whether there is an animal in each."""

    captions: Sequence[Sequence[str]]  # of each picture, lower-case words with single spaces
    animal: Bool[np.ndarray, "N"]

    def half(self, which: int) -> "Pictures":
        """Every other picture."""
        return Pictures(self.captions[which::2], self.animal[which::2])


@functools.cache
def pictures(scale: Scale, use: Use) -> Pictures:
    """Pictures to learn from, to tune on or to judge by: real ones (Multi30k), or made up.

    Raises OSError for real captions that are not there.
    """
    made_up = SIZES[scale].made_up
    if made_up is not None:
        captions = list(_made_up(_SEEDS[use], made_up[use]))
    else:
        parts = [_read(f"{_PARTS[use]}.{number}.en.gz") for number in range(1, 6)]
        captions = [tuple(map(_plain, five)) for five in zip(*parts, strict=True)]
    words = [frozenset(" ".join(each).split()) for each in captions]
    return Pictures(captions, np.array([bool(each & ANIMALS) for each in words]))


_PARTS: Mapping[Use, str] = {"training": "train", "tuning": "val", "judging": "test_2016"}
_SEEDS: Mapping[Use, int] = {"training": 0, "tuning": 1, "judging": 2}


def _read(name: str) -> list[str]:
    return read_text(data_file(_FOLDER, name)).splitlines()


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _made_up(seed: int, count: int) -> Iterable[tuple[str, str]]:
    """Two captions of each picture."""
    generator = np.random.default_rng(seed)

    def pick(options: str) -> str:
        return str(generator.choice(options.split()))

    for _ in range(count):
        animal = generator.random() < 0.4
        noun = pick("dog horse cat puppy bird" if animal else "man woman boy girl child")
        verb = pick(
            "runs jumps sleeps drinks" if generator.random() < (0.8 if animal else 0.3) else "reads works talks"
        )
        place = pick("grass field water snow" if generator.random() < (0.8 if animal else 0.3) else "street shop room")
        how = pick("small brown young old")
        yield f"a {how} {noun} {verb} in the {place}", f"the {noun} is {how} and {verb} near the {place}"


@dataclasses.dataclass(frozen=True)
class Scorer:
    """The mean weight of a text's words, or of its words and pairs of neighbours; a reward as `culet.align` takes it.

    What it does not know counts 0, and `hidden` words do not count at all.
    """

    weights: Mapping[str, float]
    pairs: bool
    hidden: frozenset[str] = frozenset()

    def __call__(self, answers: Sequence["Answer"]) -> Float[np.ndarray, "N"]:
        """One number for each answer, which is read without its prompt."""
        return self.of_texts([answer.text for answer in answers])

    def of_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N"]:
        """One number for each text."""
        return np.array([self._of_text(text) for text in texts])

    def _of_text(self, text: str) -> float:
        grams = _grams(text, self.pairs, self.hidden)
        return sum(self.weights.get(gram, 0.0) for gram in grams) / max(len(grams), 1)


def _grams(text: str, pairs: bool, hidden: frozenset[str]) -> list[str]:
    words = [word for word in text.split() if word not in hidden]
    return words + [" ".join(pair) for pair in itertools.pairwise(words)] * pairs


@functools.cache
def reward(scale: Scale) -> Scorer:
    """What is learned from: least squares with a ridge on the shares of words, from one half of the pictures.

    Scaled so that human captions have the standard deviation 1.
    """
    from scipy.sparse import csr_array

    seen = pictures(scale, "training").half(0)
    texts, labels = _labelled(seen)
    grams = [_grams(text, False, ANIMALS) for text in texts]
    counts = Counter(itertools.chain.from_iterable(grams))
    known = {word: place for place, (word, _) in enumerate(counts.most_common(KNOWN))}
    places = [(row, known[word], 1 / len(words)) for row, words in enumerate(grams) for word in words if word in known]
    rows, columns, values = zip(*places, strict=True)
    shares = csr_array((values, (rows, columns)), shape=(len(texts), len(known)))
    ridge = RIDGE * np.eye(len(known))
    weights = np.linalg.solve((shares.T @ shares).toarray() + ridge, shares.T @ (labels - labels.mean()))
    weights = weights / np.std(shares @ weights)
    return Scorer(dict(zip(known, weights.tolist(), strict=True)), pairs=False, hidden=ANIMALS)


@functools.cache
def judge(scale: Scale) -> Scorer:
    """What is judged by: naive Bayes on all words and pairs of neighbours, from the other half of the pictures."""
    texts, labels = _labelled(pictures(scale, "training").half(1))
    sides: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for text, label in zip(texts, labels, strict=True):
        sides[int(label)].update(_grams(text, True, frozenset()))
    totals = [sum(side.values()) for side in sides]
    weights = {
        gram: float(np.log((sides[1][gram] + 1) / totals[1]) - np.log((sides[0][gram] + 1) / totals[0]))
        for gram in sides[0] | sides[1] if sides[0][gram] + sides[1][gram] >= 5
    }  # fmt: skip
    return Scorer(weights, pairs=True)


def _labelled(seen: Pictures) -> tuple[list[str], Float[np.ndarray, "N"]]:
    texts = [text for captions in seen.captions for text in captions]
    return texts, np.repeat(seen.animal, len(seen.captions[0])).astype(np.float64)
