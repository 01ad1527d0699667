"""Bad parameters and bad shapes are refused; under a trace nothing is checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.distributions as d

TRIL = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)
BAD = {
    "scale must be positive; got -1": lambda: d.Normal(0.0, -1.0),
    "loc must be finite": lambda: d.Normal(jnp.nan, 1.0),
    "scale must be positive": lambda: d.Gumbel(0.0, [1.0, 0.0]),
    "do not broadcast together: loc": lambda: d.Normal([0.0, 1.0], [1.0, 1.0, 1.0]),
    "low must be less than high": lambda: d.Uniform(1.0, 1.0),
    "low must be at most peak": lambda: d.Triangular(0.0, -1.0, 1.0),
    "total must be a whole number": lambda: d.Binomial(2.5, 0.0),
    "must have 1 axes or more": lambda: d.Categorical(0.0),
    "one of them finite": lambda: d.Categorical([-np.inf, -np.inf]),
    "lower triangular": lambda: d.MultivariateNormal(np.zeros(2, np.float32), TRIL.T),
    "df must be above 1": lambda: d.Wishart(0.5, TRIL),
    "length 1": lambda: d.PowerSpherical([1.0, 1.0], 2.0),
    "3 components": lambda: d.VonMisesFisher([1.0, 0.0], 2.0),
    "rising": lambda: d.OrderedLogistic(0.0, [1.0, 0.0]),
    "2 logits need": lambda: d.Mixture([0.0, 0.0], d.Normal([0.0, 1.0, 2.0], 1.0)),
    "ndims is 1": lambda: d.Independent(d.Normal(0.0, 1.0), 1),
    "mask and batch": lambda: d.Masked(d.Normal([0.0, 1.0, 2.0], 1.0), jnp.array([True, False])),
    "size must be at least 2": lambda: d.SphericalUniform(1),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_parameters(words):
    with pytest.raises(ValueError, match=words):
        BAD[words]()


def test_nothing_is_checked_under_a_trace():
    assert jnp.isnan(jax.jit(lambda scale: d.Normal(0.0, scale).log_prob(0.0))(-1.0))


def test_bad_values():
    with pytest.raises(ValueError, match=r"must end in the event shape \(3,\)"):
        d.Dirichlet(np.ones(3, np.float32)).log_prob(jnp.ones(2))
    with pytest.raises(ValueError, match="do not broadcast with the batch shape"):
        d.Normal([0.0, 1.0], 1.0).log_prob(jnp.ones(3))


def test_what_has_no_closed_form_says_so():
    with pytest.raises(NotImplementedError, match=r"VonMises has no closed form for cdf\(\)"):
        d.VonMises(0.0, 1.0).cdf(0.5)


def test_dtypes():
    """Python numbers adapt to values of half precision; whole numbers are taken as floats."""
    assert d.Normal(0, 1).log_prob(jnp.ones((), jnp.bfloat16)).dtype == jnp.bfloat16
    assert d.Normal(jnp.arange(3), 1).log_prob(2).dtype == jnp.float32
    assert d.Poisson(2.0).sample(jax.random.key(0)).dtype == jnp.int32


def test_a_number_kept_is_no_tracer():
    """Arrays of Python numbers are kept between makings, also those first made under a trace."""
    jax.jit(lambda x: d.Normal(0.123456, 7.654321).log_prob(x))(0.5)
    assert jnp.isfinite(d.Normal(0.123456, 7.654321).log_prob(0.5))
