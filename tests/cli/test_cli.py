"""Every command as a user runs it, and the one line that bad input gives. Models have two layers of width 16."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from culet.cli import app
from culet.cli.options import reflowed

SCALED = "layers=2,width=16,heads=2,kv_heads=1,hidden=16,vocabulary=400,window=8,context=96"
QUICK = ("--steps", "2", "--batch-size", "2", "--length", "16", "--checkpoint-every", "1", "--evaluate-every", "1")
COMMANDS = ("tokenizer", "train", "distil", "eval", "generate", "chat", "inspect", "convert", "merge")


class Cli:
    """Runs the command line in this process: exit code, standard output and standard error."""

    def __init__(self, monkeypatch, capfd):
        self.monkeypatch, self.capfd = monkeypatch, capfd

    def __call__(self, *arguments, code: int = 0) -> tuple[str, str]:
        self.monkeypatch.setattr(sys, "argv", ["culet", *map(str, arguments)])
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = self.capfd.readouterr()
        assert (end.value.code or 0) == code, err
        assert "Traceback" not in err
        return out, err

    def fails(self, *arguments) -> str:
        """The one line that says why."""
        _, err = self(*arguments, code=1)
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("error: "), err
        return lines[0]


@pytest.fixture
def cli(monkeypatch, capfd):
    return Cli(monkeypatch, capfd)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Texts, conversations, a tokenizer and a trained model."""
    folder = tmp_path_factory.mktemp("made")
    lines = [f"line {i}: the cat saw {i * i} dogs, and sat down." for i in range(80)]
    (folder / "text.txt").write_text("\n".join(lines))
    talks = [{"prompt": f"line {i}?", "completion": "a cat"} for i in range(6)]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, talks)))
    with pytest.MonkeyPatch.context() as patch:
        new = ("--preset", "gemma-2-2b", "--scaled", SCALED, "--tokenizer", "tokenizer")
        for arguments in (
            ("tokenizer", "text.txt", "--vocabulary", "400", "--out", "tokenizer"),
            ("train", "text.txt", *new, "--out", "model", *QUICK),
        ):
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["culet", *arguments])
            with pytest.raises(SystemExit) as end:
                app.main()
            assert not end.value.code
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(cli, command):
    out, _ = cli(command, "--help")
    assert "Usage:" in out and "culet" in out
    assert command in cli("--help")[0]


def test_paragraphs_of_help_are_wrapped_by_the_terminal_alone():
    doc = """Trains a model.

    First half of a line,
    second half.

    [dim]culet one[/]
    [dim]culet two[/]
    """
    examples = "[dim]culet one[/]\n[dim]culet two[/]"
    assert reflowed(doc) == f"Trains a model.\n\nFirst half of a line, second half.\n\n{examples}"


def test_inspect(cli, made):
    out, _ = cli("inspect")
    assert "27,009,002,240" in out and "recurrent-gemma-9b" in out and "…" not in out
    assert "10.4 GiB" in cli("inspect", "gemma-3-27b", "--length", 131072)[0]
    found = json.loads(cli("inspect", made / "model", "--json", "--batch", 3, "--length", 10)[0])
    assert found["cache_bytes"] == 3 * 2 * 2 * 8 * (8 + 10) and found["kinds"] == "LG"
    assert "neither a preset" in cli.fails("inspect", "gemma-9")
    assert "'int4' is none of" in cli.fails("inspect", "gemma-2b", "--dtype", "int4")


