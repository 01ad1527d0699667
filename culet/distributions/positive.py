"""Distributions on the positive numbers, without those that come from gamma variates (`gamma.py`).

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, log_ndtr, ndtr, ndtri
from jaxtyping import Float

from culet.distributions.arguments import Parameter, parameter, positive, real
from culet.distributions.family import Family
from culet.distributions.numerics import EULER, HALF_LOG_TAU, logit, softplus, x_log_y
from culet.distributions.supports import Interval


class FromZero(Family):
    """A family on the numbers from 0 on, 0 included."""

    def _support(self):
        return Interval(low=0.0)


class AboveZero(Family):
    """A family on the numbers above 0."""

    def _support(self):
        return Interval(low=0.0, open_ends=True)


class Exponential(FromZero):
    """Waiting times at `rate` events per unit of time."""

    rate: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return jnp.log(self.rate) - self.rate * x

    def _mean(self):
        return 1 / self.rate

    def _variance(self):
        return self.rate**-2

    def _mode(self):
        return jnp.zeros_like(self.rate)

    def _entropy(self):
        return 1 - jnp.log(self.rate)

    def _cdf(self, x):
        return -jnp.expm1(-self.rate * x)

    def _icdf(self, p):
        return -jnp.log1p(-p) / self.rate


class Weibull(FromZero):
    """`scale` times an exponential variate to the power 1 / `concentration`."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        k, z = self.concentration, x / self.scale
        power = jnp.exp(k * jnp.log(jnp.where(z > 0, z, 1)))
        return jnp.log(k / self.scale) + x_log_y(k - 1, z) - jnp.where(z > 0, power, 0)

    def _mean(self):
        return self.scale * jnp.exp(gammaln(1 + 1 / self.concentration))

    def _variance(self):
        first, second = gammaln(1 + 1 / self.concentration), gammaln(1 + 2 / self.concentration)
        return self.scale**2 * (jnp.exp(second) - jnp.exp(2 * first))

    def _entropy(self):
        return EULER * (1 - 1 / self.concentration) + jnp.log(self.scale / self.concentration) + 1

    def _cdf(self, x):
        return -jnp.expm1(-((x / self.scale) ** self.concentration))

    def _icdf(self, p):
        return self.scale * (-jnp.log1p(-p)) ** (1 / self.concentration)


class Rayleigh(FromZero):
    """The length of a vector of two normals with standard deviation `scale`."""

    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        z = x / self.scale
        return jnp.log(z) - jnp.log(self.scale) - 0.5 * z * z

    def _mean(self):
        return self.scale * math.sqrt(math.pi / 2)

    def _variance(self):
        return self.scale**2 * (2 - math.pi / 2)

    def _mode(self):
        return self.scale

    def _entropy(self):
        return 1 + EULER / 2 - 0.5 * math.log(2) + jnp.log(self.scale)

    def _cdf(self, x):
        return -jnp.expm1(-0.5 * (x / self.scale) ** 2)

    def _icdf(self, p):
        return self.scale * jnp.sqrt(-2 * jnp.log1p(-p))


class HalfNormal(FromZero):
    """The absolute value of a normal variate with mean 0 and standard deviation `scale`."""

    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        z = x / self.scale
        return math.log(2) - HALF_LOG_TAU - jnp.log(self.scale) - 0.5 * z * z

    def _sample(self, key, shape):
        return self.scale * jnp.abs(self._normal(key, shape))

    def _mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    def _variance(self):
        return self.scale**2 * (1 - 2 / math.pi)

    def _mode(self):
        return jnp.zeros_like(self.scale)

    def _entropy(self):
        return 0.5 + 0.5 * math.log(math.pi / 2) + jnp.log(self.scale)

    def _cdf(self, x):
        return jax.scipy.special.erf(x / self.scale * math.sqrt(0.5))

    def _icdf(self, p):
        return self.scale * math.sqrt(2) * jax.scipy.special.erfinv(p)


