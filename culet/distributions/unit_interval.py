"""Distributions on the interval from 0 to 1.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95), where no other is named.
Axis letters: none; parameters broadcast together into the batch.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, digamma, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import (
    EULER,
    HALF_LOG_TAU,
    binomial_log_mass,
    log1m_exp,
    log_beta,
    logit,
    softplus,
    x_log1p_y,
    x_log_y,
)
from culet.distributions.parameters import Parameter, parameter, positive, real
from culet.distributions.samplers import log_gamma_variates
from culet.distributions.supports import Interval


class UnitInterval(Family):
    """A family on the numbers from 0 to 1, ends included."""

    def _support(self):
        return Interval(0.0, 1.0)


class Beta(UnitInterval):
    """Density proportional to x^(a - 1) (1 - x)^(b - 1)."""

    a: Float[Parameter, "..."] = parameter(positive)
    b: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        a, b = self.a, self.b
        plain = x_log_y(a - 1, x) + x_log1p_y(b - 1, -x) - log_beta(a, b)
        large = (jnp.minimum(a, b) > 9) & (x > 0) & (x < 1)
        a, b, x = (jnp.where(large, part, default) for part, default in ((a, 10.0), (b, 10.0), (x, 0.5)))
        return jnp.where(large, jnp.log(a + b - 1) + binomial_log_mass(a - 1, b - 1, x, 1 - x), plain)

    def _sample(self, key, shape):
        first, second = jax.random.split(key)
        log_odds = log_gamma_variates(first, self.a, shape, self.dtype)
        log_odds -= log_gamma_variates(second, self.b, shape, self.dtype)
        limits = jnp.finfo(self.dtype)
        return jnp.clip(jax.nn.sigmoid(log_odds), float(limits.tiny), 1 - float(limits.epsneg))

    def _mean(self):
        return self.a / (self.a + self.b)

    def _variance(self):
        total = self.a + self.b
        return self.a * self.b / (total**2 * (total + 1))

    def _mode(self):
        """NaN where there is no single one."""
        inner = (self.a - 1) / (self.a + self.b - 2)
        edge = jnp.where(self.a > self.b, 1.0, jnp.where(self.a < self.b, 0.0, jnp.nan)).astype(inner.dtype)
        return jnp.where((self.a > 1) & (self.b > 1), inner, edge)

    def _entropy(self):
        a, b = self.a, self.b
        return log_beta(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)

    def _cdf(self, x):
        return betainc(self.a + 0 * x, self.b + 0 * x, x)


class Kumaraswamy(UnitInterval):
    """Much like Beta, with a distribution function that can be inverted: 1 - (1 - x^a)^b (Kumaraswamy, 1980)."""

    a: Float[Parameter, "..."] = parameter(positive)
    b: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        power = jnp.exp(self.a * jnp.log(jnp.where(x > 0, x, 1)))
        powered = jnp.where(x > 0, power, 0)
        return jnp.log(self.a * self.b) + x_log_y(self.a - 1, x) + x_log1p_y(self.b - 1, -powered)

    def _moment(self, order: int) -> Array:
        return self.b * jnp.exp(log_beta(1 + order / self.a, self.b))

    def _mean(self):
        return self._moment(1)

    def _variance(self):
        return self._moment(2) - self._moment(1) ** 2

    def _entropy(self):
        harmonic = digamma(self.b + 1) + EULER
        return 1 - 1 / self.b + (1 - 1 / self.a) * harmonic - jnp.log(self.a * self.b)

    def _cdf(self, x):
        return -jnp.expm1(self.b * jnp.log1p(-(x**self.a)))

    def _icdf(self, p):
        return (-jnp.expm1(jnp.log1p(-p) / self.b)) ** (1 / self.a)


class ContinuousBernoulli(UnitInterval):
    """Density proportional to exp(logits x) (Loaiza-Ganem and Cunningham, 2019): for pixels between 0 and 1."""

    logits: Float[Parameter, "..."] = parameter(real)

    def _near(self) -> tuple[Array, Array]:
        """Where the logits are so near 0 that a series is better, and the logits, or 1 there."""
        near = jnp.abs(self.logits) < 0.05
        return near, jnp.where(near, 1.0, self.logits)

    def _log_density(self, x):
        near, far = self._near()
        size = jnp.abs(far)
        log_integral = jnp.maximum(far, 0) + log1m_exp(-size) - jnp.log(size)
        series = self.logits / 2 + self.logits**2 / 24
        return self.logits * x - jnp.where(near, series, log_integral)

    def _mean(self):
        near, far = self._near()
        return jnp.where(near, 0.5 + self.logits / 12, -1 / jnp.expm1(-far) - 1 / far)

    def _variance(self):
        near, far = self._near()
        return jnp.where(near, 1 / 12 - self.logits**2 / 240, 1 / far**2 - 0.25 / jnp.sinh(0.5 * far) ** 2)

    def _cdf(self, x):
        near, far = self._near()
        series = x + 0.5 * self.logits * x * (x - 1) + self.logits**2 * x * (2 * x * x - 3 * x + 1) / 12
        return jnp.where(near, series, jnp.expm1(far * x) / jnp.expm1(far))

    def _icdf(self, p):
        near, far = self._near()
        u = self.logits
        series = p + 0.5 * u * p * (1 - p) + u**2 * p * (1 - p) * (1 - 2 * p) / 12
        return jnp.where(near, series, jnp.log1p(p * jnp.expm1(far)) / far)


class LogitNormal(Family):
    """The sigmoid of a normal variate with mean `loc` and standard deviation `scale`."""

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _support(self):
        return Interval(0.0, 1.0, open_ends=True)

    def _log_density(self, x):
        z = (logit(x) - self.loc) / self.scale
        return -0.5 * z * z - HALF_LOG_TAU - jnp.log(self.scale) - jnp.log(x) - jnp.log1p(-x)

    def _cdf(self, x):
        return ndtr((logit(x) - self.loc) / self.scale)

    def _icdf(self, p):
        return jax.nn.sigmoid(self.loc + self.scale * ndtri(p))


class RelaxedBernoulli(Family):
    """The sigmoid of (logits + a logistic variate) / temperature (Maddison et al.; Jang et al., 2017)."""

    temperature: Float[Parameter, "..."] = parameter(positive)
    logits: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Interval(0.0, 1.0, open_ends=True)

    def _noise(self, x: Array) -> Array:
        return self.temperature * logit(x) - self.logits

    def _log_density(self, x):
        z = self._noise(x)
        return jnp.log(self.temperature) - z - 2 * softplus(-z) - jnp.log(x) - jnp.log1p(-x)

    def _cdf(self, x):
        return jax.nn.sigmoid(self._noise(x))

    def _icdf(self, p):
        return jax.nn.sigmoid((self.logits + logit(p)) / self.temperature)
