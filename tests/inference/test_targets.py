import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats as scipy_stats

from culet.inference.targets import Regression, banana, four_modes, hierarchical_logistic

stats: Any = scipy_stats  # its stubs take frozen distributions for discrete ones


@pytest.mark.parametrize("target", [four_modes, banana])
def test_the_planar_targets_integrate_to_one(target):
    across, down = jnp.linspace(-12, 12, 200), jnp.linspace(-8, 40, 300)
    points = jnp.stack(jnp.meshgrid(across, down), axis=2).reshape(-1, 2)
    cell = float((across[1] - across[0]) * (down[1] - down[0]))
    np.testing.assert_allclose(jnp.sum(jnp.exp(jax.vmap(target)(points))) * cell, 1, atol=1e-3)


def test_the_regression_is_its_parts():
    generator = np.random.default_rng(0)
    features, weights, log_precision = generator.normal(size=(6, 2)), generator.normal(size=2), 0.3
    labels = np.array([0.0, 1, 1, 0, 1, 0])
    chance = 1 / (1 + np.exp(-features @ weights))
    expected = stats.bernoulli(chance).logpmf(labels).sum() + stats.norm(0, math.exp(-0.15)).logpdf(weights).sum()
    expected += stats.gamma(1, scale=100).logpdf(math.exp(0.3)) + 0.3  # the last is the change to log a
    parameters = Regression(jnp.asarray(weights, jnp.float32), jnp.asarray(log_precision, jnp.float32))
    found = hierarchical_logistic(parameters, jnp.asarray(features, jnp.float32), jnp.asarray(labels, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
