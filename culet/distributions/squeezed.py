"""Normal and logistic variates squeezed into an interval, or cut down to one.

Axis letters: none; parameters broadcast together into the batch.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.arguments import Parameter, check_order, not_nan, parameter, positive, real
from culet.distributions.family import Family
from culet.distributions.numerics import (
    HALF_LOG_TAU,
    log1m_exp,
    logit,
    softplus,
)
from culet.distributions.supports import Interval


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


class TruncatedNormal(Family):
    """A normal variate given that it lies between `low` and `high`, either of which may be infinite."""

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)
    low: Float[Parameter, "..."] = parameter(not_nan)
    high: Float[Parameter, "..."] = parameter(not_nan)

    def _check(self):
        check_order(self, "low", "high")

    def _support(self):
        return Interval(self.low, self.high)

    def _ends(self) -> tuple[Array, Array]:
        """The ends as standard scores, finite so that gradients are."""
        low, high = ((end - self.loc) / self.scale for end in (self.low, self.high))
        return jnp.clip(low, -1e3, 1e3), jnp.clip(high, -1e3, 1e3)

    def _log_density(self, x):
        z = (x - self.loc) / self.scale
        return -0.5 * z * z - HALF_LOG_TAU - jnp.log(self.scale) - _log_mass(*self._ends())

    def _mean(self):
        return self.loc + self.scale * self._standard_mean()

    def _standard_mean(self) -> Array:
        low, high = self._ends()
        log_mass = _log_mass(low, high)
        return jnp.exp(_log_phi(low) - log_mass) - jnp.exp(_log_phi(high) - log_mass)

    def _variance(self):
        low, high = self._ends()
        log_mass = _log_mass(low, high)
        ends = low * jnp.exp(_log_phi(low) - log_mass) - high * jnp.exp(_log_phi(high) - log_mass)
        return self.scale**2 * (1 + ends - self._standard_mean() ** 2)

    def _mode(self):
        return jnp.clip(self.loc, self.low, self.high)

    def _cdf(self, x):
        low, high = self._ends()
        z = (x - self.loc) / self.scale
        between = z > low
        mass = jnp.exp(_log_mass(low, jnp.where(between, z, high)) - _log_mass(low, high))
        return jnp.where(between, mass, 0)

    def _icdf(self, p):
        low, high = self._ends()
        flip = low > 0  # in the upper tail, work with the lower one, where floats are dense
        near, far = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
        share = jnp.where(flip, 1 - p, p)
        z = ndtri(ndtr(near) * (1 - share) + ndtr(far) * share)
        return jnp.clip(self.loc + self.scale * jnp.where(flip, -z, z), self.low, self.high)


def _log_phi(z: Array) -> Array:
    return -0.5 * z * z - HALF_LOG_TAU


def _log_mass(low: Array, high: Array) -> Array:
    """The log of the normal probability of the interval, right also far out in either tail."""
    flip = low > 0
    near, far = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
    top = log_ndtr(far)
    return top + log1m_exp(log_ndtr(near) - top)
