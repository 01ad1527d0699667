"""Distributions on the positive numbers whose density falls as a power.

Formulas: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (1994/95).
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import EULER, HALF_LOG_TAU, log1p_square, logit, softplus
from culet.distributions.parameters import Parameter, parameter, positive
from culet.distributions.positive import NonnegativeFamily, PositiveFamily
from culet.distributions.supports import Interval


class HalfCauchy(NonnegativeFamily):
    """The absolute value of a Cauchy variate around 0 of the same `scale`."""

    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return math.log(2 / math.pi) - jnp.log(self.scale) - log1p_square(x / self.scale)

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


class LogLogistic(PositiveFamily):
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


class Lomax(NonnegativeFamily):
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


class Frechet(PositiveFamily):
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


class Levy(PositiveFamily):
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
