import inspect
import math
import re
import shutil
from collections import Counter

import pytest

from culet.quickstart.corpus import Entry, documents, normalised
from culet.quickstart.questions import MOST_WORDS, first_sentence, questions

BY_SOURCE: dict[str, dict[str, str]] = {}
for pair in questions():
    BY_SOURCE.setdefault(pair.source, {})[pair.question] = pair.answer


def test_there_are_thousands_of_short_ones_and_none_twice():
    assert len(questions()) > 8000
    assert max(len(pair.answer.split()) for pair in questions()) <= MOST_WORDS
    assert len({normalised(pair.question) for pair in questions()}) == len(questions())


def test_both_kinds_of_held_out_questions_exist_and_no_object_is_on_both_sides():
    kinds = Counter((pair.held_out, pair.seen) for pair in questions())
    assert set(kinds) == {(False, True), (True, True), (True, False)}
    assert min(kinds.values()) > 0.02 * len(questions())
    sides: dict[str, set[bool]] = {}
    for pair in questions():
        sides.setdefault(pair.source, set()).add(pair.held_out)
    assert max(map(len, sides.values())) == 1


def test_what_was_never_seen_is_nowhere_in_training():
    training = normalised("\n".join(document.text for document in documents() if not document.held_out))
    learned = {normalised(pair.answer) for pair in questions() if not pair.held_out}
    describing = re.compile(r"What (does|is) `[\w.]+` (do|for)\?|Explain")
    examined = [p for p in questions() if p.held_out and not p.seen and describing.match(p.question)]
    assert len(examined) > 50
    for pair in examined:
        assert normalised(pair.answer) not in training
        assert normalised(pair.answer) not in learned


def test_answers_agree_with_python_itself():
    answers = BY_SOURCE["shutil.copyfile"]
    assert "It takes `src` and `dst`, and by keyword `follow_symlinks`." in answers.values()
    assert answers["What is the default of `follow_symlinks` in `shutil.copyfile`?"] == "It is `True`."
    assert "It is a function." in answers.values()
    for question, answer in BY_SOURCE["shutil.which"].items():
        if asked := re.fullmatch(r"Does `shutil.which` take an argument called `(\w+)`\?", question):
            assert answer.startswith("Yes") == (asked[1] in inspect.signature(shutil.which).parameters)
    assert any(first and first in (math.gcd.__doc__ or "") for first in BY_SOURCE["math.gcd"].values())


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("Do a thing.  Then another.", "Do a thing."),
        ("Do a thing, e.g. This one. Then", "Do a thing, e.g. This one."),
        ("do a thing\nover two lines\n\nMore.", "Do a thing over two lines."),
        ("f(x) -> y\n\nDo a thing.", "Do a thing."),
        ("f -- do a thing", "Do a thing."),
        ("Use :class:`Some` and ``this`` one.", "Use `Some` and `this` one."),
        ("Do:", None),
        (">>> f(1) is 2", None),
        ("", None),
        ("Too " + "long " * 40, None),
    ],
)
def test_first_sentences(doc, expected):
    assert first_sentence(Entry("m.f", "function", doc, "m.f")) == expected
