"""Words in common, by hand and by counting every subsequence."""

import itertools

import numpy as np
import pytest

from culet.align.rewards import coverage, rouge, word_precision
from culet.align.rewards.overlap import content_words, stem


@pytest.mark.parametrize(
    ("text", "reference", "one", "longest"),
    [
        ("the cat was found under the bed", "the cat was under the bed", 12 / 13, 12 / 13),
        ("police killed the gunman", "the gunman killed police", 1.0, 0.5),
        ("A dog, a dog!", "a dog", 4 / 6, 4 / 6),  # repeated words count as often as the reference has them
        ("", "a dog", 0.0, 0.0),
        ("cat", "", 0.0, 0.0),
        ("cat", "dog", 0.0, 0.0),
    ],
)
def test_rouge_by_hand(text, reference, one, longest):
    assert rouge(text, reference) == pytest.approx((one, longest))


def test_the_longest_common_subsequence_is_that_of_all_subsequences():
    random = np.random.default_rng(0)
    for _ in range(40):
        said, wanted = (random.choice(list("abc"), random.integers(1, 7)).tolist() for _ in range(2))
        all_of = [
            {part for size in range(len(text) + 1) for part in itertools.combinations(text, size)}
            for text in (said, wanted)
        ]
        longest = max(map(len, all_of[0] & all_of[1]))
        assert rouge(" ".join(said), " ".join(wanted)).longest == pytest.approx(2 * longest / (len(said) + len(wanted)))


def test_precision_is_the_share_of_content_words_that_a_source_has():
    sources = ["Two dogs run.", "A big dog is running on the beach!"]
    assert word_precision("the dog runs on a beach", sources) == 1
    assert word_precision("a cat runs", sources) == 0.5
    assert word_precision("a cat", sources) == 0
    assert word_precision("", sources) == word_precision("it is on the", sources) == 0  # silence does not pay


def test_coverage_is_of_what_two_sources_share():
    sources = ["Two dogs run", "a dog running on the beach", "the beach has two chairs"]  # two, dog, run, beach
    assert coverage("a dog", sources) == 0.25
    assert coverage("two dogs ran and a cat", sources) == 0.5
    assert coverage("dogs: two run, beach chairs", sources) == 1
    assert coverage("", sources) == 0
    assert coverage("", ["one", "other"]) == 1


def test_stems():
    pairs = {"dogs": "dog", "running": "run", "dressed": "dres", "dress": "dres", "sing": "sing", "is": "is"}
    assert {word: stem(word) for word in pairs} == pairs
    assert content_words("The 2 Dogs are in the T-shirt") == ["2", "dogs", "shirt"]
