"""Gamma variates at shapes far from 1, and their gradient; inversion by weights of which some are 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import culet.distributions as d
from culet.distributions.samplers import _inverted, log_gamma_variates


@pytest.mark.parametrize("shape", [1e-3, 0.3, 1.0, 30.0, 1e5])
def test_draws(shape):
    logs = np.asarray(log_gamma_variates(jax.random.key(3), jnp.float32(shape), (20_000,), jnp.float32), np.float64)
    assert np.isfinite(logs).all()
    assert stats.kstest(logs, stats.loggamma(shape).cdf).pvalue > 1e-3


def test_gradient():
    """The draw moves such that its distribution function stays: against a difference of scipy's quantiles."""
    shape, key = jnp.array([0.05, 0.5, 2.0, 20.0]), jax.random.key(4)

    def draw(shape):
        return jnp.exp(log_gamma_variates(key, shape, (4,), jnp.float32))

    slopes = jax.jvp(draw, (shape,), (jnp.ones(4),))[1]
    exact, share = np.asarray(shape, np.float64), stats.gamma(np.asarray(shape)).cdf(np.asarray(draw(shape)))
    expected = (stats.gamma(exact + 1e-5).ppf(share) - stats.gamma(exact - 1e-5).ppf(share)) / 2e-5
    np.testing.assert_allclose(slopes, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("shape", [1e7, 1e12])
def test_draws_at_large_shapes_are_normal(shape):
    """The draws of a scipy reference would be no better in float64; in float32 their logs have steps of 1e-7."""
    logs = np.asarray(log_gamma_variates(jax.random.key(3), jnp.float32(shape), (20_000,), jnp.float32), np.float64)
    spread = np.hypot(shape**-0.5, 2 * np.spacing(np.float32(np.log(shape))))
    assert abs(logs.mean() - np.log(shape)) < 5 * spread / np.sqrt(20_000) + np.spacing(np.float32(np.log(shape)))
    assert logs.std() < 1.2 * spread


@pytest.mark.parametrize("shape", [np.nan, -1.0, 0.0, 1e-38, np.inf])
def test_any_shape_returns(shape):
    logs = jax.jit(lambda shape: log_gamma_variates(jax.random.key(3), shape, (100,), jnp.float32))(jnp.float32(shape))
    assert (np.isnan(logs) == (not shape >= 0)).all()


@pytest.mark.parametrize("concentration", [0.0, 1e-38, np.nan, np.inf, -1.0, 1e30])
def test_von_mises_returns_at_any_concentration(concentration):
    draws = jax.jit(lambda k: d.VonMises(0.5, k).sample(3, (2000,)))(jnp.float32(concentration))
    assert (np.isnan(draws) == (not concentration >= 0)).all()
    if concentration >= 1:
        np.testing.assert_allclose(draws, 0.5, atol=1e-6)
    elif concentration >= 0:
        assert stats.kstest(np.asarray(draws), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_none():
    assert log_gamma_variates(jax.random.key(0), jnp.float32(1.0), (0,), jnp.float32).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1e-30, 1e-7, 0.1, 1 / 3, 1.0, 1e6]), min_size=9, max_size=9).filter(any),
    st.sampled_from([0.0, 1e-38, 0.25, 0.5, 1 - 2**-23, 1 - 2**-24]),
)
def test_what_has_no_weight_is_never_drawn(weights, uniform):
    place = int(_inverted(jnp.float32(uniform), jnp.asarray(weights, jnp.float32)))
    assert weights[place] > 0
