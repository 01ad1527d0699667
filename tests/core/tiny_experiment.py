"""An experiment that takes no time: the method's error is below the baseline's by `gain`, the broken one's is not."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from culet.core.experiment import Arm, Claim, Experiment, Metric, one_by_one


class Calls(list):
    """The seeds of every call of an arm, by its name."""

    def arm(self, name: str, error: float, **extra: Any):
        def run(seed, scale):
            self.append((name, seed))
            return {"error": error + 0.01 * seed, "budget": 100, "curve": np.arange(3.0) + seed, **extra}

        return one_by_one(run)


def figure(findings):
    drawn = Figure(figsize=(2, 1), dpi=50)
    for found in findings.values():
        drawn.add_subplot().plot(found["curve"].T)
    return drawn


def tiny(calls: Calls, gain: float = 0.5, **changes: Any) -> Experiment:
    """The experiment, with fields replaced."""
    experiment = Experiment(
        slug="gemma-2",
        question="Is it <better>?",
        metrics=[Metric(name="error", unit="nats", better="lower")],
        budget_unit="steps",
        arms={
            "method": Arm(what="does it well", run=calls.arm("method", 1.0 - gain)),
            "base/line": Arm(what="does it plainly", run=calls.arm("base/line", 1.0)),
            "all at once": Arm(what="vmapped", run=calls.arm("all at once", 2.0), vmapped=True),
        },
        claims=[
            Claim(
                text="The error is at least 0.1 nats lower.",
                margin=lambda findings: findings["base/line"]["error"] - findings["method"]["error"],
                at_least=0.1,
            )
        ],
        control={"method": Arm(what="does nothing", run=calls.arm("broken", 1.0))},
        figure=figure,
        different="Everything.",
        usage="culet <nothing>",
        files=lambda findings: {"a tone.wav": b"RIFF", "notes.txt": b"words"},
    )
    return dataclasses.replace(experiment, **changes)
