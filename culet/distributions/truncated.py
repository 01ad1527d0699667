"""Distributions conditioned on an interval.

Axis letters: S shape, B batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.distribution import Distribution
from culet.distributions.family import Family
from culet.distributions.numerics import HALF_LOG_TAU, log1m_exp
from culet.distributions.parameters import Parameter, check_order, not_nan, parameter, positive, real
from culet.distributions.supports import Integers, Interval, Support


class WithEnds(Distribution):
    """What comes of a `base` between two ends; they broadcast together with it."""

    base: Distribution
    low: Float[Parameter, "..."] = parameter(not_nan)
    high: Float[Parameter, "..."] = parameter(not_nan)

    def _parts(self):
        return {"base": 0, "low": 0, "high": 0}

    def _check(self):
        check_order(self, "low", "high")

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of base and ends together."""
        return np.broadcast_shapes(self.base.batch_shape, self.low.shape, self.high.shape)


class Truncated(WithEnds):
    """A draw of `base` given that it lies from `low` to `high`, ends included; either may be infinite.

    The base needs a `cdf`, and for samples, which are drawn by inversion, an `icdf`. Far out in the upper tail a
    distribution function has few digits left; `TruncatedNormal` keeps them there.
    """

    @property
    def support(self) -> Support:
        """From `low` to `high`, as far as the base goes; whole numbers if those of the base are."""
        support = self.base.support
        if isinstance(support, Integers):
            return Integers(jnp.maximum(jnp.ceil(self.low), support.low), jnp.minimum(self.high, support.high))
        if isinstance(support, Interval):
            low, high = jnp.maximum(self.low, support.low), jnp.minimum(self.high, support.high)
            return Interval(low, high, support.open_ends)
        raise self._missing("support")

    def _ends(self) -> tuple[Array, Array]:
        """The probabilities below the interval, and up to its end."""
        below = jnp.ceil(self.low) - 1 if isinstance(self.base.support, Integers) else self.low
        return self.base.cdf(below), self.base.cdf(self.high)

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        whole = shape + self.batch_shape
        start, end = (jnp.broadcast_to(place, whole) for place in self._ends())
        share = jax.random.uniform(key, whole, start.dtype, minval=float(jnp.finfo(start.dtype).tiny))
        draws = self.base.icdf(start + (end - start) * share)
        support = self.support
        low, high = jnp.broadcast_to(support.low, whole), jnp.broadcast_to(support.high, whole)  # pyright: ignore[reportAttributeAccessIssue]
        return jnp.clip(draws, low, high)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the density or mass [*S, *B], in nats."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        low, high = jnp.broadcast_to(self.low, shape), jnp.broadcast_to(self.high, shape)
        score = jnp.broadcast_to(self.base.log_prob(value), shape) - jnp.log(end - start)
        value = jnp.broadcast_to(value, shape).astype(score.dtype)
        return jnp.where((value < low) | (value > high) | (score == -jnp.inf), -jnp.inf, score)

    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The probability of at most `value` [*S, *B]."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        return jnp.clip((jnp.broadcast_to(self.base.cdf(value), shape) - start) / (end - start), 0, 1)

    def icdf(self, probability: Float[ArrayLike, "..."]) -> Num[Array, "..."]:
        """The value below which `probability` lies [*S, *B]; NaN unless that is in [0, 1]."""
        probability = jnp.asarray(probability)
        shape = np.broadcast_shapes(probability.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        inside = jnp.where((probability >= 0) & (probability <= 1), probability, jnp.nan)
        return self.base.icdf(start + (end - start) * jnp.broadcast_to(inside, shape))


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
