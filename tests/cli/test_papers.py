"""`culet systems`, `culet reproduce`, `culet gallery` as a user runs them, on an experiment that takes no time."""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from culet import papers
from culet.cli import app as tree
from culet.cli import papers as commands
from culet.core import Interrupted
from culet.papers import SYSTEMS
from tests.experiments.tiny_experiment import Calls, tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(monkeypatch, capfd, tmp_path):
    """Runs the commands in an empty folder; gives status, standard output and standard error."""
    own = typer.Typer(pretty_exceptions_enable=False)
    commands.register(own)
    monkeypatch.setattr(tree, "app", own)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["culet", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            tree.main()
        out, err = capfd.readouterr()
        return SimpleNamespace(status=end.value.code or 0, out=out, err=err)

    return run


@pytest.fixture
def experiment(monkeypatch):
    """Sets the experiment that the commands find, with the calls of its variants."""

    def use(**changes):
        calls = Calls()
        experiment = tiny(calls, **changes)
        monkeypatch.setattr(papers, "find_experiment", lambda slug: experiment)
        return calls

    return use


@pytest.mark.parametrize(
    "gain, options, status, words",
    [
        (0.5, (), 0, "Reproduced: every claim holds"),
        (0.0, (), 1, "Not reproduced: the whole interval"),
        (0.5, ("--seeds", 1), 2, "Undecided: one seed gives no interval"),
        (0.5, ("--control",), 1, "Control: the broken method fails, as it must"),
    ],
)
def test_verdict_and_status(cli, experiment, gain, options, status, words):
    experiment(gain=gain)
    done = cli("reproduce", "gemma-2", *options)
    assert done.status == status, done.err
    printed = " ".join(done.out.split())
    assert words in printed and "Is it <better>?" in printed and "The error is at least 0.1 nats lower." in printed


def test_a_control_that_passes_is_said(cli, experiment):
    calls = Calls()
    experiment(control={"method": tiny(calls).variants["method"]})
    done = cli("reproduce", "gemma-2", "--control")
    assert done.status == 0 and "the claim shows nothing yet" in " ".join(done.out.split())


def test_result_and_figure_are_written_where_asked(cli, experiment, tmp_path):
    experiment()
    assert cli("reproduce", "gemma-2", "--json", "a/r.json", "--plot", "p.png", "--scale", "smoke").status == 0
    written = json.loads((tmp_path / "a" / "r.json").read_text())
    assert written == json.loads((tmp_path / "runs" / "reproduce" / "gemma-2" / "result.json").read_text())
    assert written["scale"] == "smoke" and (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("ghost",), "'ghost' is no system of this library; built are: gemma-2"),
        (("brax",), "'brax' is planned, but not built yet; built are: gemma-2"),
        (("gemma-2", "--keep", "--control"), "--keep is for runs at laptop scale"),
        (("gemma-2", "--keep", "--scale", "smoke"), "--keep is for runs at laptop scale"),
        (("gemma-2", "--seeds", "0"), "--seeds"),
        (("gemma-2", "--scale", "huge"), "huge"),
        (("gemma-2", "--nonsense"), "--nonsense"),
        ((), "Missing argument"),
    ],
)
def test_errors_have_a_status_of_their_own(cli, arguments, message):
    done = cli("reproduce", *arguments)
    assert done.status == 3
    assert message in " ".join(done.err.replace("│", " ").split()) and "Traceback" not in done.err


@pytest.mark.parametrize("problem, status", [(KeyError("oh"), 3), (ValueError("bad"), 3), (Interrupted(3, None), 130)])
def test_what_breaks_within_is_never_taken_for_a_verdict(cli, experiment, problem, status):
    def breaks(findings):
        raise problem

    experiment(figure=breaks)
    assert cli("reproduce", "gemma-2").status == status


def test_interrupted_it_goes_on(cli, experiment, tmp_path):
    calls = experiment(figure=lambda findings: (_ for _ in ()).throw(KeyboardInterrupt))
    stopped = cli("reproduce", "gemma-2")
    assert stopped.status == 130 and "goes on" in stopped.err
    assert len(calls) == 9
    again = experiment()
    assert cli("reproduce", "gemma-2").status == 0
    assert again == []


