"""The base class of parametric families.

Shapes are [*S, *B, *E] as in `distribution.py`.
Axis letters: S shape, B batch, E event.
"""

from abc import abstractmethod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.distribution import Distribution, compiled
from culet.distributions.numerics import with_rank
from culet.distributions.parameters import event_ndims_of, parameters_of
from culet.distributions.supports import Integers, Interval, Support


class Family(Distribution):
    """A distribution whose fields are parameters, and which is given by formulas that know nothing of shapes.

    The formulas (`_log_density`, `_sample`, `_mean`, ...) see values and parameters of equal rank, values only inside
    the support, and need not broadcast their results. Hence a density is -inf outside the support in every family,
    and what is done there to keep gradients finite is done once.
    """

    @property
    def support(self) -> Support:
        """Where the density may be above 0."""
        return self._support()

    @compiled
    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        shape = (*shape, *self.batch_shape)
        return self.at_rank(len(shape))._sample(key, shape)

    @compiled
    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the density or mass of `value` [*S, *B, *E], in nats: an array [*S, *B]; NaN of a NaN."""
        value, aligned, shape = self._meet(value)
        support = aligned.support
        event_axes = tuple(range(-len(self.event_shape), 0))
        inside = support.contains(value)
        safe = jnp.where(jnp.expand_dims(inside, event_axes), value, support.interior(value))
        outside = jnp.where(jnp.isnan(value).any(event_axes), jnp.nan, -jnp.inf)
        density = aligned._log_density(safe)
        return jnp.broadcast_to(jnp.where(inside, density, outside.astype(density.dtype)), shape)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """The expectation [*B, *E]; NaN or infinite where there is none."""
        return self._whole(self._aligned()._mean())

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """The variance of each component [*B, *E]; NaN or infinite where there is none."""
        return self._whole(self._aligned()._variance())

    @compiled
    def mode(self) -> Num[Array, "..."]:
        """A value at which `log_prob` is highest [*B, *E]."""
        return self._whole(self._aligned()._mode())

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """The expectation of `-log_prob`, in nats [*B]."""
        return jnp.broadcast_to(self._aligned()._entropy(), self.batch_shape)

    @compiled
    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The probability of at most `value`, for events that are numbers [*S, *B]."""
        value, aligned, shape = self._meet(value)
        support = aligned.support
        if not isinstance(support, Interval | Integers):
            raise self._missing("cdf")
        floored = jnp.floor(value) if isinstance(support, Integers) else value
        inside = support.contains(floored)
        below = aligned._cdf(jnp.where(inside, floored, support.interior(value)))
        outside = jnp.where(jnp.isnan(value), jnp.nan, jnp.where(value < support.high, 0.0, 1.0))
        return jnp.broadcast_to(jnp.where(inside, below, outside.astype(below.dtype)), shape)

    @compiled
    def icdf(self, probability: Float[ArrayLike, "..."]) -> Num[Array, "..."]:
        """The least value whose `cdf` is at least `probability`; NaN unless that lies in [0, 1] [*S, *B]."""
        probability, aligned, shape = self._meet(probability)
        valid = (probability >= 0) & (probability <= 1)
        return jnp.broadcast_to(jnp.where(valid, aligned._icdf(jnp.where(valid, probability, 0.5)), jnp.nan), shape)

    def _support(self) -> Support:
        return Interval()

    @abstractmethod
    def _log_density(self, x: Array) -> Array: ...

    def _sample(self, key: Array, shape: tuple[int, ...]) -> Array:
        return self._icdf(self._uniform(key, shape))

    def _mean(self) -> Array:
        raise self._missing("mean")

    def _variance(self) -> Array:
        raise self._missing("variance")

    def _mode(self) -> Array:
        raise self._missing("mode")

    def _entropy(self) -> Array:
        raise self._missing("entropy")

    def _cdf(self, x: Array) -> Array:
        raise self._missing("cdf")

    def _icdf(self, p: Array) -> Array:
        raise self._missing("icdf")

    def _uniform(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Numbers in (0, 1)."""
        return jax.random.uniform(key, shape, self.dtype, minval=float(jnp.finfo(self.dtype).tiny))

    def _normal(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.normal(key, shape, self.dtype)

    def _whole(self, value: Array) -> Array:
        return jnp.broadcast_to(value, (*self.batch_shape, *self.event_shape))

    def _aligned(self) -> "Family":
        return self.at_rank(len(self.batch_shape))

    def at_rank(self, rank: int) -> "Family":
        """The same with at least `rank` batch axes, those in front of length 1: no arithmetic promotes ranks."""
        leaves, structure = jax.tree.flatten(self)
        event_ndims = [event_ndims_of(spec) for spec in parameters_of(type(self)).values()]
        aligned = [with_rank(leaf, rank + ndims) for leaf, ndims in zip(leaves, event_ndims, strict=True)]
        return jax.tree.unflatten(structure, aligned)

    def _meet(self, value: ArrayLike) -> tuple[Array, "Family", tuple[int, ...]]:
        """`value` as floats and `self`, of equal rank, and the batch shape of the two together."""
        value = jnp.asarray(value)
        if not jnp.issubdtype(value.dtype, jnp.floating):
            value = value.astype(self.dtype)
        event, batch = self.event_shape, self.batch_shape
        split = value.ndim - len(event)
        if split < 0 or value.shape[split:] != event:
            raise ValueError(
                f"{type(self).__name__}: the shape of a value must end in the event shape {event}; got {value.shape}"
            )
        try:
            shape = np.broadcast_shapes(value.shape[:split], batch)
        except ValueError:
            name = type(self).__name__
            raise ValueError(f"{name}: values {value.shape} do not broadcast with the batch shape {batch}") from None
        if value.shape and split < len(shape):
            value = value.reshape((1,) * (len(shape) - split) + value.shape)
        return value, self.at_rank(len(shape)), shape