class HalfCauchy(FromZero):
    """The absolute value of a Cauchy variate around 0 of the same `scale`."""

    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return math.log(2 / math.pi) - jnp.log(self.scale) - jnp.log1p((x / self.scale) ** 2)

    def _mean(self):
        return jnp.full_like(self.scale, jnp.inf)

    def _variance(self):
        return jnp.full_like(self.scale, jnp.inf)

    def _mode(self):
        return jnp.zeros_like(self.scale)

    def _entropy(self):
        return math.log(2 * math.pi) + jnp.log(self.scale)

    def _cdf(self, x):
        return 2 / math.pi * jnp.arctan(x / self.scale)

    def _icdf(self, p):
        return self.scale * jnp.where(p == 1, jnp.inf, jnp.tan(math.pi / 2 * p))


class LogNormal(AboveZero):
    """The exponential of a normal variate with mean `loc` and standard deviation `scale`."""

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        logs = jnp.log(x)
        z = (logs - self.loc) / self.scale
        return -0.5 * z * z - HALF_LOG_TAU - jnp.log(self.scale) - logs

    def _sample(self, key, shape):
        return jnp.exp(self.loc + self.scale * self._normal(key, shape))

    def _mean(self):
        return jnp.exp(self.loc + 0.5 * self.scale**2)

    def _variance(self):
        return jnp.expm1(self.scale**2) * jnp.exp(2 * self.loc + self.scale**2)

    def _mode(self):
        return jnp.exp(self.loc - self.scale**2)

    def _entropy(self):
        return self.loc + 0.5 + HALF_LOG_TAU + jnp.log(self.scale)

    def _cdf(self, x):
        return ndtr((jnp.log(x) - self.loc) / self.scale)

    def _icdf(self, p):
        return jnp.exp(self.loc + self.scale * ndtri(p))


class LogLogistic(AboveZero):
    """The exponential of a logistic variate: `scale` is the median, `concentration` 1 over the scale of the logs."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        z = self.concentration * jnp.log(x / self.scale)
        return jnp.log(self.concentration) - jnp.log(x) - z - 2 * softplus(-z)

    def _mean(self):
        angle = math.pi / self.concentration
        return jnp.where(self.concentration > 1, self.scale * angle / jnp.sin(angle), jnp.inf)

    def _variance(self):
        angle = math.pi / self.concentration
        value = 2 * angle / jnp.sin(2 * angle) - (angle / jnp.sin(angle)) ** 2
        return jnp.where(self.concentration > 2, self.scale**2 * value, jnp.inf)

    def _entropy(self):
        return 2 + jnp.log(self.scale / self.concentration)

    def _cdf(self, x):
        return jax.nn.sigmoid(self.concentration * jnp.log(x / self.scale))

    def _icdf(self, p):
        return self.scale * jnp.exp(logit(p) / self.concentration)


class InverseGaussian(AboveZero):
    """The time at which a Brownian motion with drift first reaches a level (Wald); `loc` is the mean."""

    loc: Float[Parameter, "..."] = parameter(positive)
    concentration: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        gap = (x - self.loc) / self.loc
        return (
            0.5 * jnp.log(self.concentration) - HALF_LOG_TAU - 1.5 * jnp.log(x) - 0.5 * self.concentration * gap**2 / x
        )

    def _sample(self, key, shape):
        """Michael, Schucany and Haas (1976)."""
        normal_key, uniform_key = jax.random.split(key)
        ratio = 0.5 * self.loc / self.concentration * self._normal(normal_key, shape) ** 2
        small = self.loc / (1 + ratio + jnp.sqrt(ratio * (ratio + 2)))
        keep = self._uniform(uniform_key, shape) * (self.loc + small) <= self.loc
        return jnp.where(keep, small, self.loc * (self.loc / small))

    def _mean(self):
        return self.loc

    def _variance(self):
        return self.loc**3 / self.concentration

    def _cdf(self, x):
        root = jnp.sqrt(self.concentration / x)
        second = jnp.exp(2 * self.concentration / self.loc + log_ndtr(-root * (x / self.loc + 1)))
        return ndtr(root * (x / self.loc - 1)) + second
