"""Fits against what is known of data and densities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions import (
    Independent,
    Normal,
    coupling_flow,
    fit_to_data,
    fit_to_density,
    inverse_autoregressive_flow,
    masked_autoregressive_flow,
)
from culet.distributions.flows import training


def test_a_flow_learns_a_bent_density_that_no_gaussian_has():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3000, 2))
    data = np.stack([x[:, 0], 0.3 * x[:, 1] + x[:, 0] ** 2], -1).astype(np.float32)
    flow = masked_autoregressive_flow(jax.random.key(0), 2, layers=2, width=32)
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(flow)]
    fitted, history = fit_to_data(flow, data[:2000], steps=400, learning_rate=1e-2, progress=False)
    assert [row["step"] for row in history] == list(range(20, 401, 20))
    losses = [row["loss"] for row in history]
    assert losses[0] - 0.5 > losses[-1] > -0.1 + np.log(2 * np.pi) + np.log(0.3) + 1
    score = float(jnp.mean(fitted.log_prob(jnp.asarray(data[2000:]))))
    entropy = 1 + np.log(2 * np.pi) + np.log(0.3)
    gaussian = 1 + np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(np.cov(data.T))[1]
    assert -score < entropy + 0.15 < gaussian - 0.5
    assert all((leaf == kept).all() for leaf, kept in zip(jax.tree.leaves(flow), before, strict=True))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), fitted.base, flow.base))


def test_a_flow_fits_a_density_known_up_to_a_constant():
    factor = np.array([[1.0, 0.0], [0.9, 0.5]], np.float32)
    inverse = np.linalg.inv(factor)

    def log_density(x):
        return 7.0 - 0.5 * jnp.sum(jnp.square(inverse @ (x - 1.0)))

    flow = inverse_autoregressive_flow(jax.random.key(0), 2, layers=1, width=16)
    flow, history = fit_to_density(flow, log_density, steps=300, samples=64, learning_rate=2e-2, progress=False)
    draws, scores = flow.sample_and_log_prob(jax.random.key(1), (4000,))
    constant = np.log(2 * np.pi) + np.log(0.5) + 7.0  # of the integral of the density
    assert abs(history[-1]["loss"] + constant) < 0.1 < history[0]["loss"] + constant
    divergence = np.mean(scores - jax.vmap(log_density)(draws)) + constant
    assert -1e-3 < divergence < 0.02
    np.testing.assert_allclose(np.cov(np.asarray(draws).T), factor @ factor.T, atol=0.12)


def test_a_fit_that_was_stopped_goes_on(tmp_path, monkeypatch):
    """It ends as the one that was not stopped; other data and other settings are refused by name."""
    data = np.random.default_rng(0).normal(3.0, 2.0, (64, 2)).astype(np.float32)
    settings: dict[str, Any] = {"steps": 100, "batch_size": 16, "learning_rate": 1e-2, "progress": False}
    whole, history = fit_to_data(Independent(Normal(np.zeros(2), np.ones(2)), 1), data, **settings)
    save = training.fit

    def stop_at_three(step, state, batches, *, steps, **rest):
        return save(step, state, batches, steps=3, **rest)

    monkeypatch.setattr(training, "fit", stop_at_three)
    fit_to_data(Independent(Normal(np.zeros(2), np.ones(2)), 1), data, folder=tmp_path / "fit", **settings)
    monkeypatch.undo()
    start = Independent(Normal(np.zeros(2), np.ones(2)), 1)
    resumed, rest = fit_to_data(start, data, folder=tmp_path / "fit", **settings)
    assert [(row["step"], row["loss"]) for row in rest] == [(row["step"], row["loss"]) for row in history]
    for leaf, other in zip(jax.tree.leaves(resumed), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(leaf, other)
    with pytest.raises(ValueError, match=r"holds a fit with steps 100; use another folder"):
        fit_to_data(start, data, folder=tmp_path / "fit", **{**settings, "steps": 120})
    with pytest.raises(ValueError, match=r"holds a fit with data .*; use another folder"):
        fit_to_data(start, data + 1, folder=tmp_path / "fit", **settings)


@pytest.mark.parametrize("data, words", [
    (np.zeros((5, 3), np.float32), r"must be \[N, 2\] with N above 0; it is \[5, 3\]"),
    (np.zeros((0, 2), np.float32), "N above 0; it is"),
    (np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32), "Row 1 .* not finite"),
])  # fmt: skip
def test_bad_data_are_refused(data, words):
    with pytest.raises(ValueError, match=words):
        fit_to_data(coupling_flow(jax.random.key(0), 2, layers=1), data)
