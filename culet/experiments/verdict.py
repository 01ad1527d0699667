"""From margins over seeds to a verdict. Axis letters: N seeds."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from culet.experiments.experiment import Verdict

LEVEL = 0.95
_DRAWS = 10_000
_CHUNK = 100  # draws at a time, so that many seeds do not fill the memory

Interval = tuple[float, float]


def bootstrap_interval(values: Shaped[np.ndarray, "N"]) -> Interval | None:
    """The percentile bootstrap interval of the mean of `values`, at `LEVEL`; None for fewer than two of them.

    Deterministic. With few seeds such intervals are too narrow: with three they run from the least to the greatest,
    which holds the mean of a symmetric distribution in three of four cases, not in 95 of 100 (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13). Five or more seeds make a verdict that means something.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    generator = np.random.default_rng(0)
    chosen = (generator.integers(len(values), size=(_CHUNK, len(values))) for _ in range(_DRAWS // _CHUNK))
    means = np.concatenate([values[places].mean(axis=1) for places in chosen])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def claim_verdict(margins: Float[np.ndarray, "N"], at_least: float | int) -> Verdict:
    """Whether the whole interval of the mean margin lies on one side of `at_least`; a single seed never decides."""
    interval = bootstrap_interval(margins)
    if interval is None:
        return "undecided"
    low, high = interval
    if low >= at_least:
        return "reproduced"
    return "not reproduced" if high < at_least else "undecided"


def overall_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """That of several claims: reproduced if all are, not reproduced if any is not, else undecided."""
    distinct = set(verdicts)
    if "not reproduced" in distinct:
        return "not reproduced"
    return "reproduced" if distinct == {"reproduced"} else "undecided"


def verdict_with_control(result: Mapping[str, Any], control: Mapping[str, Any] | None) -> Verdict:
    """What a result is worth beside its control: a claim that also holds for a broken method shows nothing.

    Without a control that came out "not reproduced", what was reproduced counts as undecided.
    """
    failed = control is not None and control["verdict"] == "not reproduced"
    return "undecided" if result["verdict"] == "reproduced" and not failed else result["verdict"]
