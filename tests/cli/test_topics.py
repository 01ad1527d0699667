import json
import os
import re
import signal

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from culet.cli import topics
from culet.core import Interrupted
from culet.inference import LDA

COLUMNS = re.compile(r"^ *[\d.]+%  \w+", re.MULTILINE)


@pytest.fixture
def run():
    app = typer.Typer()
    topics.register(app)
    app.callback()(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, ["topics", *map(str, arguments)])


@pytest.fixture
def texts(tmp_path):
    groups = (["sun", "rain", "wind", "snow", "storm"], ["bread", "soup", "rice", "salt", "cheese"])
    generator = np.random.default_rng(0)
    lines = [json.dumps({"text": " ".join(generator.choice(groups[i % 2], 12))}) for i in range(60)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    return tmp_path / "texts.jsonl"


def test_topics_in_words_a_score_a_picture_and_a_model(run, texts, tmp_path):
    out = tmp_path / "out"
    done = run(texts, "--out", out, "--topics", 2, "--passes", 8, "--batch-size", 18, "--words", 5, "--max-share", 1)
    assert done.exit_code == 0, done.output
    rows = [line.split()[1:] for line in (out / "topics.txt").read_text().splitlines()]
    assert {frozenset(row) for row in rows} == {
        frozenset(["sun", "rain", "wind", "snow", "storm"]),
        frozenset(["bread", "soup", "rice", "salt", "cheese"]),
    }
    assert len(COLUMNS.findall(done.output)) == 2 and "2 of 2 topics in use" in done.output
    score = float(re.findall(r"(-[\d.]+) nats per word", done.output)[0])
    assert -2.0 < score < -1.5  # log(1/5) is -1.61
    assert (out / "topics.png").stat().st_size > 10_000
    assert {"loss.png", "log.jsonl"} <= {path.name for path in out.iterdir()} and not (out / "checkpoints").exists()
    scored = run(texts, "--load", out)
    assert scored.exit_code == 0 and scored.output.count("texts.jsonl:") == 60


def test_a_stopped_run_goes_on_and_ends_the_same(run, texts, tmp_path, monkeypatch):
    arguments = ["--topics", 2, "--passes", 3, "--batch-size", 18, "--max-share", 1]
    whole = run(texts, "--out", tmp_path / "whole", *arguments)
    updated, steps = LDA._updated, []

    def stopping(*given):
        steps.append(given[3])
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return updated(*given)

    monkeypatch.setattr(LDA, "_updated", stopping)
    stopped = run(texts, "--out", tmp_path / "cut", *arguments)
    assert isinstance(stopped.exception, Interrupted) and "where the same run goes on" in str(stopped.exception)
    again = run(texts, "--out", tmp_path / "cut", *arguments)
    assert again.exit_code == 0 and steps == list(range(9))
    assert again.stdout.replace("cut", "whole") == whole.stdout
    for name in ("topics.json", "topics.safetensors", "topics.txt"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sparse", "--model", "hdp"], "--sparse goes with"),
        (["--topics", "200", "--max-share", "1"], "200 topics need at least as many documents"),
        (["--min-documents", "61"], "an empty corpus"),
        (["--load", "nowhere"], "no topic model"),
        (["--stop-words", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_told(run, texts, arguments, message):
    done = run(texts, *arguments)
    assert isinstance(done.exception, ValueError | OSError) and message in str(done.exception)
