"""Fits against what is known of data and densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions import (
    coupling_flow,
    fit_to_data,
    fit_to_density,
    inverse_autoregressive_flow,
    masked_autoregressive_flow,
)


def test_a_flow_learns_a_bent_density_that_no_gaussian_has():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3000, 2))
    data = np.stack([x[:, 0], 0.3 * x[:, 1] + x[:, 0] ** 2], -1).astype(np.float32)
    flow = masked_autoregressive_flow(jax.random.key(0), 2, layers=2, width=32)
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(flow)]
    fitted = fit_to_data(flow, data[:2000], steps=400, learning_rate=1e-2, progress=False)
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
    flow = fit_to_density(flow, log_density, steps=300, samples=64, learning_rate=2e-2, progress=False)
    draws, scores = flow.sample_and_log_prob(jax.random.key(1), (4000,))
    constant = np.log(2 * np.pi) + np.log(0.5) + 7.0  # of the integral of the density
    divergence = np.mean(scores - jax.vmap(log_density)(draws)) + constant
    assert -1e-3 < divergence < 0.02
    np.testing.assert_allclose(np.cov(np.asarray(draws).T), factor @ factor.T, atol=0.12)


@pytest.mark.parametrize("data, words", [
    (np.zeros((5, 3), np.float32), r"\[5, 3\]; this distribution needs \[N, 2\]"),
    (np.zeros((0, 2), np.float32), "N above 0"),
    (np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32), "Row 1 .* not finite"),
])  # fmt: skip
def test_bad_data_are_told(data, words):
    with pytest.raises(ValueError, match=words):
        fit_to_data(coupling_flow(jax.random.key(0), 2, layers=1), data)