def test_kept_results_show_in_systems_and_gallery(cli, experiment, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    experiment()
    assert cli("reproduce", "gemma-2", "--keep", "--results", results).status == 0
    kept = {path.name for path in (results / "gemma-2").iterdir()}
    assert kept == {"result.json", "control.json", "figure.png", "control.png", "files"}
    rows = {row["slug"]: row for row in json.loads(cli("systems", "--json", "--results", results).out)}
    assert len(rows) == 74 and rows["gemma-2"]["state"] == "reproduced" and rows["brax"]["state"] == "planned"
    assert rows["gemma-2"]["picture"] == str(results / "gemma-2" / "figure.png")
    assert rows["gemma-2"]["claims"][0]["mean"] == pytest.approx(0.5)
    printed = cli("systems", "--results", results).out
    assert re.search(r"^gemma-2 +reproduced +1/1 +Gemma 2 *$", printed, re.MULTILINE)
    done = cli("gallery", "--out", "pages", "--results", results)
    assert done.out.strip() == "pages/index.html: 1 systems with results"
    assert (tmp_path / "pages" / "gemma-2" / "a tone.wav").read_bytes() == b"RIFF"


def test_a_system_is_a_line_with_its_whole_slug_at_80_columns(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("systems", "--results", tmp_path).out.splitlines()
    assert max(map(len, lines)) <= 80 and {line.split()[0] for line in lines if line} >= set(SYSTEMS)
    assert len(lines) == 74 + 5 * 2 + 1  # a title and an empty line for each group, and what the numbers are


def test_systems_of_a_group_or_in_a_state(cli, tmp_path):
    def slugs(*options):
        return [row["slug"] for row in json.loads(cli("systems", "--json", "--results", tmp_path, *options).out)]

    assert slugs("--state", "works") == ["gemma"]
    assert set(slugs("--facet", "probability", "--state", "built")) <= set(slugs("--facet", "Probability"))
    assert len(slugs("--facet", "reinforcement")) == 31
    assert "no group; they are language models, " in cli("systems", "--facet", "chess").err
    assert "no state; they are reproduced, " in cli("systems", "--state", "broken").err


def test_a_wheel_brings_the_results(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    kept = {f"culet/papers/results/{path.parent.name}/{path.name}" for path in ROOT.glob("results/*/*.json")}
    assert kept == {name for name in names if "/results/" in name} and "culet/__main__.py" in names
    assert Path(wheel).stat().st_size < 2e6
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")  # as pip does
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "culet", "systems", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    installed, here = json.loads(done.stdout), papers.overview(ROOT / "results")
    assert [(one["slug"], one["state"], one["claims"]) for one in installed] == [
        (one["slug"], one["state"], one["claims"]) for one in here
    ]


def test_a_reproduction_whose_control_passes_is_undecided(cli, experiment, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    experiment(control={"method": tiny(Calls()).variants["method"]})
    assert cli("reproduce", "gemma-2", "--keep", "--results", results).status == 2
    rows = json.loads(cli("systems", "--json", "--results", results).out)
    assert {row["slug"]: row["state"] for row in rows}["gemma-2"] == "undecided"


@pytest.mark.parametrize("content", ["{", "[]", '{"slug": "griffin"}'])
def test_a_broken_result_is_named(cli, tmp_path, content):
    (tmp_path / "gemma-2").mkdir()
    (tmp_path / "gemma-2" / "result.json").write_text(content)
    done = cli("systems", "--results", tmp_path)
    assert done.status == 1 and "gemma-2/result.json: not" in done.err and len(done.err.splitlines()) == 1


def test_folders_that_cannot_be(cli, tmp_path):
    assert "no such folder of results" in cli("systems", "--results", "missing").err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    assert "not a gallery" in cli("gallery", "--out", "mine").err
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_commands_and_systems_load_no_jax():
    code = (
        "import sys, typer; from culet.cli import papers; papers.register(typer.Typer());"
        "from culet.experiments.results import results_folder; from culet.papers import overview;"
        "overview(results_folder(None));"
        "assert 'jax' not in sys.modules"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.perf_counter() - start < 5.0  # 0.4 s on an idle machine
