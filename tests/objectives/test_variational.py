"""Against scipy, torch's definition written out, and arithmetic by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from culet.objectives.variational import bernoulli_cross_entropy, capacity_bound


def test_cross_entropy_is_that_of_scipy(getkey):
    logits = 3 * jax.random.normal(getkey(), (4, 3, 2))
    bits = jax.random.bernoulli(getkey(), 0.5, (4, 3, 2))
    wanted = -scipy.stats.bernoulli.logpmf(np.asarray(bits, int), 1 / (1 + np.exp(-np.asarray(logits, np.float64))))
    found = bernoulli_cross_entropy(logits, bits.astype(jnp.float32))
    np.testing.assert_allclose(found, wanted.sum(axis=(1, 2)), rtol=1e-5)


def test_cross_entropy_is_finite_where_probabilities_are_not():
    logits = jnp.array([[1e4, -1e4]])
    assert np.isfinite(bernoulli_cross_entropy(logits, jnp.array([[0.0, 1.0]]))).all()
    slope = jax.grad(lambda z: bernoulli_cross_entropy(z, jnp.array([[1.0, 0.0]])).sum())(logits)
    np.testing.assert_allclose(slope, [[0, 0]], atol=1e-6)


def bound(beta, gamma, capacity):
    error, divergence = jnp.array([10.0, 20.0]), jnp.array([[1.0, 2.0], [3.0, 0.0]])
    scalars = {"beta": beta, "gamma": gamma, "capacity": capacity}
    return capacity_bound(error, divergence, **{name: jnp.float32(value) for name, value in scalars.items()})


def test_the_bound_by_hand():
    assert float(bound(1, 0, 0).total) == 30 + 6  # the evidence bound of two examples, summed
    assert float(bound(4, 0, 9).total) == 30 + 24
    assert float(bound(0, 10, 2).total) == 30 + 10 * (6 - 4)  # a mean of 3 nats against 2
    assert float(bound(0, 10, 5).total) == 30 + 10 * (10 - 6)  # too little is as bad as too much
    found = bound(0, 10, 2)
    assert float(found.weight) == 2
    assert {name: float(value) for name, value in found.metrics.items()} == {
        "reconstruction": 30, "divergence": 6, "divergence_0": 4, "divergence_1": 2,
    }  # fmt: skip
