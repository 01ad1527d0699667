import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culet.lm.text_files import read_conversations, read_documents


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_folders_are_read_in_order_with_all_kinds_of_files(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "x.txt.gz", gzip.compress(b"zipped\r\ntext"))
    write(tmp_path / "c.jsonl", '{"text": "one"}\n\n{"text": "two", "id": 7}\n{"text": " "}\n')
    write(tmp_path / "a.txt", b"\xef\xbb\xbfplain")
    write(tmp_path / "ignored.md", "no")
    write(tmp_path / "d.jsonl.gz", gzip.compress(b'{"text": "three"}'))
    documents = [
        (document.title.removeprefix(f"{tmp_path}/"), document.text) for document in read_documents([tmp_path])
    ]
    assert documents == [
        ("a.txt", "plain"),
        ("b/x.txt.gz", "zipped\ntext"),
        ("c.jsonl:1", "one"),
        ("c.jsonl:3", "two"),
        ("d.jsonl.gz:1", "three"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', ":2: not valid JSON"),
        ("a.jsonl", "[" * 100_000, ":1: not valid JSON"),
        ("a.jsonl", "[1]", ":1: each line must hold one JSON object, this one holds a list"),
        ("a.jsonl", '{"texts": "x"}', ':1: the field "text" must be text, and it is missing'),
        ("a.jsonl", '{"text": null}', "it is a NoneType"),
        ("a.jsonl", '{"text": "\\ud800"}', "lone surrogate"),
        ("a.txt", b"fine\nnot \xff fine", "a.txt: line 2 is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n"\xe6\xbc"', "line 2 is not UTF-8"),
        ("a.txt", "  \n", "no text in there"),
        ("a.jsonl", "", "no text in there"),
        ("a.txt.gz", b"not gzip", "not a whole gzip file"),
        ("a.txt.gz", gzip.compress(b"x" * 1000, mtime=0)[:-12], "not a whole gzip file"),
        ("a.pdf", "x", "not a kind of file that is read"),
    ],
)
def test_unusable_documents_are_named(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=message) as problem:
        list(read_documents([path]))
    assert str(path) in str(problem.value)


def test_missing_files_and_empty_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        list(read_documents([tmp_path / "absent"]))
    with pytest.raises(FileNotFoundError, match="holds no file"):
        list(read_documents([tmp_path]))
    with pytest.raises(ValueError, match="no files were given"):
        list(read_documents([]))


def test_conversations_come_in_two_forms(tmp_path):
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "extra": 1}]
    lines = [{"messages": messages}, {"prompt": "c", "completion": "d"}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert list(read_conversations([path])) == [
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}],
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "x"}', ':1: needs "messages"'),
        ('{"messages": []}', ':1: needs "messages"'),
        ('{"messages": ["x"]}', ":1: message 0 must be an object"),
        ('{"messages": [{"role": "user"}]}', ':1: message 0: the field "content" must be text, and it is missing'),
        ('{"prompt": "x", "completion": 3}', 'the field "completion" must be text, and it is a int'),
        ("", "no conversation in there"),
    ],
)
def test_unusable_conversations_are_named(tmp_path, line, message):
    path = write(tmp_path / "a.jsonl", line)
    with pytest.raises(ValueError, match=message) as problem:
        list(read_conversations([path]))
    assert str(path) in str(problem.value)


def test_conversations_are_not_plain_text(tmp_path):
    with pytest.raises(ValueError, match=r"read from \.jsonl files"):
        list(read_conversations([write(tmp_path / "a.txt", "x")]))


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_documents_or_one_clear_error(tmp_path_factory, content):
    path = write(tmp_path_factory.getbasetemp() / "fuzz.jsonl", content)
    for read in (read_documents, read_conversations):
        try:
            list(read([path]))
        except ValueError as problem:
            assert str(problem).startswith(str(path)) and len(str(problem)) < 400
