"""Distributions of numbers rounded up to whole ones.

Axis letters: S shape, B batch.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.distribution import draws_of_batch
from culet.distributions.supports import Integers, Support
from culet.distributions.truncated import WithEnds


class Quantised(WithEnds):
    """A draw of `base` rounded up to a whole number, and into `low` to `high`: the mass of x is that of (x - 1, x].

    At the ends, which may be infinite, that of all beyond. With a `Logistic` or a mixture of them this is the
    likelihood of pixels of Salimans et al. (2017). Draws are floats. The base needs a `cdf`. Where the distribution
    function has lost its digits, the mass is the density in the middle, so that gradients stay finite.
    """

    @property
    def support(self) -> Support:
        """The whole numbers from `low` to `high`."""
        return Integers(self.low, self.high)

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        whole = shape + self.batch_shape
        draws = draws_of_batch(self.base, key, shape, self.batch_shape)
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
