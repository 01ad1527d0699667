"""Distributions between two ends that are parameters.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.parameters import Parameter, check_order, parameter, positive, real
from culet.distributions.supports import Interval


class Uniform(Family):
    """Equal density from `low` to `high`."""

    low: Float[Parameter, "..."] = parameter(real)
    high: Float[Parameter, "..."] = parameter(real)

    def _check(self):
        check_order(self, "low", "high")

    def _support(self):
        return Interval(self.low, self.high)

    def _log_density(self, x):
        return -jnp.log(self.high - self.low) + 0 * x

    def _sample(self, key, shape):
        return self.low + (self.high - self.low) * jax.random.uniform(key, shape, self.dtype)

    def _mean(self):
        return 0.5 * self.low + 0.5 * self.high

    def _variance(self):
        return (self.high - self.low) ** 2 / 12

    def _mode(self):
        return self._mean()

    def _entropy(self):
        return jnp.log(self.high - self.low)

    def _cdf(self, x):
        return (x - self.low) / (self.high - self.low)

    def _icdf(self, p):
        return self.low + (self.high - self.low) * p


class LogUniform(Family):
    """Numbers from `low` to `high` whose logs are uniform."""

    low: Float[Parameter, "..."] = parameter(positive)
    high: Float[Parameter, "..."] = parameter(positive)

    def _check(self):
        check_order(self, "low", "high")

    def _support(self):
        return Interval(self.low, self.high)

    def _width(self) -> Array:
        return jnp.log(self.high / self.low)

    def _log_density(self, x):
        return -jnp.log(x) - jnp.log(self._width())

    def _mean(self):
        return (self.high - self.low) / self._width()

    def _variance(self):
        return (self.high**2 - self.low**2) / (2 * self._width()) - self._mean() ** 2

    def _mode(self):
        return self.low

    def _entropy(self):
        return 0.5 * jnp.log(self.low * self.high) + jnp.log(self._width())

    def _cdf(self, x):
        return jnp.log(x / self.low) / self._width()

    def _icdf(self, p):
        return jnp.clip(self.low * jnp.exp(p * self._width()), self.low, self.high)


class Triangular(Family):
    """Density that rises in a line from `low` to `peak` and falls in a line to `high`."""

    low: Float[Parameter, "..."] = parameter(real)
    peak: Float[Parameter, "..."] = parameter(real)
    high: Float[Parameter, "..."] = parameter(real)

    def _check(self):
        check_order(self, "low", "high")
        check_order(self, "low", "peak", "high", strict=False)

    def _support(self):
        return Interval(self.low, self.high)

    def _log_density(self, x):
        rising = x < self.peak
        width = jnp.where(rising, self.peak - self.low, self.high - self.peak)
        height = jnp.where(rising, x - self.low, self.high - x)
        return math.log(2) + jnp.log(height / jnp.where(width > 0, width, 1)) - jnp.log(self.high - self.low)

    def _mean(self):
        return (self.low + self.peak + self.high) / 3

    def _variance(self):
        left, right = self.peak - self.low, self.high - self.peak
        return (left**2 + right**2 + left * right) / 18

    def _mode(self):
        return self.peak

    def _entropy(self):
        return 0.5 + jnp.log(0.5 * (self.high - self.low))

    def _cdf(self, x):
        span = self.high - self.low
        left = jnp.maximum(jnp.minimum(x, self.peak) - self.low, 0) ** 2 / self._wide(self.peak - self.low)
        right = (self.high - jnp.maximum(x, self.peak)) ** 2 / self._wide(self.high - self.peak)
        return jnp.where(x < self.peak, left / span, 1 - right / span)

    def _icdf(self, p):
        span, left, right = self.high - self.low, self.peak - self.low, self.high - self.peak
        below = p * span < left
        return jnp.where(below, self.low + jnp.sqrt(p * span * left), self.high - jnp.sqrt((1 - p) * span * right))

    def _wide(self, width: Array) -> Array:
        return jnp.where(width > 0, width, 1)


class RaisedCosine(Family):
    """Density (1 + cos(pi z)) / (2 scale) at z = (x - loc) / scale from -1 to 1."""

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _support(self):
        return Interval(self.loc - self.scale, self.loc + self.scale, open_ends=True)

    def _log_density(self, x):
        z = (x - self.loc) / self.scale
        return 2 * jnp.log(jnp.cos(0.5 * math.pi * z)) - jnp.log(self.scale)

    def _sample(self, key, shape):
        """Draws z from the density proportional to its envelope, by a uniform one folded at its quartiles."""
        place_key, height_key = jax.random.split(key)
        z = jax.random.uniform(place_key, shape, self.dtype, -1, 1)
        keep = self._uniform(height_key, shape) < 0.5 + 0.5 * jnp.cos(math.pi * z)
        # Where z is refused, its reflection at +-1/2 has just the density that is missing.
        return self.loc + self.scale * jnp.where(keep, z, jnp.sign(z) - z)

    def _mean(self):
        return self.loc

    def _variance(self):
        return self.scale**2 * (1 / 3 - 2 / math.pi**2)

    def _mode(self):
        return self.loc

    def _entropy(self):
        return math.log(4) - 1 + jnp.log(self.scale)

    def _cdf(self, x):
        z = (x - self.loc) / self.scale
        return 0.5 * (1 + z + jnp.sin(math.pi * z) / math.pi)
