"""Judged examples from files to rows, and what is wrong with those that cannot be learned from."""

import dataclasses
import gzip
import json

import numpy as np
import pytest

from culet.align.rewards import (
    Answer,
    Pair,
    Statement,
    labelled,
    preference_rows,
    read_preferences,
    read_statements,
    statement_rows,
)
from tests.lm.small import Letters

WORDS = Letters()


def write(folder, *lines, name="pairs.jsonl"):
    file = folder / name
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return file


def pair(first="a", second="b", label=1.0, prompt="c"):
    return Pair(prompt=prompt, first=first, second=second, label=label)


def statement(label, premise="ab", hypothesis="a"):
    return Statement(premise=premise, hypothesis=hypothesis, label=label)


def test_three_ways_to_write_a_pair(tmp_path):
    talk = "\n\nHuman: hi\n\nAssistant: ho\n\nHuman: so?\n\nAssistant:"
    file = write(
        tmp_path,
        {"prompt": "c", "chosen": "a", "rejected": "b"},
        {"prompt": "c", "first": "a", "second": "b", "label": 0.25},
        {"chosen": f"{talk} I would", "rejected": f"{talk} I will"},
        {"chosen": "one\ntwo three", "rejected": "one\ntwo four"},
        {"chosen": "one", "rejected": "once"},
    )
    assert list(read_preferences([file])) == [
        pair(),
        pair(label=0.25),
        pair(" I would", " I will", prompt=talk),
        pair("two three", "two four", prompt="one\n"),
        pair("one", "once", prompt=""),
    ]
    zipped = tmp_path / "pairs.jsonl.gz"
    zipped.write_bytes(gzip.compress(file.read_bytes()))
    assert list(read_preferences([zipped])) == list(read_preferences([file]))


def test_a_judge_gives_soft_labels():
    def judge(firsts, seconds):
        one, other = (np.array([len(answer.text) for answer in side]) for side in (firsts, seconds))
        return one / (one + other)

    sides = ("a", "bbb"), ("ab", "b")
    firsts, seconds = ([Answer(prompt="c", text=text, tokens=1) for text in side] for side in sides)
    found = labelled(judge, firsts, seconds)
    assert [dataclasses.replace(one, label=0.0) for one in found] == [pair("a", "ab", 0.0), pair("bbb", "b", 0.0)]
    np.testing.assert_allclose([one.label for one in found], [1 / 3, 3 / 4], rtol=1e-6)
    with pytest.raises(ValueError, match="1 first answers and 2 second ones"):
        labelled(judge, firsts[:1], seconds)
    with pytest.raises(ValueError, match="pair 1 answers two prompts"):
        labelled(judge, firsts, [seconds[0], Answer(prompt="a", text="b", tokens=1)])


def test_statements(tmp_path):
    file = write(
        tmp_path, {"premise": "p", "hypothesis": "h", "label": True}, {"premise": "", "hypothesis": "", "label": 0}
    )
    assert list(read_statements([file])) == [statement(1.0, "p", "h"), statement(0.0, "", "")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"prompt": "p", "chosen": "a"}, r'pairs.jsonl:2: the field "rejected" must be text, and it is missing'),
        ({"prompt": "p", "chosen": "a", "rejected": 3}, '"rejected" must be text, and it is a int'),
        ({"prompt": ["p"], "chosen": "a", "rejected": "b"}, '"prompt" must be text'),
        (
            {"prompt": "p", "first": "a", "second": "b"},
            'needs "chosen" and "rejected", or "first", "second" and "label"',
        ),
        ('{"first": "a", "second": "b", "label": NaN}', "\"label\" must be a number from 0 to 1, and it is 'nan'"),
        ('{"first": "a", "second": "b", "label": 1.5}', "it is '1.5'"),
        ('{"first": "a", "second": "b", "label": "1"}', "must be a number"),
        ('{"first": "a", "second": "b", "label": -0.5}', "it is '-0.5'"),
        ('{"first": "a", ', "not valid JSON"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, message):
    file = write(tmp_path, {"prompt": "p", "chosen": "a", "rejected": "b"}, line)
    with pytest.raises(ValueError, match=message):
        list(read_preferences([file]))


def test_files_without_examples(tmp_path):
    with pytest.raises(ValueError, match="no pair of answers in there"):
        list(read_preferences([write(tmp_path)]))
    with pytest.raises(ValueError, match="no statement in there"):
        list(read_statements([write(tmp_path)]))
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        list(read_preferences([tmp_path / "none.jsonl"]))
    with pytest.raises(ValueError, match="not a kind of file"):
        list(read_preferences([write(tmp_path, name="pairs.txt")]))


def test_rows_of_pairs():
    """Beginning 2, prompt, answer, end 1; a, b, c are 3, 4, 5."""
    rows = preference_rows([pair("a", "bc", 0.75), pair("b", "b", 1.0, "")], WORDS, 5)
    np.testing.assert_array_equal(rows["tokens"][0], [[2, 5, 3, 1, 0], [2, 5, 4, 5, 1]])
    np.testing.assert_array_equal(rows["tokens"][1], [[2, 4, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(rows["lengths"], [[4, 5], [3, 3]])
    np.testing.assert_array_equal(rows["labels"], [0.75, 1])
    np.testing.assert_array_equal(rows["weights"], [1, 0])  # the same answer twice says nothing


def test_rows_of_statements():
    """The premise ends with the end token, and so does the hypothesis."""
    rows = statement_rows([statement(1.0), statement(0.0, "c", "")], WORDS, 6)
    np.testing.assert_array_equal(rows["tokens"][:, 0], [[2, 3, 4, 1, 3, 1], [2, 5, 1, 1, 0, 0]])
    np.testing.assert_array_equal(rows["lengths"], [[6], [4]])
    np.testing.assert_array_equal(rows["weights"], [1, 1])


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "no pairs of answers to learn from"),
        ([pair("a", "a"), pair("b", "b")], "each of 2 pairs holds the same answer twice"),
        ([pair(label=0.5), pair(label=0.5), pair("a", "a")], "no pair of 3 says which answer is better"),
        ([pair(), pair(first="abc")], r"1 of 2 pairs do not fit into 5 tokens; the longest is pair 2 with 6"),
        ([pair(prompt="abcabc"), pair()], "longest is pair 1 with 9. Nothing is cut"),
    ],
)
def test_pairs_that_cannot_be_learned_from(pairs, message):
    with pytest.raises(ValueError, match=message):
        preference_rows(pairs, WORDS, 5)


@pytest.mark.parametrize("labels", [[0.0, 0.0], [0.2, 0.4], [0.5], [0.5, 1.0], [1.0]])
def test_statements_on_one_side_only_cannot_be_learned_from(labels):
    with pytest.raises(ValueError, match="it takes statements that follow and others that do not"):
        statement_rows([statement(label) for label in labels], WORDS, 9)


def test_no_statements():
    with pytest.raises(ValueError, match="no statements to learn from"):
        statement_rows([], WORDS, 9)
