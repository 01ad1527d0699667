"""Distributions on the positive numbers; `gamma.py` and `heavy_tailed.py` hold more of them.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import expi, gammaln, log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import EULER, HALF_LOG_TAU, x_log_y
from culet.distributions.parameters import Parameter, parameter, positive, real
from culet.distributions.supports import Interval


class NonnegativeFamily(Family):
    """A family on the numbers from 0 on, 0 included."""

    def _support(self):
        return Interval(low=0.0)


class PositiveFamily(Family):
    """A family on the numbers above 0."""

    def _support(self):
        return Interval(low=0.0, open_ends=True)


class Exponential(NonnegativeFamily):
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


class Weibull(NonnegativeFamily):
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


class Rayleigh(NonnegativeFamily):
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


class HalfNormal(NonnegativeFamily):
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


class LogNormal(PositiveFamily):
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


class InverseGaussian(PositiveFamily):
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


class Gompertz(NonnegativeFamily):
    """Lifetimes whose risk of death, `concentration * rate` at first, grows with age as exp(rate * x)."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    rate: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        z = self.rate * x
        return jnp.log(self.concentration * self.rate) + z - self.concentration * jnp.expm1(z)

    def _mean(self):
        return -jnp.exp(self.concentration) * expi(-self.concentration) / self.rate

    def _mode(self):
        return jnp.maximum(-jnp.log(self.concentration), 0) / self.rate

    def _cdf(self, x):
        return -jnp.expm1(-self.concentration * jnp.expm1(self.rate * x))

    def _icdf(self, p):
        return jnp.log1p(-jnp.log1p(-p) / self.concentration) / self.rate


class BirnbaumSaunders(PositiveFamily):
    """Lifetimes under fatigue: `(sqrt(x / scale) - sqrt(scale / x)) / spread` is standard normal."""

    spread: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        root = jnp.sqrt(x / self.scale)
        z = (root - 1 / root) / self.spread
        return jnp.log((root + 1 / root) / (2 * self.spread)) - jnp.log(x) - 0.5 * z * z - HALF_LOG_TAU

    def _sample(self, key, shape):
        return self._from_normal(self._normal(key, shape))

    def _from_normal(self, z: Array) -> Array:
        half = 0.5 * self.spread * z
        # The two roots of the quadratic multiply to 1; the larger one loses no digits.
        larger = (jnp.abs(half) + jnp.sqrt(half**2 + 1)) ** 2
        return self.scale * jnp.where(half < 0, 1 / larger, larger)

    def _mean(self):
        return self.scale * (1 + 0.5 * self.spread**2)

    def _variance(self):
        return (self.scale * self.spread) ** 2 * (1 + 1.25 * self.spread**2)

    def _cdf(self, x):
        root = jnp.sqrt(x / self.scale)
        return ndtr((root - 1 / root) / self.spread)

    def _icdf(self, p):
        return self._from_normal(ndtri(p))
