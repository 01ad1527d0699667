import numpy as np
import pytest

from culet.align.rewards import Answer, rewards_of

ANSWERS = [Answer(prompt="Say", text=text, tokens=len(text)) for text in ("a", "bb", "c" * 100)]


def test_each_answer_gets_its_number_in_float32():
    found = rewards_of(lambda answers: np.array([len(answer.text) for answer in answers]), ANSWERS)
    np.testing.assert_array_equal(found, np.array([1, 2, 100], np.float32), strict=True)


@pytest.mark.parametrize("given", [np.zeros(2), np.zeros((3, 1)), np.float64(1), np.array(["a", "b", "c"])])
def test_another_shape_or_kind_is_an_error_that_names_the_reward(given):
    with pytest.raises(ValueError, match=r"politeness gave .* for 3 answers; it must give one number for each"):
        rewards_of(lambda answers: given, ANSWERS, "politeness")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_an_error_that_shows_the_answer(bad):
    with pytest.raises(ArithmeticError, match=r"politeness is .* for the answer 'c{57}\.\.\.'"):
        rewards_of(lambda answers: np.array([0, 1, bad]), ANSWERS, "politeness")
