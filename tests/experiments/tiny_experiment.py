"""An experiment that takes no time: the method's error is below the baseline's by `gain`, the broken one's is not."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from culet.experiments.experiment import Claim, Experiment, Metric, Variant, per_seed


class Calls(list):
    """The seeds of every call of a variant, by its name."""

    def variant(self, name: str, error: float, **extra: Any):
        def run(seed, scale):
            self.append((name, seed))
            return {"error": error + 0.01 * seed, "budget": 100, "curve": np.arange(3.0) + seed, **extra}

        return per_seed(run)


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
        variants={
            "method": Variant(description="does it well", run=calls.variant("method", 1.0 - gain)),
            "base/line": Variant(description="does it plainly", run=calls.variant("base/line", 1.0)),
            "all at once": Variant(description="vmapped", run=calls.variant("all at once", 2.0), vmapped=True),
        },
        claims=[
            Claim(
                text="The error is at least 0.1 nats lower.",
                margin=lambda findings: findings["base/line"]["error"] - findings["method"]["error"],
                at_least=0.1,
            )
        ],
        control={"method": Variant(description="does nothing", run=calls.variant("broken", 1.0))},
        figure=figure,
        deviations="Everything.",
        usage="culet <nothing>",
        files=lambda findings: {"a tone.wav": b"RIFF", "notes.txt": b"words"},
    )
    return dataclasses.replace(experiment, **changes)
