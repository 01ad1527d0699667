import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from culet.inference.topics.dirichlet import (
    digamma,
    exp_digamma,
    expected_log_sticks,
    mean_sticks,
)
from tests.inference.topics import oracle

X = np.concatenate([np.logspace(-3, 10, 4001), np.linspace(0.5, 10, 2001)]).astype(np.float32)


def test_digamma_is_scipys():
    exact = scipy.special.digamma(X.astype(np.float64))
    np.testing.assert_allclose(jax.jit(digamma)(X), exact, rtol=4e-7, atol=4e-7)


def test_exp_digamma_is_scipys():
    x = X[X > 0.02]  # below, exp(-1/x) leaves the normal numbers of float32
    exact = np.exp(scipy.special.digamma(x.astype(np.float64)))
    error = np.abs(jax.jit(exp_digamma)(x) - exact) / exact
    assert np.all(error < 6e-7 * (2 + np.abs(np.log(exact))))  # a rounding of the exponent, which is up to 50


def test_digamma_at_the_end_of_its_range():
    assert digamma(jnp.zeros(())) == -jnp.inf
    assert exp_digamma(jnp.array([0.0, 1e-4])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("concentration", [0.3, 4.0])
def test_sticks(concentration):
    mass = np.array([5.0, 0.0, 2.5, 100.0, 0.1])
    got = expected_log_sticks(jnp.asarray(mass, jnp.float32), concentration)
    np.testing.assert_allclose(got, oracle.sticks(mass, concentration), rtol=1e-5)
    generator, left, shares = np.random.default_rng(0), np.ones(100_000), []
    for k in range(4):
        piece = generator.beta(1 + mass[k], concentration + mass[k + 1 :].sum(), 100_000)
        shares.append((left * piece).mean())
        left = left * (1 - piece)
    shares.append(left.mean())
    mean = mean_sticks(jnp.asarray(mass, jnp.float32), concentration)
    np.testing.assert_allclose(mean, shares, atol=3e-3)
    np.testing.assert_allclose(jnp.sum(mean), 1.0, rtol=1e-6)
