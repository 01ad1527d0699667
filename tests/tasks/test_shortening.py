"""What is learned from, and how fronts are compared, on captions made up for the purpose and curves that are known."""

import numpy as np

from culet.align.rewards.answer import Answer
from culet.tasks.shortening import count_of, gain_at_equal_likeness, lessons, rouges


def _front(likeness, quality):
    return {"likeness": np.array([likeness], float), "quality": np.array([quality], float)}


def test_gain_at_equal_likeness_is_taken_where_both_fronts_are():
    one, other = (
        _front([0.8, 0.4, 0.2, 0.0], [0.5, 0.3, 0.2, 0.1]),
        _front([1.0, 0.7, 0.6, 0.5], [0.5, 0.35, 0.3, 0.25]),
    )
    # From 0.5 to 0.8 the first is 0.1 + x / 2 and the other x / 2.
    np.testing.assert_allclose(gain_at_equal_likeness(one, other), [0.1], rtol=1e-12)
    np.testing.assert_allclose(gain_at_equal_likeness(other, one), [-0.1], rtol=1e-12)
    apart = _front([1.0, 0.9, 0.95, 0.9], [0.9, 0.8, 0.8, 0.8])  # compared where they are nearest
    np.testing.assert_allclose(gain_at_equal_likeness(apart, one), [0.3], rtol=1e-12)


def test_seeds_learn_from_the_same_pictures_in_an_order_of_their_own():
    first, second = lessons("smoke", 0), lessons("smoke", 1)
    assert sorted(row.text for row in first.rows) == sorted(row.text for row in second.rows)
    assert [row.text for row in first.rows] != [row.text for row in second.rows]
    assert count_of("smoke", 0.2) == 160 <= len(first.rows)


def test_mixed_up_lessons_have_the_same_completions_for_other_prompts():
    right, wrong = lessons("smoke", 0), lessons("smoke", 0, mixed_up=True)
    assert [row.text for row in right.rows] == [row.text for row in wrong.rows]
    given, taken = ([row.completions for row in each.rows] for each in (right, wrong))
    assert taken == given[1:] + given[:1]


def test_the_best_reference_of_a_prompt_counts():
    answers = [
        Answer(prompt="", text=text, tokens=1, finished=True, columns={"references": ["a b", "c d"]})
        for text in ("c", "a b", "e")
    ]
    np.testing.assert_allclose(rouges(answers), [2 / 3, 1, 0])
