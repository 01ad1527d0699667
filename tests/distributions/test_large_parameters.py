"""Densities in float32 where the terms of the plain formulas are large and cancel, against float64 and 40 digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.distributions as d

mp = pytest.importorskip("mpmath")
mp.mp.dps = 40


def poisson(x, rate):
    return x * mp.log(rate) - rate - mp.loggamma(x + 1)


def binomial(x, total, logits):
    p = 1 / (1 + mp.exp(-logits))
    return mp.log(mp.binomial(total, x)) + x * mp.log(p) + (total - x) * mp.log(1 - p)


def negative_binomial(x, r, logits):
    p = 1 / (1 + mp.exp(-logits))
    return mp.loggamma(r + x) - mp.loggamma(r) - mp.loggamma(x + 1) + r * mp.log(p) + x * mp.log(1 - p)


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def beta(x, a, b):
    return (a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x) - log_beta(a, b)


def beta_binomial(x, total, a, b):
    return mp.log(mp.binomial(total, x)) + log_beta(x + a, total - x + b) - log_beta(a, b)


def gamma(x, a, rate):
    return a * mp.log(rate) + (a - 1) * mp.log(x) - rate * x - mp.loggamma(a)


def student(z, df):
    return (
        mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - (df + 1) / 2 * mp.log(1 + z * z / df)
    )


CASES = {
    "Poisson": (d.Poisson, poisson, [
        (1e7, 1e7), (10003000, 1e7), (9e6, 1e7), (0, 3), (2, 1e-3), (7, 8), (9, 8), (100, 1e-30), (1e4, 2e4),
    ]),
    "Binomial": (d.Binomial, binomial, [
        (5e5, 1e6, 0), (501500, 1e6, 0), (0, 1e6, -12), (1e6, 1e6, 12), (3, 1e6, -12), (30, 40, -100), (10, 20, 1.5),
        (0, 0, 1), (120, 1e7, -11),
    ]),
    "NegativeBinomial": (d.NegativeBinomial, negative_binomial, [
        (1e6, 1e6, 0), (1001000, 1e6, 0), (0, 3, 0), (5, 0.5, 1), (1e4, 20, -6),
    ]),
    "Beta": (d.Beta, beta, [
        (0.5, 1e6, 1e6), (0.5005, 1e6, 1e6), (0.1, 1e4, 9e4), (0.3, 0.5, 2), (0.001, 20, 1e4), (0.25, 9.5, 40),
    ]),
    "BetaBinomial": (d.BetaBinomial, beta_binomial, [
        (10, 20, 1e6, 1e6), (0, 20, 1e6, 1e6), (20, 20, 50, 2), (500, 1000, 1e5, 1e5), (3, 20, 30, 90), (3, 9, 0.5, 2),
    ]),
    "Gamma": (d.Gamma, gamma, [
        (1e7, 1e7, 1), (1.0, 1e7, 1e7), (5.0, 12, 2), (0.1, 0.5, 2), (3e4, 1e4, 0.3), (1e-3, 9, 1),
    ]),
    "StudentT": (lambda df: d.StudentT(0.0, 1.0, df), student, [(1e20, 3), (1e30, 1), (2.0, 5), (3e4, 1e-2)]),
    "Cauchy": (lambda scale: d.Cauchy(0.0, scale), student, [(1e20, 1), (1e-3, 1), (1e36, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_log_prob(name):
    make, exact, rows = CASES[name]
    values, *parameters = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    columns = [column.tolist() for column in (values, *parameters)]
    expected = [float(exact(*map(mp.mpf, row))) for row in zip(*columns, strict=True)]

    def scores(parameters):
        score = make(*parameters).log_prob(values)
        return score.sum(), score

    slopes, score = jax.grad(scores, has_aux=True)(tuple(map(jnp.asarray, parameters)))
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=2e-6)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_half_cauchy_far_out():
    np.testing.assert_allclose(d.HalfCauchy(1.0).log_prob(1e25), np.log(2 / np.pi) - 50 * np.log(10), rtol=1e-6)
