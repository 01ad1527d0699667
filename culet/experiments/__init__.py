"""Claims of papers as experiments: variants over paired seeds, claims with a control, verdicts, kept results."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.experiments._run import run_experiment
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
    from culet.experiments.results import keep_result, read_result, results_folder
    from culet.experiments.verdict import bootstrap_interval, claim_verdict, overall_verdict, verdict_with_control

_HOME = {
    "_run": ("run_experiment",),
    "experiment": (
        "Variant", "Claim", "Experiment", "Findings", "Measurements", "Metric", "Scale", "Verdict", "per_seed",
    ),
    "results": ("keep_result", "read_result", "results_folder"),
    "verdict": ("bootstrap_interval", "claim_verdict", "overall_verdict", "verdict_with_control"),
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
    "bootstrap_interval",
    "claim_verdict",
    "keep_result",
    "overall_verdict",
    "per_seed",
    "read_result",
    "results_folder",
    "run_experiment",
    "verdict_with_control",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
