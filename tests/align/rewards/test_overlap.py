"""Words in common, by hand."""

from culet.align.rewards import coverage, word_precision
from culet.align.rewards.overlap import content_words, stem


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
