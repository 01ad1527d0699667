"""Statements about images for a scorer of entailment: captions of the same image follow, changed ones do not.

The premise is four of the five independent captions of an image (multi30k, 1605.00459), and the fifth the hypothesis.
That it follows is taken for granted, though what one person saw another may have left out: labels of 1 are noisy.
What does not follow is made: another image's caption, or the caption with one word changed to another of its kind.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeVar, get_args

import numpy as np

from culet.align.rewards.examples import Statement
from culet.core.text import data_file, read_text

Item = TypeVar("Item")
Part = Literal["train", "val", "test_2016"]
CAPTIONS = 5  # of an image

# Words of one kind: each may stand where another does, and says something else.
KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "colour": (
        ("black", "white", "red", "blue", "green", "yellow", "orange", "brown", "gray", "pink", "purple"),
        ("blond", "brunette", "red-haired"),
    ),
    "number": (("two", "three", "four", "five", "six", "seven", "eight"),),
    "noun": (
        ("man", "woman", "boy", "girl", "baby"),
        ("men", "women", "boys", "girls", "babies"),
        ("dog", "cat", "horse", "cow", "bird", "elephant"),
        ("dogs", "cats", "horses", "cows", "birds", "elephants"),
        ("beach", "street", "kitchen", "forest", "field", "stage", "river", "mountain", "park", "pool", "restaurant"),
        ("shirt", "jacket", "coat", "dress", "sweater", "vest"),
        ("hat", "helmet", "scarf", "mask"),
        ("guitar", "drum", "piano", "trumpet", "violin", "microphone"),
        ("ball", "book", "camera", "phone", "umbrella", "bag"),
        ("bicycle", "bike", "car", "truck", "bus", "boat", "motorcycle", "train"),
    ),
}
_SAME = ({"bicycle", "bike"}, {"man", "boy"}, {"woman", "girl"}, {"men", "boys"}, {"women", "girls"})
KIND_OF = {word: (kind, group) for kind, groups in KINDS.items() for group in groups for word in group}
_WORD = re.compile(r"[A-Za-z][A-Za-z-]*")


def caption_statements(part: Part, *, seed: int = 0, images: int | None = None) -> list[Statement]:
    """For each image a caption that follows, and the same with a word changed or else another image's, which do not.

    The five captions of an image are the hypothesis in turn. `swapped` changes a word for about a third of the images.
    With `images`, so many of the `part`, drawn at random. The same `seed`
    gives the same statements.

    Raises FileNotFoundError where the captions are not there, ValueError for fewer images than asked for.
    """
    if part not in get_args(Part):
        raise ValueError(f"there are no captions of {part!r}, but of {', '.join(get_args(Part))}")
    files = [read_text(data_file("multi30k-captions", f"{part}.{n + 1}.en.gz")).splitlines() for n in range(CAPTIONS)]
    every = list(zip(*files, strict=True))
    if not 2 <= (images or len(every)) <= len(every):
        raise ValueError(f"the captions of {part} are of {len(every)} images; from 2 to so many can be used")
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(every))[: images or len(every)]
    return _statements([every[number] for number in chosen], _counts(every), random)


def statements_about(captions: Sequence[Sequence[str]], *, seed: int = 0) -> list[Statement]:
    """The same for images of your own, each with as many captions; the images are taken in the order given.

    Raises ValueError for fewer than two images, and for images with fewer than two captions or with different numbers.
    """
    sizes = {len(each) for each in captions}
    if len(captions) < 2 or len(sizes) != 1 or min(sizes) < 2:
        raise ValueError("it takes two images or more, each with as many captions, at least two")
    return _statements(captions, _counts(captions), np.random.default_rng(seed))


def _statements(
    captions: Sequence[Sequence[str]], counts: Counter[str], random: np.random.Generator
) -> list[Statement]:  # fmt: skip
    statements = []
    for place, own in enumerate(captions):
        left_out = place % len(own)
        hypothesis = own[left_out]
        premise = " ".join(caption for n, caption in enumerate(own) if n != left_out)
        statements.append(Statement(premise=premise, hypothesis=hypothesis, label=1.0))
        changed = swapped(hypothesis, premise, counts, random)
        if changed is None:
            other = captions[(place + int(random.integers(1, len(captions)))) % len(captions)]
            changed = _one_of(other, random)
        statements.append(Statement(premise=premise, hypothesis=changed, label=0.0))
    return statements


def _counts(captions: Sequence[Sequence[str]]) -> Counter[str]:
    return Counter(word for own in captions for caption in own for word in _words(caption))


def swapped(
    hypothesis: str,
    premise: str,
    counts: Counter[str],
    random: np.random.Generator,
    kinds: Sequence[str] = tuple(KINDS),
) -> str | None:
    """The hypothesis with one colour, number or noun changed to another that occurs in neither text.

    A kind is drawn among those that occur, then a word of it, then its substitute. One that is rarer, by `counts`, than
    what it stands for is given up in proportion, as Metropolis does: changed captions then hold each word as often as
    true ones, and they cannot be told apart without the premise. None where it is given up or no word can change.
    """
    used = {*_words(hypothesis), *_words(premise)}
    places: dict[str, list[tuple[re.Match[str], list[str]]]] = {}
    for match in _WORD.finditer(hypothesis):
        kind, group = KIND_OF.get(match[0].lower(), ("", ()))
        unused = [word for word in group if word not in used and not _means_the_same(word, used)]
        if kind in kinds and unused:
            places.setdefault(kind, []).append((match, unused))
    if not places:
        return None
    matches = places[_one_of(sorted(places), random)]
    match, unused = _one_of(matches, random)
    word = _one_of(unused, random)
    if random.random() * counts[match[0].lower()] > counts[word]:
        return None
    word = word.capitalize() if match[0][0].isupper() else word
    return hypothesis[: match.start()] + word + hypothesis[match.end() :]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _means_the_same(word: str, used: set[str]) -> bool:
    """Whether people may have said this of what they called by a word that was used."""
    return any(word in same and same & used for same in _SAME)


def _one_of(items: Sequence[Item], random: np.random.Generator) -> Item:
    return items[int(random.integers(len(items)))]
