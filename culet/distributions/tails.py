"""Positive distributions with power-law tails, and those of lifetimes.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import expi, gammaln, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.arguments import Parameter, check_order, parameter, positive
from culet.distributions.family import Family
from culet.distributions.numerics import EULER, HALF_LOG_TAU
from culet.distributions.positive import AboveZero, FromZero
from culet.distributions.supports import Interval


class Pareto(Family):
    """Numbers from `scale` on, whose density falls as x^-(concentration + 1)."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _support(self):
        return Interval(low=self.scale)

    def _log_density(self, x):
        return jnp.log(self.concentration / self.scale) - (self.concentration + 1) * jnp.log(x / self.scale)

    def _mean(self):
        a = self.concentration
        return jnp.where(a > 1, self.scale * a / jnp.where(a > 1, a - 1, 1), jnp.inf)

    def _variance(self):
        a = self.concentration
        finite = self.scale**2 * a / jnp.where(a > 2, (a - 1) ** 2 * (a - 2), 1)
        return jnp.where(a > 2, finite, jnp.inf)

    def _mode(self):
        return self.scale

    def _entropy(self):
        return jnp.log(self.scale / self.concentration) + 1 + 1 / self.concentration

    def _cdf(self, x):
        return -jnp.expm1(-self.concentration * jnp.log(x / self.scale))

    def _icdf(self, p):
        return self.scale * jnp.exp(-jnp.log1p(-p) / self.concentration)


class Lomax(FromZero):
    """A Pareto variate moved to begin at 0."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return jnp.log(self.concentration / self.scale) - (self.concentration + 1) * jnp.log1p(x / self.scale)

    def _mean(self):
        a = self.concentration
        return jnp.where(a > 1, self.scale / jnp.where(a > 1, a - 1, 1), jnp.inf)

    def _variance(self):
        a = self.concentration
        finite = self.scale**2 * a / jnp.where(a > 2, (a - 1) ** 2 * (a - 2), 1)
        return jnp.where(a > 2, finite, jnp.inf)

    def _mode(self):
        return jnp.zeros_like(self.scale)

    def _entropy(self):
        return jnp.log(self.scale / self.concentration) + 1 + 1 / self.concentration

    def _cdf(self, x):
        return -jnp.expm1(-self.concentration * jnp.log1p(x / self.scale))

    def _icdf(self, p):
        return self.scale * jnp.expm1(-jnp.log1p(-p) / self.concentration)


class Frechet(AboveZero):
    """Maxima of heavy-tailed draws: the distribution function is exp(-(x / scale)^-concentration)."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        k, logs = self.concentration, jnp.log(x / self.scale)
        return jnp.log(k / self.scale) - (1 + k) * logs - jnp.exp(-k * logs)

    def _moment(self, order: int) -> Array:
        exists = self.concentration > order
        moment = jnp.exp(gammaln(1 - order / jnp.where(exists, self.concentration, order + 1)))
        return jnp.where(exists, moment, jnp.inf)

    def _mean(self):
        return self.scale * self._moment(1)

    def _variance(self):
        first = jnp.where(self.concentration > 2, self._moment(1), 0)
        return self.scale**2 * (self._moment(2) - first**2)

    def _mode(self):
        k = self.concentration
        return self.scale * (k / (1 + k)) ** (1 / k)

    def _entropy(self):
        return 1 + EULER / self.concentration + EULER + jnp.log(self.scale / self.concentration)

    def _cdf(self, x):
        return jnp.exp(-((x / self.scale) ** -self.concentration))

    def _icdf(self, p):
        return self.scale * (-jnp.log(p)) ** (-1 / self.concentration)


class Levy(AboveZero):
    """The time at which a Brownian motion without drift first reaches a level; it has no mean."""

    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return 0.5 * jnp.log(self.scale) - HALF_LOG_TAU - 1.5 * jnp.log(x) - 0.5 * self.scale / x

    def _mean(self):
        return jnp.full_like(self.scale, jnp.inf)

    def _variance(self):
        return jnp.full_like(self.scale, jnp.inf)

    def _mode(self):
        return self.scale / 3

    def _entropy(self):
        return 0.5 * (1 + 3 * EULER + math.log(16 * math.pi)) + jnp.log(self.scale)

    def _cdf(self, x):
        return 2 * ndtr(-jnp.sqrt(self.scale / x))

    def _icdf(self, p):
        return self.scale / ndtri(0.5 * p) ** 2


class Gompertz(FromZero):
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


class BirnbaumSaunders(AboveZero):
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
