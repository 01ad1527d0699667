"""Divergences against the mean of log-ratios over draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.distributions as d

A, B = np.array([0.8, 3.0], np.float32), np.array([2.0, 1.5], np.float32)
TRIL = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)
PAIRS = [
    (d.Normal(A, B), d.Normal(B, A)),
    (d.LogNormal(A, B), d.LogNormal(B, A)),
    (d.HalfNormal(A), d.HalfNormal(B)),
    (d.MultivariateNormal(A, TRIL), d.MultivariateNormal(B, 2 * TRIL)),
    (d.Laplace(A, B), d.Laplace(B, A)),
    (d.Cauchy(A, B), d.Cauchy(B, A)),
    (d.Gumbel(A, A), d.Gumbel(B, 2 * A)),
    (d.Uniform(A, A + B), d.Uniform(A - 1, A + B + 2)),
    (d.Exponential(A), d.Exponential(B)),
    (d.Gamma(A, B), d.Gamma(B, A)),
    (d.InverseGamma(A + 2, B), d.InverseGamma(B, A)),
    (d.Weibull(A, B), d.Weibull(B, 2 * B)),
    (d.Beta(A, B), d.Beta(B, A)),
    (d.Dirichlet(A), d.Dirichlet(B)),
    (d.Bernoulli(A), d.Bernoulli(-B)),
    (d.Binomial(5.0, A), d.Binomial(5.0, -B)),
    (d.Geometric(A), d.Geometric(-B)),
    (d.NegativeBinomial(2.5, A), d.NegativeBinomial(2.5, -B)),
    (d.Poisson(A), d.Poisson(B)),
    (d.Categorical(A), d.Categorical(B)),
    (d.OneHotCategorical(A), d.OneHotCategorical(B)),
    (d.Independent(d.Normal(A, B), 1), d.Independent(d.Normal(B, A), 1)),
]


@pytest.mark.parametrize("p, q", PAIRS, ids=[type(p).__name__ for p, _ in PAIRS])
def test_against_draws(p, q):
    draws = p.sample(jax.random.key(1), (20_000,))
    ratio = np.asarray(p.log_prob(draws) - q.log_prob(draws), np.float64)
    divergence = d.kl_divergence(p, q)
    assert divergence.shape == p.batch_shape
    assert (np.abs(divergence - ratio.mean(0)) <= 5 * ratio.std(0) / np.sqrt(len(ratio)) + 1e-4).all()
    np.testing.assert_allclose(d.kl_divergence(p, p), np.zeros(p.batch_shape), atol=1e-5)


def test_batches_broadcast():
    p = d.Normal(np.zeros((3, 1), np.float32), 1.0)
    divergence = d.kl_divergence(p, d.Normal(A, B))
    assert divergence.shape == (3, 2)
    np.testing.assert_allclose(divergence[2], d.kl_divergence(d.Normal(0.0, 1.0), d.Normal(A, B)), rtol=1e-6)


def test_supports():
    assert d.kl_divergence(d.Uniform(0.0, 2.0), d.Uniform(0.0, 1.0)) == jnp.inf


def test_what_is_not_known():
    with pytest.raises(NotImplementedError, match=r"KL\(Normal \|\| Cauchy\).*register_kl"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Cauchy(0.0, 1.0))
    with pytest.raises(ValueError, match=r"event shapes .* differ"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Dirichlet(A))
