import math

import numpy as np
import pytest

from culet.align.rewards import (
    Answer,
    agreement,
    both_orders,
    labeller_agreement,
    position_bias,
    preferred_by,
    probabilities_of,
)
from culet.align.rewards.preference import checked_margin


def answers(*texts):
    return [Answer(prompt="Say", text=text, tokens=len(text)) for text in texts]


def lengths(found):
    return np.array([float(len(answer.text)) for answer in found])


def biased(push):
    """A judge that likes length, and the answer it is shown first."""

    def shown(firsts, seconds):
        return 1 / (1 + np.exp(-(lengths(firsts) - lengths(seconds) + push)))

    return shown


FIRSTS, SECONDS = answers("aaa", "b", "cc", "d"), answers("aa", "bbbb", "cc", "ddd")


def test_both_orders_against_the_mean_by_hand():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    expected = [(sigmoid(d + 2) + 1 - sigmoid(-d + 2)) / 2 for d in (1, -3, 0, -2)]
    found = both_orders(biased(2.0), FIRSTS, SECONDS, tie_margin=0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[2] == 0.5  # exactly, for equal answers
    other = both_orders(biased(2.0), SECONDS, FIRSTS, tie_margin=0.0)
    np.testing.assert_allclose(found + other, 1, rtol=1e-6)


def test_equal_answers_are_a_tie_however_the_judge_rounds():
    calls = []

    def rounding(firsts, _):
        calls.append(firsts)
        return np.full(len(firsts), 0.7 + 1e-7 * len(calls), np.float32)

    found = both_orders(rounding, FIRSTS, SECONDS, tie_margin=0.0)
    assert found[2] == 0.5 and found[0] != 0.5


def test_what_is_near_the_middle_is_a_tie():
    found = both_orders(biased(0.0), FIRSTS, SECONDS, tie_margin=0.25)  # the first pair stands at 0.731
    assert found[0] == found[2] == 0.5 and found[1] < 0.05 and found[3] < 0.15
    assert both_orders(biased(0.0), FIRSTS, SECONDS, tie_margin=0.2)[0] > 0.73


def test_position_bias_before_and_after_averaging():
    shown = biased(2.0)
    before = position_bias(shown, FIRSTS, SECONDS)
    # By hand: with a push of 2, differences of 1 and 0 go to whoever is first; -3 does not; -2 is a tie in one order.
    assert before.pairs == 4 and before.changed == 3 / 4 and before.reversed == 2 / 4
    assert before.shown_first > 0.6
    after = position_bias(lambda a, b: both_orders(shown, a, b, tie_margin=0.0), FIRSTS, SECONDS)
    assert after.changed == after.reversed == 0 and after.shown_first == pytest.approx(0.5, abs=1e-7)
    with pytest.raises(ValueError, match="no pairs"):
        position_bias(shown, [], [])


def test_a_reward_as_a_judge():
    found = preferred_by(lengths, temperature=2.0)(FIRSTS, SECONDS)
    np.testing.assert_allclose(found, [1 / (1 + math.exp(-d / 2)) for d in (1, -3, 0, -2)], rtol=1e-6)
    np.testing.assert_array_equal(preferred_by(lengths, temperature=0.0)(FIRSTS, SECONDS), [1, 0, 0.5, 0])
    with pytest.raises(ValueError, match="temperature is -1"):
        preferred_by(lengths, temperature=-1.0)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_an_error_that_names_the_judge(bad):
    with pytest.raises(ArithmeticError, match=r"oracle gave .* for pair 1; it must give a probability"):
        probabilities_of(lambda a, b: np.array([0.5, bad, 0.5, 0.5]), FIRSTS, SECONDS, "oracle")


def test_pairs_and_numbers_must_be_as_many():
    with pytest.raises(ValueError, match="4 first answers and 1 second ones"):
        probabilities_of(biased(0.0), FIRSTS, SECONDS[:1])
    with pytest.raises(ValueError, match="for 4 pairs; it must give one number for each"):
        probabilities_of(lambda a, b: np.zeros(3), FIRSTS, SECONDS)
    with pytest.raises(ValueError, match=r"tie_margin is 0\.5"):
        checked_margin(0.5)


def test_agreement_counts_ties_half():
    assert agreement(np.array([1.0, 0.0, 0.9, 0.5]), np.array([0.6, 0.7, 0.5, 0.1])) == (1 + 0 + 0.5 + 0.5) / 4
    with pytest.raises(ValueError, match="no labels to compare"):
        agreement(np.zeros(0), np.zeros(0))


def test_a_labeller_agrees_more_with_people_in_both_orders_than_in_one():
    """The judge likes each letter and being shown first alike, so pairs that differ by a letter may become ties."""
    asked = []

    def shown(firsts, seconds):
        asked.append(len(firsts))
        return 1 / (1 + np.exp(-2 * (lengths(firsts) - lengths(seconds)) - 2))

    firsts, seconds = answers("aa", "b", "aaaa", "dd"), answers("a", "cc", "b", "ddddd")
    found = labeller_agreement(shown, firsts, seconds, np.array([1.0, 0.0, 1.0, 0.0]))
    assert asked == [4, 4]
    assert found.averaged == 1.0
    # In the order given the second pair is a tie, in the other one the first is.
    assert found.single == (3.5 / 4 + 3.5 / 4) / 2
    assert found.bias == position_bias(shown, firsts, seconds)
