"""Distributions of numbers cut off, and cut into whole numbers, by way of the distribution function.

Axis letters: S shape, B batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.arguments import Parameter, check_order, not_nan, parameter
from culet.distributions.distribution import Distribution
from culet.distributions.supports import Integers, Interval, Support


class _Between(Distribution):
    """What comes of a `base` between two ends; they broadcast together with it."""

    base: Distribution
    low: Float[Parameter, "..."] = parameter(not_nan)
    high: Float[Parameter, "..."] = parameter(not_nan)

    def _check(self):
        check_order(self, "low", "high")

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of base and ends together."""
        return np.broadcast_shapes(self.base.batch_shape, self.low.shape, self.high.shape)


class Truncated(_Between):
    """A draw of `base` given that it lies from `low` to `high`, ends included; either may be infinite.

    The base needs a `cdf`, and for samples an `icdf`. Far out in the upper tail a distribution function has few digits
    left; `TruncatedNormal` keeps them there.
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

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Num[Array, "..."]:
        """Draws [*S, *B], by the inverse of the distribution function."""
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


class Quantised(_Between):
    """A draw of `base` rounded up to a whole number, and into `low` to `high`: the mass of x is that of (x - 1, x].

    At the ends, which may be infinite, that of all beyond. With a `Logistic` or a mixture of them this is the
    likelihood of pixels of Salimans et al. (2017). The base needs a `cdf`. Where the distribution function has lost
    its digits, the mass is the density in the middle, so that gradients stay finite.
    """

    @property
    def support(self) -> Support:
        """The whole numbers from `low` to `high`."""
        return Integers(self.low, self.high)

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Num[Array, "..."]:
        """Draws [*S, *B], as floats."""
        missing = len(self.batch_shape) - len(self.base.batch_shape)
        whole = shape + self.batch_shape
        draws = jnp.broadcast_to(self.base.sample(key, shape + self.batch_shape[:missing]), whole)
        return jnp.clip(jnp.ceil(draws), jnp.broadcast_to(self.low, whole), jnp.broadcast_to(self.high, whole))

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the mass of `value` [*S, *B], in nats."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        low, high = jnp.broadcast_to(self.low, shape), jnp.broadcast_to(self.high, shape)
        value = jnp.broadcast_to(value, shape).astype(low.dtype)
        inside = Integers(low, high).contains(value)
        safe = jnp.where(inside, value, 0)
        top = jnp.where(safe >= high, 1, self.base.cdf(safe))
        mass = top - jnp.where(safe <= low, 0, self.base.cdf(safe - 1))
        exact = mass > 1e-4 * top  # else the difference is mostly rounding
        middle = self.base.log_prob(jnp.where(exact, 0, safe - 0.5))
        log_mass = jnp.where(exact, jnp.log(jnp.where(exact, mass, 1)), middle)
        return jnp.where(inside, log_mass, jnp.where(jnp.isnan(value), jnp.nan, -jnp.inf))

    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The probability of at most `value` [*S, *B]."""
        value = jnp.floor(jnp.asarray(value))
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        low, high = jnp.broadcast_to(self.low, shape), jnp.broadcast_to(self.high, shape)
        below = jnp.broadcast_to(self.base.cdf(value), shape)
        value = jnp.broadcast_to(value, shape)
        return jnp.where(value < low, 0, jnp.where(value >= high, 1, below))
