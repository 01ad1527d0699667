"""`culet align` as a user runs it: a folder of prompts in, an aligned model, its front and a report out."""

import json

import jax
import pytest

from culet.core.log import read_log
from culet.lm import load, save, scaled, train_tokenizer
from tests.cli.test_cli import Cli

QUICK = [
    *("--set", "recipe.steps=4", "--set", "recipe.batch_size=2", "--set", "recipe.new_tokens=4"),
    *("--set", "recipe.evaluate_every=2", "--set", "recipe.checkpoint_every=2"),
]


@pytest.fixture
def cli(monkeypatch, capfd):
    return Cli(monkeypatch, capfd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and a file of prompts."""
    folder = tmp_path_factory.mktemp("align")
    words = train_tokenizer([f"line {i}: the cat saw {i * i} dogs." for i in range(40)], 400)
    config = scaled("gemma-2-2b", layers=2, width=16, heads=2, vocabulary=words.vocabulary, context=64)
    save(folder / "model", config.init(jax.random.key(0)), words)
    lines = [json.dumps({"prompt": f"line {i}: the"}) + "\n" for i in range(40)]
    (folder / "prompts.jsonl").write_text("".join(lines))
    return folder


def test_from_prompts_to_an_aligned_model(cli, folder, monkeypatch):
    monkeypatch.chdir(folder)
    plan = ["--model", "model", "--prompts", "prompts.jsonl", "--method", "reinforce", "--reward", "length-near",
            "--set", "reward.target=2", "--same-judge", *QUICK]  # fmt: skip
    out, _ = cli("align", *plan, "--out", "aligned")
    assert "aligned: an aligned model and report.html; try: culet generate aligned" in out
    assert [row["step"] for row in read_log(folder / "aligned" / "front.jsonl")] == [0, 2, 4]
    page = (folder / "aligned" / "report.html").read_text()
    assert "aligned by reinforce" in page and ": the" in page and "reward hacking would go unseen" in page
    load(folder / "aligned")
    before = {path: path.stat().st_mtime_ns for path in (folder / "aligned" / "checkpoints").iterdir()}
    cli("align", *plan, "--out", "aligned")  # is done already
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "aligned" / "checkpoints").iterdir()}
    message = cli.fails("align", *plan, "--out", "aligned", "--set", "recipe.seed=3")
    assert "aligned holds a run with another plan (recipe differ)" in message


def test_a_judge_that_does_not_answer_stops_the_run(cli, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "plan.toml").write_text(
        'model = "model"\nprompts = "prompts.jsonl"\nout = "judged"\n'
        'method = { name = "preferences" }\nevaluator = { name = "length-near", target = 3 }\n'
        'judge = { name = "endpoint-judge", url = "http://127.0.0.1:9", model = "none" }\n'
    )
    monkeypatch.setattr("culet.align.rewards.endpoint.LONGEST_WAIT", 0.01)
    _, err = cli("align", "plan.toml", *QUICK, code=1)
    message = err.splitlines()[-1]  # behind the bar of the run
    assert "http://127.0.0.1:9/chat/completions: no connection" in message and "is the server up" in message
    assert not (folder / "judged" / "model.safetensors").exists()


def test_what_a_plan_may_name_is_listed(cli):
    out, _ = cli("align", "--list")
    for name in ("j-bond", "reference_rate", "length-near", "endpoint-judge", "learning_rate"):
        assert name in out


def test_help_shows_a_plan(cli):
    out, _ = cli("align", "--help")
    assert "culet align" in out and "j-bond" in out
    assert "align" in cli("--help")[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--method", "magic"), "method 'magic' is unknown"),
        (("--model", "none"), "none"),
        (("--prompts", "none.jsonl"), "none.jsonl: no such file"),
        (("--set", "recipe.new_tokens=100"), "the model's context is 64"),
        (("--method", "preferences", "--set", "method.online=false"), "learns from 2 completions"),
    ],
    ids=str,
)
def test_bad_plans_leave_nothing_behind(cli, folder, monkeypatch, changed, message):
    monkeypatch.chdir(folder)
    plan = {"--model": "model", "--prompts": "prompts.jsonl", "--method": "reinforce", "--reward": "length-near"}
    settings = [*QUICK, "--set", "reward.target=2", "--same-judge", "--out", "bad"]
    for flag, value in zip(changed[::2], changed[1::2], strict=True):
        if flag == "--set":
            settings += [flag, value]
        else:
            plan[flag] = value
    assert message in cli.fails("align", *(part for pair in plan.items() for part in pair), *settings)
    assert not (folder / "bad").exists()
