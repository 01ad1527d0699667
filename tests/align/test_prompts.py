"""Batches of prompts, and completions of the data as rollouts."""

import numpy as np
import pytest

from culet.align.prompts import PromptRow, PromptSet
from tests.align.tiny import TEXTS, WORDS, prompts


def test_completions_of_the_data_end_with_the_end():
    rollout = prompts(completions=("ab", "c")).data(np.array([2, 0]), 2)
    a, b, c = WORDS.encode("abc", bos=False)
    assert rollout.completions.tolist() == [[a, b, 1, 0, 0], [c, 1, 0, 0, 0]] * 2
    assert np.asarray(rollout.mask).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]] * 2
    assert np.asarray(rollout.finished).all() and rollout.lengths.tolist() == [3, 2, 3, 2]
    assert rollout.prompts.tokens[0].tolist() == WORDS.encode("cab")


def test_completions_may_be_tokens_as_they_were_written():
    a, end = WORDS.encode("a", bos=False)[0], 1
    row = PromptRow(text="b", tokens=WORDS.encode("b"), completions=([a] * 5, [end]))  # cut off, and ended at once
    rollout = PromptSet([row], WORDS, new_tokens=5, batch_size=1).data(np.array([0]), 2)
    assert rollout.completions.tolist() == [[a] * 5, [end, 0, 0, 0, 0]]
    assert rollout.lengths.tolist() == [5, 1]


def test_a_step_has_the_same_prompts_whenever_it_is_asked_for():
    held = prompts(batch_size=3)
    seen = [held[step].tolist() for step in range(4)]
    assert seen == [prompts(batch_size=3)[step].tolist() for step in range(4)]
    assert sorted(number for step in seen for number in step) == sorted([*range(len(TEXTS))] * 3)


def test_the_first_prompts_are_as_wide_as_all():
    held = prompts(batch_size=2, completions=("ab", "c"))
    first = held.first(2)
    assert [row.text for row in first.rows] == TEXTS[:2]
    assert first.prompts.tokens.shape[1] == held.prompts.tokens.shape[1]  # the longest prompt is the third
    assert sorted(np.concatenate([first[0], first[1]]).tolist()) == [0, 0, 1, 1]
    assert first.data([1], 2).completions.tolist() == held.data([1], 2).completions.tolist()
    assert held[0].tolist() == prompts(batch_size=2)[0].tolist()  # which stays as it was
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"first {count} prompts were asked for, and there are 4"):
            held.first(count)


def test_prompts_in_another_order():
    held = prompts(batch_size=2)
    orders = {tuple(np.concatenate([one[0], one[1]]).tolist()) for one in map(held.reordered, range(8))}
    assert len(orders) > 1 and {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3)}
    assert held.reordered(0)[0].tolist() == held[0].tolist() == prompts(batch_size=2)[0].tolist()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "no prompts"),
        ([("a", ("b",)), ("c", ())], r"prompts have \[0, 1\] completions"),
        ([("a", ("",))], "completion 0 of prompt 0 is empty"),
        ([("a", ("b", []))], "completion 1 of prompt 0 is empty"),
        ([("a", ("abcabc",))], "has 7 tokens with its end; new tokens are limited to 5"),
    ],
)
def test_what_cannot_be_learned_from(rows, told):
    rows = [PromptRow(text=text, tokens=WORDS.encode(text), completions=given) for text, given in rows]
    with pytest.raises(ValueError, match=told):
        PromptSet(rows, WORDS, new_tokens=5, batch_size=2)


@pytest.mark.parametrize("teacher", [-1, "b", 0.5])
def test_a_teacher_is_a_number(teacher):
    with pytest.raises(ValueError, match='the column "teacher" is'):
        prompts(teacher=teacher)
