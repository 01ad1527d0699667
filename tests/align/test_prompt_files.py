"""Prompts as users keep them."""

import json

import pytest

from culet.align.prompt_files import read_rows
from tests.align.tiny import WORDS


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
    ("rows", "told"),
    [
        ([], "no prompts in this file"),
        ([{"prompt": "a"}, {"prompt": "  "}], r"p.jsonl:2: the prompt is empty"),
        ([{"text": "a"}], r'p.jsonl:1: the field "prompt" must be text, and it is missing'),
        ([{"prompt": 3}], "must be text, and it is a int"),
        ([{"prompt": "a", "chosen": "b"}], 'the field "rejected" must be text, and it is missing'),
        ([{"prompt": "a", "chosen": "b", "rejected": "b"}], "the same text; there is nothing to prefer"),
        ([{"prompt": "a"}, {"prompt": "b", "completion": "c"}], r"rows have \[0, 1\] completions"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_told(tmp_path, rows, told):
    with pytest.raises(ValueError, match=told):
        read_rows(write(tmp_path / "p.jsonl", rows), WORDS)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.jsonl"):
        read_rows(tmp_path / "none.jsonl", WORDS)
