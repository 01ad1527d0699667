"""The rules of the house: style, types, floors, sizes, and nothing slow at import."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 400


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", [["check", "."], ["format", "--check", "."]], ids=["lint", "format"])
def test_ruff(command):
    done = run(sys.executable, "-m", "ruff", *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright():
    done = run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson")
    report = json.loads(done.stdout)
    errors = [f"{d['file']}:{d['range']['start']['line'] + 1} {d['message']}" for d in report["generalDiagnostics"]]
    assert report["summary"]["filesAnalyzed"] > 10
    assert not errors, "\n".join(errors)


def test_floors():
    done = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("culet", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_import_is_cheap():
    code = "import sys, culet; assert not {'jax', 'numpy'} & sys.modules.keys()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert time.perf_counter() - start < 1.0  # 0.3 s on an idle machine; tests share theirs
