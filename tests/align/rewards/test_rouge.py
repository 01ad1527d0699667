"""ROUGE and Self-BLEU against scores counted by hand and by counting every subsequence."""

import itertools
import math

import numpy as np
import pytest

from culet.align.rewards.rouge import rouge_1, rouge_l, self_bleu

TEXT = "police killed the gunman"  # the example of Lin 2004, section 3.1


def test_rouge_1_counts_shared_words_as_often_as_both_have_them():
    # "the" is shared once and "dog" once, of 4 and 5 words.
    assert rouge_1("the the dog the", ["a dog saw the cat"]) == pytest.approx(2 * 2 / 9)
    assert rouge_1("A dog, running!", ["a dog running"]) == 1


def test_rouge_l_keeps_the_order_and_rouge_1_does_not():
    kill, gunman = "police kill the gunman", "the gunman kill police"
    assert rouge_l(kill, [TEXT]) == pytest.approx(3 / 4)
    assert rouge_l(gunman, [TEXT]) == pytest.approx(2 / 4)
    assert rouge_1(kill, [TEXT]) == rouge_1(gunman, [TEXT]) == pytest.approx(3 / 4)
    # b d and e, with gaps on both sides; a and f are not in order.
    assert rouge_l("a b c d e", ["b f d e a"]) == pytest.approx(2 * 3 / 10)


def test_the_best_reference_counts():
    assert rouge_1("a b", ["c d", "a c", "e"]) == pytest.approx(2 / 4)
    assert rouge_l("a b", ["c d", "b a", "e"]) == pytest.approx(2 / 4)


def test_an_empty_text_is_like_nothing():
    assert rouge_1("", ["a b"]) == rouge_l("", ["a b"]) == rouge_l("a", [""]) == rouge_1("", [""]) == 0
    assert self_bleu(["", "a b"]) == 0
    with pytest.raises(ValueError, match="there are none"):
        rouge_1("a", [])


def test_self_bleu_of_equal_and_of_foreign_texts():
    assert self_bleu(["a b c d e", "a b c d e", "a b c d e"]) == pytest.approx(1)
    assert self_bleu(["a b", "a b"]) == pytest.approx(1)
    assert self_bleu(["a b c", "d e f"]) == 0
    with pytest.raises(ValueError, match="there are none"):
        self_bleu(["a b"])


def test_self_bleu_of_two_texts():
    # a b c d against a b x: words 2/4, pairs (1+1)/(3+1), threes (0+1)/(2+1), fours (0+1)/(1+1); it is the longer one.
    first = (2 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** (1 / 4)
    # The other way: words 2/3, pairs (1+1)/(2+1), threes (0+1)/(1+1), no fours; brevity exp(1 - 4/3).
    second = (2 / 3 * 2 / 3 * 1 / 2) ** (1 / 3) * math.exp(1 - 4 / 3)
    assert self_bleu(["a b c d", "a b x"]) == pytest.approx((first + second) / 2)


def test_self_bleu_takes_matches_from_every_reference():
    # a a: one a in each of the others, so that one of two counts; no pair matches; the nearest length is 2.
    first = (1 / 2 * (0 + 1) / (1 + 1)) ** (1 / 2)
    # a b: a from the first, b from the third; pairs 0 of 1.
    others = (2 / 2 * (0 + 1) / (1 + 1)) ** (1 / 2)
    assert self_bleu(["a a", "a b", "b a"]) == pytest.approx((first + 2 * others) / 3)


def test_the_longest_common_subsequence_is_that_of_all_subsequences():
    random = np.random.default_rng(0)
    for _ in range(40):
        said, wanted = (random.choice(list("abc"), random.integers(1, 7)).tolist() for _ in range(2))
        all_of = [
            {part for size in range(len(text) + 1) for part in itertools.combinations(text, size)}
            for text in (said, wanted)
        ]
        longest = max(map(len, all_of[0] & all_of[1]))
        assert rouge_l(" ".join(said), [" ".join(wanted)]) == pytest.approx(2 * longest / (len(said) + len(wanted)))