def test_the_tokenizer_says_its_size(cli, made, tmp_path):
    out, _ = cli("tokenizer", made / "text.txt", "--vocabulary", 380, "--out", tmp_path / "t")
    assert out == f"{tmp_path / 't'}: 380 tokens\n"
    assert "too small" in cli.fails("tokenizer", made / "text.txt", "--vocabulary", 310, "--out", tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_the_same_training_again_goes_on_and_ends_at_once(cli, made):
    before = content(made / "model")
    command = ("train", made / "text.txt", "--preset", "gemma-2-2b", "--scaled", SCALED)
    cli(*command, "--tokenizer", made / "tokenizer", "--out", made / "model", *QUICK)
    assert content(made / "model") == before
    steps = [json.loads(line)["step"] for line in (made / "model" / "log.jsonl").read_text().splitlines()]
    assert steps[-1] == 2
    assert "trained for 2 steps already" in cli.fails(
        *command, "--tokenizer", made / "tokenizer", "--out", made / "model", *QUICK, "--steps", 1
    )


def test_tuning_on_conversations_with_adapters(cli, made, tmp_path):
    out, _ = cli(
        "train", made / "talks.jsonl", "--chat", "--model", made / "model", "--lora-rank", 2,
        "--held-out", made / "talks.jsonl", "--out", tmp_path / "tuned", *QUICK, "--length", 32,
    )  # fmt: skip
    assert f"try: culet generate {tmp_path / 'tuned'}" in out
    assert "evaluation/loss" in (tmp_path / "tuned" / "log.jsonl").read_text()
    assert not any("lora" in name for name in content(tmp_path / "tuned"))
    found = json.loads(cli("eval", tmp_path / "tuned", made / "talks.jsonl", "--chat", "--length", 32)[0])
    assert found["tokens"] > 6 and found["perplexity"] > 1


def test_a_reward_model_and_one_of_entailment(cli, made, tmp_path):
    from culet.align.rewards import load_reward_model

    pairs = [{"prompt": f"line {i}?", "chosen": " a cat", "rejected": " a dog"} for i in range(6)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    follows = [{"premise": "a cat sat", "hypothesis": f"a {what}", "label": what == "cat"} for what in ("cat", "dog")]
    (tmp_path / "follows.jsonl").write_text("\n".join(map(json.dumps, follows)))
    command = (
        "train",
        tmp_path / "pairs.jsonl",
        "--preferences",
        "--model",
        made / "model",
        "--length",
        32,
        *QUICK[:4],
    )
    out, _ = cli(*command, "--held-out", tmp_path / "pairs.jsonl", "--out", tmp_path / "reward")
    assert out.startswith(
        f"{tmp_path / 'reward'}: a model of reward, trained on 6 examples; on 6 held-out ones: accuracy "
    )
    assert "evaluation/accuracy" in (tmp_path / "reward" / "log.jsonl").read_text()
    assert load_reward_model(tmp_path / "reward")[0].meaning == "reward"
    assert "score.weight" in cli.fails("generate", tmp_path / "reward", "a")
    new = ("--preset", "griffin-100m", "--scaled", SCALED, "--lora-rank", 2, "--length", 32, *QUICK[:4])
    new = ("train", tmp_path / "follows.jsonl", "--entailment", "--tokenizer", made / "tokenizer", *new)
    assert "trained on 2 examples" in cli(*new, "--out", tmp_path / "judge")[0]
    assert load_reward_model(tmp_path / "judge")[0].meaning == "entailment"


def test_distilling_and_evaluating(cli, made, tmp_path):
    student = ("--preset", "griffin-100m", "--scaled", SCALED, "--out", tmp_path / "s")
    cli("distil", made / "model", made / "text.txt", *student, "--share", 0.5, *QUICK)  # the name before --fraction
    assert "forward_kl" in (tmp_path / "s" / "log.jsonl").read_text()
    found = json.loads(cli("eval", tmp_path / "s", made / "text.txt", "--length", 16)[0])
    assert 3 < found["loss"] < 8 and found["bits_per_byte"] > 0


def test_convert_halves_the_bytes_and_cuts_shards(cli, made, tmp_path):
    out, _ = cli("convert", made / "model", tmp_path / "half", "--dtype", "bfloat16")
    weights = "model.safetensors"
    sizes = [(folder / weights).stat().st_size for folder in (made / "model", tmp_path / "half")]
    assert sizes[1] < 0.6 * sizes[0] and "bfloat16 weights in 1 file\n" in out
    cli("convert", tmp_path / "half", tmp_path / "back", "--dtype", "float32")
    assert json.loads(cli("eval", tmp_path / "back", made / "text.txt", "--length", 16)[0])["loss"] < 8
    assert "dtype 'int8' is not one of" in cli.fails("convert", made / "model", tmp_path / "x", "--dtype", "int8")
    assert not (tmp_path / "x").exists()


def test_generate(cli, made, tmp_path):
    few = ("--max-new-tokens", 4)
    model = made / "model"
    streamed = cli("generate", model, "line 1", *few)[0]
    found = json.loads(cli("generate", model, "line 1", "--json", *few)[0])
    assert streamed == found["text"] + "\n" and len(found["tokens"]) == len(found["logprobs"]) == 4
    (tmp_path / "p.jsonl").write_text('{"prompt": "a cat"}\n{"prompt": "dogs"}\n')
    out, _ = cli("generate", model, "line 1", "--file", tmp_path / "p.jsonl", *few)
    assert [line for line in out.splitlines() if line.startswith("--- ")] == ["--- line 1", "--- a cat", "--- dogs"]
    sampled = [cli("generate", model, "a", "--temperature", 1, "--seed", seed, *few)[0] for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]
    talked = json.loads(cli("generate", model, "hello", "--chat", "--json", *few)[0])
    assert talked["prompt"] == "hello" and talked["tokens"] != found["tokens"]


def test_chat_reads_lines_until_there_are_none(made):
    done = run(["chat", made / "model", "--max-new-tokens", 3], input="hello\n/new\nand you?\n")
    assert done.returncode == 0 and len(done.stdout.splitlines()) >= 2, done.stderr
    assert "Traceback" not in done.stderr
    long = run(["chat", made / "model", "--max-new-tokens", 3], input="hello " * 100)
    assert long.returncode == 1 and "context is 96" in long.stderr and "Traceback" not in long.stderr


def run(arguments, **options):
    command = [sys.executable, "-m", "culet", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, **options)


def test_mistakes_in_options_are_usage_errors(cli, made):
    for arguments in (["nonsense"], ["generate"], ["train", made / "text.txt"], ["eval", "--lenght", "3"]):
        assert "Usage" in cli(*arguments, code=2)[1]


def bad(folder: Path, made: Path) -> dict[str, tuple[list, str]]:
    """Commands that cannot work, each with what its error says."""
    (folder / "empty.txt").write_text(" \n")
    (folder / "bad.jsonl").write_text('{"text": "a"}\n{"text": \n')
    (folder / "short.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}]}\n')
    (folder / "nothing.jsonl").write_text("")
    (folder / "same.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "a"}\n')
    (folder / "nan.jsonl").write_text('{"prompt": "p", "first": "a", "second": "b", "label": NaN}\n')
    (folder / "true.jsonl").write_text('{"premise": "p", "hypothesis": "h", "label": 1}\n')
    long = {"prompt": "line " * 200, "chosen": "a", "rejected": "b"}
    (folder / "long.jsonl").write_text(json.dumps(long))
    (folder / "image.png").write_bytes(b"x")
    cut = folder / "cut"
    cut.mkdir()
    for name, data in content(made / "model").items():
        if "/" not in name:
            (cut / name).write_bytes(data[:-50] if name == "model.safetensors" else data)
    out, model, text = ["--out", folder / "out"], made / "model", made / "text.txt"
    new = ["--preset", "gemma-2-2b", "--scaled", SCALED, *QUICK]
    judge = ["--model", model, *QUICK, *out]
    return {
        "no pairs": (["train", folder / "nothing.jsonl", "--preferences", *judge], "no pair of answers in there"),
        "same answers": (["train", folder / "same.jsonl", "--preferences", *judge], "the same answer twice"),
        "NaN label": (
            ["train", folder / "nan.jsonl", "--preferences", *judge],
            'nan.jsonl:1: "label" must be a number',
        ),
        "one class": (["train", folder / "true.jsonl", "--entailment", *judge], "others that do not"),
        "no statement": (["train", folder / "same.jsonl", "--entailment", *judge], 'the field "premise" must be text'),
        "long pair": (
            ["train", folder / "long.jsonl", "--preferences", "--model", model, "--length", "9999", *out],
            "1 of 1 pairs do not fit into 96 tokens",
        ),
        "two aims": (["train", folder / "same.jsonl", "--chat", "--preferences", *judge], "give only one of --chat,"),
        "no file": (["train", folder / "none.txt", *new, *out], "none.txt: no such file"),
        "empty text": (["train", folder / "empty.txt", *new, *out], "no text in there"),
        "not json": (["train", folder / "bad.jsonl", *new, *out], "bad.jsonl"),
        "other file": (["tokenizer", folder / "image.png", *out], "not a kind of file"),
        "no answer": (["train", folder / "short.jsonl", "--chat", "--model", model, *QUICK, *out], "ends with 'user'"),
        "preset": (["train", text, "--preset", "gemma-9", *out], "no preset is called 'gemma-9'"),
        "both": (["train", text, "--preset", "gemma-2b", "--model", model, *out], "either --model"),
        "scaled": (
            ["train", text, "--preset", "gemma-2b", "--scaled", "depth=2", *out],
            "'depth=2' is not NAME=NUMBER",
        ),
        "width": (["train", text, "--preset", "gemma-2b", "--scaled", "width=33", *out], "width (33) must be"),
        "dtype": (["train", text, *new, "--compute-dtype", "int4", *out], "'int4'"),
        "micro": (
            ["train", text, *new, "--micro-batches", "3", "--tokenizer", made / "tokenizer", *out],
            "micro-batches",
        ),
        "no folder": (["generate", folder / "gone", "a"], "gone"),
        "cut weights": (["generate", cut, "a"], "model.safetensors"),
        "too long": (["generate", model, "cat " * 100], "context is 96"),
        "no prompt": (["generate", model], "there is no prompt"),
        "empty prompt": (["generate", model, ""], "prompt 0 is empty"),
        "top-p": (["generate", model, "a", "--temperature", "1", "--top-p", "7"], "top_p is 7.0"),
        "load dtype": (["generate", model, "a", "--dtype", "int8"], "dtype 'int8' is not one of"),
        "eval": (["eval", model, folder / "empty.txt"], "no text in there"),
        "no model": (["convert", folder, folder / "out"], str(folder)),
    }


def test_bad_input_is_one_line_and_leaves_nothing(cli, made, tmp_path, subtests):
    for name, (arguments, message) in bad(tmp_path, made).items():
        with subtests.test(name):
            assert message in cli.fails(*arguments)
            assert not (tmp_path / "out" / "config.json").exists()


def test_a_stopped_or_broken_run_ends_without_a_traceback(cli, made, tmp_path, monkeypatch):
    from culet.core import Interrupted, NonFiniteError
    from culet.lm import _train

    def stops(*_, **__):
        raise Interrupted(7, tmp_path)

    def breaks(*_, **__):
        raise NonFiniteError(3, float("nan"), "embedding", None)

    command = ("train", made / "text.txt", "--model", made / "model", "--out", tmp_path, *QUICK)
    monkeypatch.setattr(_train, "fit", stops)
    assert cli(*command, code=130)[1].startswith("Stopped by a signal after step 7; saved in")
    monkeypatch.setattr(_train, "fit", breaks)
    assert "Step 3 is not finite" in cli.fails(*command)
    assert not (tmp_path / "config.json").exists()


def test_a_signal_ends_a_command_without_raising_amid_a_computation():
    """Not within a run, which saves first: that one has a handler of its own."""
    code = (
        "import os, signal, sys; from culet.cli import app\n"
        "app.app.command('wait')(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['culet', 'wait']; app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr.strip() == "Stopped by a signal; nothing is left half-written."
