import json
import re

import pytest
from rich.console import Console

from culet.core import Interrupted
from culet.core.text import Document
from culet.lm import generate, load
from culet.quickstart import Plan, _quickstart
from culet.quickstart.questions import QuestionAnswer

PLAN = Plan(
    vocabulary=400, length=16, answer_length=64, context=96, window=8, batch_size=4, teacher_width=16,
    teacher_layers=2, student_width=8, student_layers=2, steps=4, tuning_steps=4, checkpoint_every=2,
    evaluate_every=2, asked=3,
)  # fmt: skip
QUIET = Console(quiet=True)


def pair(number: int, held_out: bool, seen: bool = True) -> QuestionAnswer:
    kind = "module" if number % 2 else "default"
    return QuestionAnswer(f"Where is f{number}?", f"It is in m{number % 3}.", f"f{number}", held_out, seen, kind)


@pytest.fixture(scope="module")
def small_world():
    """A few made-up documents and questions in place of Python's."""
    texts = [Document(f"d{i}", f"Return the value number {i} of the list, if there is one.\n" * 3) for i in range(80)]
    pairs = [pair(i, False) for i in range(20)] + [pair(i, True, i < 24) for i in range(20, 28)]
    assert {document.held_out for document in texts} == {True, False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_quickstart, "documents", lambda: tuple(texts))
        patch.setattr(_quickstart, "questions", lambda: tuple(pairs))
        yield


@pytest.fixture(scope="module")
def whole(small_world, tmp_path_factory):
    """The folder and the summary of a run from end to end."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, _quickstart.quickstart(folder, PLAN, QUIET)


def test_all_stages_leave_what_was_promised(whole):
    folder, summary = whole
    names = {path.name for path in folder.iterdir()}
    assert names >= {"teacher", "student", "twin", "model", "tokenizer", "report.html", "losses.png", "held_out.png"}
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "<script" not in page
    assert "m1" in page
    assert summary["models"]["student"]["parameters"] == summary["models"]["twin"]["parameters"]
    rows = summary["examination"]["scores"]
    assert [row["questions"] for row in rows if row["kind"] == "all"] == [3, 3]
    model, tokenizer = load(folder / "model")
    assert len(generate(model, tokenizer, ["Return"], max_new_tokens=3)) == 1


def test_student_and_twin_learn_from_equal_tokens(whole):
    folder, _ = whole
    logs = [
        [json.loads(line)["tokens"] for line in (folder / "runs" / name / "log.jsonl").read_text().splitlines()]
        for name in ("student", "twin")
    ]
    assert logs[0] == logs[1] != []


def test_a_stopped_run_ends_like_one_that_was_not(whole, tmp_path, monkeypatch):
    calls = []

    def stopped_in_the_third(real):
        def run(*arguments, **options):
            calls.append(options["name"])
            if len(calls) == 3:
                raise Interrupted(2, None)
            return real(*arguments, **options)

        return run

    for name in ("train", "distil"):
        monkeypatch.setattr(_quickstart, name, stopped_in_the_third(getattr(_quickstart, name)))
    with pytest.raises(Interrupted):
        _quickstart.quickstart(tmp_path / "stopped", PLAN, QUIET)
    again = _quickstart.quickstart(tmp_path / "stopped", PLAN, QUIET)
    assert calls == ["teacher", "student", "twin", "twin", "tuning"]
    assert again["models"] == whole[1]["models"]
    assert again["samples"] == whole[1]["samples"]


def test_another_plan_does_not_go_on_in_the_same_folder(small_world, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        _quickstart.quickstart(tmp_path, PLAN, QUIET)
