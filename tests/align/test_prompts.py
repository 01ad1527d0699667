"""Prompts as users keep them, their batches, and completions of the data as rollouts."""

import json

import numpy as np
import pytest

from culet.align.prompts import PromptRow, PromptSet, read_rows
from tests.align.tiny import TEXTS, WORDS, prompts


def test_completions_of_the_data_end_with_the_end():
    rollout = prompts(completions=("ab", "c")).data(np.array([2, 0]), 2, 5)
    a, b, c = WORDS.encode("abc", bos=False)
    assert rollout.completions.tolist() == [[a, b, 1, 0, 0], [c, 1, 0, 0, 0]] * 2
    assert np.asarray(rollout.mask).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]] * 2
    assert np.asarray(rollout.finished).all() and rollout.lengths.tolist() == [3, 2, 3, 2]
    assert rollout.prompts.tokens[0].tolist() == WORDS.encode("cab")


def test_completions_may_be_tokens_as_they_were_written():
    a, end = WORDS.encode("a", bos=False)[0], 1
    row = PromptRow(text="b", tokens=WORDS.encode("b"), completions=([a] * 5, [end]))  # cut off, and ended at once
    rollout = PromptSet([row], WORDS).data(np.array([0]), 2, 5)
    assert rollout.completions.tolist() == [[a] * 5, [end, 0, 0, 0, 0]]
    assert rollout.lengths.tolist() == [5, 1] and rollout.finished.tolist() == [False, True]


def test_a_step_has_the_same_prompts_whenever_it_is_asked_for():
    held = prompts().batches(3, 0)
    seen = [held[step]["row"].tolist() for step in range(4)]
    assert seen == [prompts().batches(3, 0)[step]["row"].tolist() for step in range(4)]
    assert sorted(number for step in seen for number in step) == sorted([*range(len(TEXTS))] * 3)


def test_the_first_prompts_are_as_wide_as_all():
    held = prompts(completions=("ab", "c"))
    first = held.first(2)
    assert [row.text for row in first.rows] == TEXTS[:2]
    assert first.prompts.tokens.shape[1] == held.prompts.tokens.shape[1]  # the longest prompt is the third
    batches = first.batches(2, 0)
    assert sorted(np.concatenate([batches[0]["row"], batches[1]["row"]]).tolist()) == [0, 0, 1, 1]
    assert first.data([1], 2, 4).completions.tolist() == held.data([1], 2, 4).completions.tolist()
    assert len(held.rows) == 4  # which stays as it was
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"first {count} prompts were asked for, and there are 4"):
            held.first(count)


def test_prompts_in_another_order():
    by_seed = [prompts().batches(2, seed) for seed in range(8)]
    orders = {tuple(np.concatenate([one[0]["row"], one[1]["row"]]).tolist()) for one in by_seed}
    assert len(orders) > 1 and {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3)}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no prompts"),
        ([("a", ("b",)), ("c", ())], r"prompts have \[0, 1\] completions"),
        ([("a", ("",))], "completion 0 of prompt 0 is empty"),
        ([("a", ("b", []))], "completion 1 of prompt 0 is empty"),
        ([("a", ("abcabc",))], "has 7 tokens with its end; new tokens are limited to 5"),
    ],
)
def test_what_cannot_be_learned_from(rows, message):
    rows = [PromptRow(text=text, tokens=WORDS.encode(text), completions=given) for text, given in rows]
    with pytest.raises(ValueError, match=message):
        PromptSet(rows, WORDS).data(range(len(rows)), 1, 5)


@pytest.mark.parametrize("teacher", [-1, "b", 0.5])
def test_a_teacher_is_a_number(teacher):
    with pytest.raises(ValueError, match='the column "teacher" is'):
        prompts(teacher=teacher)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_lines_of_json_with_what_stands_beside(tmp_path):
    rows = [{"prompt": "ab", "answer": 3, "completion": "c"}, {"prompt": "c", "answer": 4, "completion": "a"}]
    first, second = read_rows(write(tmp_path / "p.jsonl", rows), WORDS)
    assert (first.text, list(first.tokens), first.completions) == ("ab", WORDS.encode("ab"), ("c",))
    assert first.columns == {"answer": 3, "completion": "c"}
    assert second.text == "c"


def test_a_column_of_a_parquet_file_says_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"ask": "ab", "chosen": "c", "rejected": "b"}, {"ask": "c", "chosen": "a", "rejected": "bb"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    assert read_rows(tmp_path / "p.parquet", WORDS, column="ask") == read_rows(
        write(tmp_path / "p.jsonl", rows), WORDS, column="ask"
    )
    (tmp_path / "broken.parquet").write_bytes((tmp_path / "p.parquet").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"broken\.parquet: not a readable Parquet file"):
        read_rows(tmp_path / "broken.parquet", WORDS)


def test_a_text_with_a_prompt_on_each_line(tmp_path):
    (tmp_path / "p.txt").write_text("ab\n\nc\n")
    assert [row.text for row in read_rows(tmp_path / "p.txt", WORDS)] == ["ab", "c"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no prompts in this file"),
        ([{"prompt": "a"}, {"prompt": "  "}], r"p.jsonl:2: the prompt is empty"),
        ([{"text": "a"}], r'p.jsonl:1: the field "prompt" must be text, and it is missing'),
        ([{"prompt": 3}], "must be text, and it is a int"),
        ([{"prompt": "a", "chosen": "b"}], 'the field "rejected" must be text, and it is missing'),
        ([{"prompt": "a", "chosen": "b", "rejected": "b"}], "the same text; a pair needs two different ones"),
        ([{"prompt": "a"}, {"prompt": "b", "completion": "c"}], r"rows have \[0, 1\] completions"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_an_error(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_rows(write(tmp_path / "p.jsonl", rows), WORDS)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.jsonl"):
        read_rows(tmp_path / "none.jsonl", WORDS)
