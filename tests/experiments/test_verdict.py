"""Intervals against scipy and closed forms; verdicts against their definition."""

import numpy as np
import pytest
import scipy.stats

from culet.experiments.verdict import bootstrap_interval, claim_verdict, overall_verdict, verdict_with_control


def interval(values: np.ndarray) -> tuple[float, float]:
    found = bootstrap_interval(values)
    assert found is not None
    return found


@pytest.mark.parametrize("count", [4, 10, 60])
def test_interval_is_scipys(count):
    values = np.random.default_rng(count).gamma(2.0, 3.0, count)
    reference = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    spread = values.std() / count**0.5
    np.testing.assert_allclose(interval(values), reference, atol=0.08 * spread)


def test_interval_of_many_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    error = values.std() / 20
    expected = values.mean() - 1.96 * error, values.mean() + 1.96 * error
    np.testing.assert_allclose(interval(values), expected, atol=0.1 * error)


def test_interval_of_three_runs_from_least_to_greatest():
    np.testing.assert_allclose(interval(np.array([3.0, 1.0, 8.0])), (1.0, 8.0))


def test_interval_is_the_same_every_time_and_in_any_order_nearly():
    values = np.random.default_rng(0).normal(size=8)
    assert interval(values) == interval(values)
    np.testing.assert_allclose(interval(values), interval(values[::-1]), atol=0.03)


@pytest.mark.parametrize(
    "margins, verdict",
    [
        ([0.3, 0.4, 0.5], "reproduced"),
        ([0.2, 0.2, 0.2], "reproduced"),
        ([0.1, 0.4, 0.5], "undecided"),
        ([0.0, 0.1, 0.19], "not reproduced"),
        ([5.0], "undecided"),
    ],
)
def test_claim(margins, verdict):
    assert claim_verdict(np.array(margins), 0.2) == verdict


@pytest.mark.parametrize(
    "verdicts, verdict",
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "undecided"], "undecided"),
        (["reproduced", "undecided", "not reproduced"], "not reproduced"),
    ],
)
def test_overall(verdicts, verdict):
    assert overall_verdict(verdicts) == verdict


def test_what_a_broken_method_passes_shows_nothing():
    found = {verdict: {"verdict": verdict} for verdict in ("reproduced", "not reproduced", "undecided")}
    assert verdict_with_control(found["reproduced"], found["not reproduced"]) == "reproduced"
    assert verdict_with_control(found["reproduced"], found["undecided"]) == "undecided"
    assert verdict_with_control(found["reproduced"], found["reproduced"]) == "undecided"
    assert verdict_with_control(found["reproduced"], None) == "undecided"
    assert verdict_with_control(found["not reproduced"], None) == "not reproduced"
