"""The scripts of `examples/` run, at sizes that take seconds, and print what they are about."""

import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
SHORT = {  # its arguments, and what it must print
    "align_with_a_reward.py": (["--steps", "2"], r"step +2: reward -?\d"),
    "distil_a_student.py": (["--steps", "2"], r"student: \d\.\d+ nats per held-out token"),
    "posterior_of_a_regression.py": ([], r"ADVI +mean \[ ?[12]\.\d+ +-[01]\.\d+ +0\.\d+ ?\], deviation \[0\.[0-4]"),
    "topics_of_a_corpus.py": (["--passes", "1"], r"held-out score: -[3-9]\.\d+ nats per token"),
    "train_and_talk.py": (["--steps", "2", "--out", "run"], r"loss on what it was trained on: [1-7]\.\d+"),
}


def test_all_examples_are_run():
    assert {file.name for file in FOLDER.glob("*.py")} == set(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_example(name, tmp_path, monkeypatch, capsys):
    arguments, wanted = SHORT[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.search(wanted, printed), printed
