"""Claims of papers as experiments: variants over paired seeds, claims with a control, verdicts, kept results."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.experiments.experiment import (
        Claim,
        Experiment,
        Findings,
        Measurements,
        Metric,
        Scale,
        Variant,
        Verdict,
        per_seed,
    )
    from culet.experiments.reproduce import run_experiment

_HOME = {
    "experiment": (
        "Variant", "Claim", "Experiment", "Findings", "Measurements", "Metric", "Scale", "Verdict", "per_seed",
    ),
    "reproduce": ("run_experiment",),
}  # fmt: skip

__all__ = [
    "Claim",
    "Experiment",
    "Findings",
    "Measurements",
    "Metric",
    "Scale",
    "Variant",
    "Verdict",
    "per_seed",
    "run_experiment",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
