import ast
import hashlib
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from culet.core.text import Document, hash_fraction
from culet.quickstart import corpus
from culet.quickstart.corpus import documents, entries, normalised

BY_NAME = {entry.name: entry for entry in entries()}
BY_TITLE = {document.title: document for document in documents()}


def test_it_is_large_and_titles_are_unique():
    assert sum(len(document.text.encode()) for document in documents()) > 1.8e6
    assert len(documents()) > 2500 and len(BY_TITLE) == len(documents())


def test_docstrings_are_those_python_itself_shows():
    for name in ("copyfile", "which", "rmtree"):
        shown = textwrap.dedent(getattr(shutil, name).__doc__.expandtabs()).strip()
        first, rest = shown.partition("\n")[::2]
        assert BY_NAME[f"shutil.{name}"].doc.split() == (first + rest).split() or first in BY_NAME[f"shutil.{name}"].doc
    assert BY_NAME["shutil.copyfile"].heading == "shutil.copyfile(src, dst, *, follow_symlinks=True)"
    assert BY_NAME["str.split"].heading == "str.split(sep=None, maxsplit=-1)"
    assert (
        BY_NAME["argparse.ArgumentParser"].heading
        == "class argparse.ArgumentParser(_AttributeHolder, _ActionsContainer)"
    )
    assert ">>> " in BY_TITLE["statistics"].text
    assert "decimal.Decimal" in BY_NAME and "_pydecimal.Decimal" not in BY_NAME


def test_a_class_stands_with_its_methods():
    text = BY_TITLE["queue.Queue"].text
    assert "class queue.Queue\n" in text and "queue.Queue.task_done()\n" in text and "(self" not in text


def test_no_paragraph_occurs_twice():
    counts = Counter(normalised(part) for document in documents() for part in document.text.split("\n\n"))
    assert not [text for text, count in counts.items() if count > 1 and len(text) > 100]


def test_text_is_clean():
    for document in documents():
        assert document.text.strip() and document.text.endswith("\n") and not document.text.startswith("\n")
        assert "\t" not in document.text or document.title.startswith("Python documentation")


def test_a_twentieth_is_held_out_and_always_the_same():
    held_out = [document for document in documents() if document.held_out]
    assert 0.03 < len(held_out) / len(documents()) < 0.07
    assert (
        not Document("queue.Queue", "").held_out
        and Document("glob.glob", "x").held_out == Document("glob.glob", "").held_out
    )


def test_nothing_is_imported_to_read_it():
    program = (
        "import sys; from culet.quickstart import corpus; corpus.documents()\n"
        "assert not {'jax', 'antigravity', 'turtle', 'tkinter', 'this', 'unittest'} & set(sys.modules)\n"
        "import hashlib; print(hashlib.sha256(repr(corpus.documents()).encode()).hexdigest())"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": "7"}
    child = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    assert child.stdout.strip() == hashlib.sha256(repr(documents()).encode()).hexdigest()


def test_a_python_without_sources_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no sources of the standard library"):
        corpus.entries.__wrapped__()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(self, a: int = 1): ...", "self, a=1"),
        ("class C:\n def f(self, a: int = 1, *, b): ...", "a=1, *, b"),
        ("class C:\n def f(self, /, a): ...", "a"),
        ("class C:\n def f(self=None): ...", "self=None"),
        ("class C:\n @staticmethod\n def f(a): ...", "a"),
    ],
)
def test_arguments_are_those_a_caller_gives(source, expected):
    made = list(corpus._definitions(ast.parse(source).body[0], "m", ""))
    assert made[-1].heading == f"{made[-1].name}({expected})"


def test_shares_are_even():
    shares = [hash_fraction(str(number)) for number in range(2000)]
    assert abs(sum(shares) / 2000 - 0.5) < 0.03 and 0 <= min(shares) < 0.01 and 0.99 < max(shares) < 1


def test_paths_become_module_names():
    assert corpus._module_name(Path("json/__init__.py")) == "json"
    assert corpus._module_name(Path("json/decoder.py")) == "json.decoder"
