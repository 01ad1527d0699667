import subprocess
import sys

import pytest

from culet.core import compilation
from culet.core.compilation import prefer_quick_compilation

OLDER, FEWER = "--xla_cpu_use_fusion_emitters=false", "--xla_backend_optimization_level=1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, f"{OLDER} {FEWER}"),
        ("--xla_dump_to=x", f"--xla_dump_to=x {OLDER} {FEWER}"),
        ("--xla_cpu_use_fusion_emitters=true", f"--xla_cpu_use_fusion_emitters=true {FEWER}"),
    ],
)
def test_flags_of_the_environment_stay(monkeypatch, before, after):
    monkeypatch.delenv("XLA_FLAGS") if before is None else monkeypatch.setenv("XLA_FLAGS", before)
    prefer_quick_compilation()
    assert compilation.os.environ["XLA_FLAGS"] == after


def test_a_version_that_was_not_tried_is_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(compilation, "version", lambda name: "0.99.0")
    prefer_quick_compilation()
    assert not compilation.os.environ["XLA_FLAGS"]


def test_this_version_of_the_compiler_knows_the_option(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    prefer_quick_compilation()
    program = "import jax; print(jax.jit(lambda x: x + 1)(1))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
