"""Runs that are killed, or asked to stop, from outside end like one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time

from culet import core
from tests.core.test_fit import log, same
from tests.core.toy import setup


def start(folder, steps):
    command = [sys.executable, "-m", "tests.core.toy", str(folder), str(steps)]
    program = subprocess.Popen(
        command, env=os.environ | {"TOY_SECONDS": "0.01"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline().startswith("step"), program.communicate()[1]
    return program


def reference(folder, steps):
    step, state, batches = setup()
    return core.fit(step, state, batches, steps=steps, folder=folder, log_every=1, progress=False)[0]


def test_killed_at_any_moment(tmp_path):
    moments = random.Random(0)
    steps = 30
    killed = 0
    for kills in range(4):
        program = start(tmp_path / "killed", steps)
        if kills < 3:
            time.sleep(moments.uniform(0.1, 0.9))
            program.kill()
        program.communicate()
        killed += program.returncode == -signal.SIGKILL
    assert killed >= 2
    whole = reference(tmp_path / "whole", steps)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
    _, state, _ = setup()
    restored = core.restore_checkpoint(tmp_path / "killed/checkpoints", state)
    assert restored is not None
    assert restored[0] == steps
    assert same(restored[1], whole)


def test_sigterm_from_outside(tmp_path):
    program = start(tmp_path / "stopped", 1000)
    time.sleep(0.7)
    program.terminate()
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 75
    assert "Stopped by a signal after step" in out
    (newest,) = core.checkpoint_steps(tmp_path / "stopped/checkpoints")[-1:]
    assert f"after step {newest};" in out
    _, state, _ = setup()
    restored = core.restore_checkpoint(tmp_path / "stopped/checkpoints", state)
    assert restored is not None
    assert same(restored[1], reference(tmp_path / "whole", newest))
