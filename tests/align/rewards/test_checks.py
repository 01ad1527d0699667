import numpy as np
import pytest

from culet.align.rewards import (
    Answer,
    combined,
    exact_number,
    exact_text,
    keyword_count,
    keywords,
    length_near,
    length_penalty,
    matches,
    rewards_of,
    standardised,
)


def given(*texts, **columns):
    return [Answer(prompt="Say", text=text, tokens=3, columns=columns) for text in texts]


def values(reward, *texts, **columns):
    return rewards_of(reward, given(*texts, **columns)).tolist()


def test_exact_text_after_normalisation():
    reward = exact_text(column="answer")
    texts = ("paris", ' "PARIS." ', "**Pa-ris**", "Paris, France", "")
    assert values(reward, *texts, answer="Paris") == [1, 1, 0, 0, 0]
    assert values(reward, "new   york\n", "newyork", "\uff2eew York", answer="New York") == [1, 0, 1]
    assert values(reward, "42", "43", answer=42) == [1, 0]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("So she sold 1,250 clips.\n#### 1,250", True),
        ("#### 1250.00 (not 7)", True),  # the first number after the mark, not the last
        ("It is 7, no: $1,250.", True),  # without the mark the last number, and not its full stop
        ("#### 7\nNo, I was wrong\n#### 1250", True),
        ("1250 or maybe 1251", False),
        ("1250\n####", False),  # the mark without a number
        ("-1250", False),
        ("125 0", False),
        ("x1250", False),
        ("no idea", False),
        ("", False),
    ],
)
def test_the_number_of_an_answer(text, right):
    gold = "Natalia sold 1000+250 = <<1000+250=1250>>1250 clips.\n#### 1250"
    assert values(exact_number(column="answer"), text, answer=gold) == [float(right)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5-3", 3),
        ("it fell by -3", -3),
        (".5", 0.5),
        ("half is 0.5", 0.5),
        ("-$4", -4),
        ("1,2,3", 3),
        ("10%", 10),
        ("0.00001", 1e-5),
        ("0.00001", 1e-5),
    ],
)
def test_forms_of_numbers(text, number):
    assert values(exact_number(column="answer"), text, answer=number) == [1]


def test_columns_that_cannot_be_compared_with_are_clear_errors():
    with pytest.raises(ValueError, match=r"no column 'gold' .* it has \['answer'\]"):
        values(exact_text(column="gold"), "a", answer="a")
    with pytest.raises(ValueError, match="column 'answer' holds list; it must hold a text or a number"):
        values(exact_text(column="answer"), "a", answer=["a"])
    with pytest.raises(ValueError, match=r"column 'answer' holds no number .*'none'"):
        values(exact_number(column="answer"), "1", answer="none")


def test_patterns():
    assert values(matches(pattern=r"\d{3}"), "call 112", "call") == [1, 0]
    assert values(matches(pattern=r"yes|no", whole=True), "yes", "yes!", "no") == [1, 0, 1]
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression"):
        matches(pattern="(")


def test_lengths():
    answers = ("one two", "one two three four", "", "a b c d e f g h i j k l")
    np.testing.assert_allclose(values(length_near(target=4), *answers), [-0.5, 0, -1, -2])
    np.testing.assert_allclose(values(length_near(target=5, unit="characters"), "abc", "é€"), [-0.4, -0.6])
    np.testing.assert_allclose(values(length_penalty(per_unit=0.5), "whatever"), [-1.5])  # three tokens
    with pytest.raises(ValueError, match="target is 0"):
        length_near(target=0)
    with pytest.raises(ValueError, match=r"per_unit is -1\.0"):
        length_penalty(per_unit=-1.0)


def test_keywords():
    reward = keywords(wanted=["cat", "C++"], forbidden=["dog"])
    found = values(reward, "A Cat writes C++ code", "cats", "Dog, cat", "")
    np.testing.assert_allclose(found, [1, 1 / 3, 1 / 3, 1 / 3])
    counted = keyword_count(keyword="war", at_least=2, at_most=3)
    assert values(counted, "war", "War, war!", "war warm war war", "war war war war") == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: keywords(), "there are no keywords"),
        (lambda: keywords(wanted=["a"], forbidden=["A"]), "'a' is both wanted and forbidden"),
        (lambda: keywords(wanted=[" "]), "a keyword is empty"),
        (lambda: keywords(wanted="word"), "not one text"),
        (lambda: keyword_count(keyword="a"), "give bounds that ask something"),
        (lambda: keyword_count(keyword="a", at_least=3, at_most=2), "at least 3 and at most 2"),
    ],
)
def test_keywords_that_ask_nothing_are_clear_errors(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_weighted_sums_with_a_length_penalty():
    parts = {"right": exact_text(column="answer"), "length": length_penalty(per_unit=0.1)}
    reward = combined(rewards=parts, weights={"right": 2.0, "length": 0.5})
    np.testing.assert_allclose(values(reward, "a", "b", answer="a"), [2 - 0.15, -0.15], rtol=1e-6)
    with pytest.raises(ValueError, match="give each reward one weight"):
        combined(rewards=parts, weights={"right": 1.0})
    with pytest.raises(ValueError, match=r"the weight of length is 0\.0"):
        combined(rewards=parts, weights={"right": 1.0, "length": 0.0})
    broken = combined(rewards={"broken": lambda answers: np.array([np.nan])}, weights={"broken": 1.0})
    with pytest.raises(ArithmeticError, match="broken is nan for the answer 'a'"):
        values(broken, "a")


def test_standardised_rewards_have_mean_0_and_deviation_1_over_what_they_were_given():
    short, long, longer = (Answer(prompt="", text="", tokens=tokens) for tokens in (1, 3, 4))

    def length(answers):
        return np.array([float(answer.tokens) for answer in answers])

    reward = standardised(reward=length, answers=[short, long])
    assert reward([short, long, longer]).tolist() == [-1, 1, 2]
    assert reward([longer]).tolist() == [2]
    with pytest.raises(ValueError, match="gives all 2 answers the same, 3"):
        standardised(reward=length, answers=[long, long])
