"""Distributions made of gamma variates: positive ones.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, digamma, gammainc, gammaincc, gammaln
from jaxtyping import Float

from culet.distributions.numerics import gamma_log_density, log_beta, log_gamma_rise, x_log_y
from culet.distributions.parameters import Parameter, parameter, positive
from culet.distributions.positive import NonnegativeFamily, PositiveFamily
from culet.distributions.samplers import log_gamma_variates


class Gamma(NonnegativeFamily):
    """Mean `concentration / rate`."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    rate: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        a = self.concentration
        return gamma_log_density(a, x * self.rate) + jnp.log(self.rate)

    def _sample(self, key, shape):
        return jnp.exp(log_gamma_variates(key, self.concentration, shape, self.dtype)) / self.rate

    def _mean(self):
        return self.concentration / self.rate

    def _variance(self):
        return self.concentration / self.rate**2

    def _mode(self):
        return jnp.maximum(self.concentration - 1, 0) / self.rate

    def _entropy(self):
        a = self.concentration
        return a - jnp.log(self.rate) + gammaln(a) + (1 - a) * digamma(a)

    def _cdf(self, x):
        return gammainc(self.concentration + 0 * x, self.rate * x)


class ChiSquared(NonnegativeFamily):
    """The sum of the squares of `df` standard normals."""

    df: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        half = 0.5 * self.df
        return gamma_log_density(half, 0.5 * x) - math.log(2)

    def _sample(self, key, shape):
        return 2 * jnp.exp(log_gamma_variates(key, 0.5 * self.df, shape, self.dtype))

    def _mean(self):
        return self.df

    def _variance(self):
        return 2 * self.df

    def _mode(self):
        return jnp.maximum(self.df - 2, 0)

    def _entropy(self):
        half = 0.5 * self.df
        return half + math.log(2) + gammaln(half) + (1 - half) * digamma(half)

    def _cdf(self, x):
        return gammainc(0.5 * self.df + 0 * x, 0.5 * x)


class Chi(NonnegativeFamily):
    """The length of a vector of `df` standard normals; Maxwell's distribution at 3."""

    df: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        half = 0.5 * self.df
        return (1 - half) * math.log(2) + x_log_y(self.df - 1, x) - 0.5 * x * x - gammaln(half)

    def _sample(self, key, shape):
        return math.sqrt(2) * jnp.exp(0.5 * log_gamma_variates(key, 0.5 * self.df, shape, self.dtype))

    def _mean(self):
        half = 0.5 * self.df
        return math.sqrt(2) * jnp.exp(log_gamma_rise(half, jnp.full_like(half, 0.5)))

    def _variance(self):
        return self.df - self._mean() ** 2

    def _mode(self):
        return jnp.sqrt(jnp.maximum(self.df - 1, 0))

    def _entropy(self):
        half = 0.5 * self.df
        return gammaln(half) + 0.5 * (self.df - math.log(2) - (self.df - 1) * digamma(half))

    def _cdf(self, x):
        return gammainc(0.5 * self.df + 0 * x, 0.5 * x * x)


class Nakagami(NonnegativeFamily):
    """The root of a gamma variate with the mean `spread`: the strength of a fading signal (Nakagami, 1960)."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    spread: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        a, rate = self.concentration, self.concentration / self.spread
        return math.log(2) + a * jnp.log(rate) - gammaln(a) + x_log_y(2 * a - 1, x) - rate * x * x

    def _sample(self, key, shape):
        logs = log_gamma_variates(key, self.concentration, shape, self.dtype)
        return jnp.sqrt(self.spread / self.concentration) * jnp.exp(0.5 * logs)

    def _mean(self):
        a = self.concentration
        return jnp.sqrt(self.spread / a) * jnp.exp(log_gamma_rise(a, jnp.full_like(a, 0.5)))

    def _variance(self):
        return self.spread - self._mean() ** 2

    def _cdf(self, x):
        return gammainc(self.concentration + 0 * x, self.concentration / self.spread * x * x)


class InverseGamma(PositiveFamily):
    """1 over a gamma variate with rate `scale`."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        a = self.concentration
        return a * jnp.log(self.scale) - gammaln(a) - (a + 1) * jnp.log(x) - self.scale / x

    def _sample(self, key, shape):
        return self.scale * jnp.exp(-log_gamma_variates(key, self.concentration, shape, self.dtype))

    def _mean(self):
        a = self.concentration
        return jnp.where(a > 1, self.scale / jnp.where(a > 1, a - 1, 1), jnp.inf)

    def _variance(self):
        a = self.concentration
        return jnp.where(a > 2, self.scale**2 / jnp.where(a > 2, (a - 1) ** 2 * (a - 2), 1), jnp.inf)

    def _mode(self):
        return self.scale / (self.concentration + 1)

    def _entropy(self):
        a = self.concentration
        return a + jnp.log(self.scale) + gammaln(a) - (1 + a) * digamma(a)

    def _cdf(self, x):
        return gammaincc(self.concentration + 0 * x, self.scale / x)


class BetaPrime(NonnegativeFamily):
    """The ratio of two gamma variates."""

    a: Float[Parameter, "..."] = parameter(positive)
    b: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return x_log_y(self.a - 1, x) - (self.a + self.b) * jnp.log1p(x) - log_beta(self.a, self.b)

    def _sample(self, key, shape):
        above, below = jax.random.split(key)
        log_ratio = log_gamma_variates(above, self.a, shape, self.dtype)
        return jnp.exp(log_ratio - log_gamma_variates(below, self.b, shape, self.dtype))

    def _mean(self):
        return jnp.where(self.b > 1, self.a / jnp.where(self.b > 1, self.b - 1, 1), jnp.inf)

    def _variance(self):
        a, b = self.a, self.b
        finite = a * (a + b - 1) / jnp.where(b > 2, (b - 2) * (b - 1) ** 2, 1)
        return jnp.where(b > 2, finite, jnp.inf)

    def _mode(self):
        return jnp.maximum(self.a - 1, 0) / (self.b + 1)

    def _cdf(self, x):
        return betainc(self.a + 0 * x, self.b + 0 * x, x / (1 + x))


class FisherSnedecor(NonnegativeFamily):
    """The ratio of the means of `df1` and of `df2` squares of standard normals: F."""

    df1: Float[Parameter, "..."] = parameter(positive)
    df2: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        a, b, ratio = 0.5 * self.df1, 0.5 * self.df2, self.df1 / self.df2
        return jnp.log(ratio) + x_log_y(a - 1, ratio * x) - (a + b) * jnp.log1p(ratio * x) - log_beta(a, b)

    def _sample(self, key, shape):
        above, below = jax.random.split(key)
        log_above = log_gamma_variates(above, 0.5 * self.df1, shape, self.dtype)
        log_below = log_gamma_variates(below, 0.5 * self.df2, shape, self.dtype)
        return jnp.exp(log_above - log_below) * self.df2 / self.df1

    def _mean(self):
        return jnp.where(self.df2 > 2, self.df2 / jnp.where(self.df2 > 2, self.df2 - 2, 1), jnp.inf)

    def _variance(self):
        n, m = self.df1, self.df2
        finite = 2 * m * m * (n + m - 2) / jnp.where(m > 4, n * (m - 2) ** 2 * (m - 4), 1)
        return jnp.where(m > 4, finite, jnp.inf)

    def _cdf(self, x):
        scaled = self.df1 * x
        return betainc(0.5 * self.df1 + 0 * x, 0.5 * self.df2 + 0 * x, scaled / (scaled + self.df2))
