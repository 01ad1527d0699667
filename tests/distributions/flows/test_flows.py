"""Flows: densities that integrate to 1, samples scored as they are drawn, without an inversion."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions import (
    Affine,
    Exp,
    Normal,
    ShiftMap,
    SplineMap,
    Transformed,
    coupling_flow,
    inverse_autoregressive_flow,
    masked_autoregressive_flow,
    residual_flow,
)
from tests.distributions.bijectors.cases import trained

SIZE: dict[str, Any] = {"layers": 2, "width": 8, "depth": 1}
FLOWS = {
    "MAF": lambda key: masked_autoregressive_flow(key, 2, **SIZE),
    "IAF": lambda key: inverse_autoregressive_flow(key, 2, **SIZE),
    "RealNVP": lambda key: coupling_flow(key, 2, **SIZE),
    "neural spline flow": lambda key: coupling_flow(key, 2, number_map=SplineMap(4, 4.0), **SIZE),
    "reversible": lambda key: coupling_flow(key, 2, number_map=ShiftMap(), **SIZE),
    "residual": lambda key: residual_flow(key, 2, **SIZE),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow(name):
    flow = FLOWS[name](jax.random.key(5))
    flow = eqx.tree_at(lambda flow: flow.bijector, flow, trained(flow.bijector, 0.15))
    line = np.linspace(-12, 12, 201, dtype=np.float32)
    grid = jnp.asarray(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))

    @eqx.filter_jit
    def run(flow, grid, key):
        draws, own = flow.sample_and_log_prob(key, (500,))

        def total(flow):
            scores = flow.log_prob(jnp.concatenate([grid, draws]))
            return jnp.sum(scores), (scores, draws, own)

        return eqx.filter_grad(total, has_aux=True)(flow)

    gradient, (scores, draws, own) = run(flow, grid, jax.random.key(0))
    shares = np.exp(np.asarray(scores[: len(grid)], np.float64)) * (line[1] - line[0]) ** 2
    np.testing.assert_allclose(shares.sum(), 1.0, atol=3e-3)
    np.testing.assert_allclose(own, scores[len(grid) :], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.mean(draws, 0), shares @ grid, atol=6 * float(np.std(draws)) / 500**0.5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_scoring_an_own_sample_takes_no_loop():
    """An inversion would be a scan over the 64 numbers."""
    flow = inverse_autoregressive_flow(jax.random.key(0), 64, layers=2)
    draws = jnp.zeros((3, 64))
    assert "scan" not in str(jax.make_jaxpr(lambda key: flow.sample_and_log_prob(key, (3,)))(jax.random.key(0)))
    assert "scan" in str(jax.make_jaxpr(flow.log_prob)(draws))


def test_whole_numbers_are_scored_as_floats_are():
    log_normal = Transformed(Normal(0.0, 1.0), Exp())
    np.testing.assert_array_equal(log_normal.log_prob(np.array([1, 2])), log_normal.log_prob(np.array([1.0, 2.0])))


def test_a_bijector_of_more_numbers_than_the_base_is_refused():
    """One draw of the base would stand behind all three numbers, though each would be scored as a draw of its own."""
    with pytest.raises(ValueError, match=r"shape \(3,\) from draws of shape \(\)"):
        Transformed(Normal(0.0, 1.0), Affine(jnp.zeros(3), 1.0))
    assert Transformed(Normal(jnp.zeros(3), 1.0), Affine(jnp.zeros(3), 1.0)).batch_shape == (3,)
