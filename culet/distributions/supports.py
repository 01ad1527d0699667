"""Supports: the sets of values where a density may be positive.

Axis letters: S any leading axes, E axes of one event, D components, K rows of a square matrix.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Num

from culet.distributions.numerics import with_rank

TOLERANCE = 1e-4
"""How far rounding may take a vector or a matrix away from a surface that it should lie on."""


class Support(eqx.Module):
    """A set of values. Its own arrays, such as bounds, broadcast with the batch of the distribution."""

    @abstractmethod
    def _holds(self, value: Array) -> Array: ...

    @abstractmethod
    def interior(self, value: Num[Array, "..."]) -> Float[Array, "..."] | float:
        """A point well inside the set, which broadcasts with `value` [*S, *E]."""

    def contains(self, value: Num[ArrayLike, "..."]) -> Bool[Array, "..."]:
        """Which values [*S, *E] are in the set, as an array [*S]; a NaN is in none."""
        value = jnp.asarray(value)
        return self._holds(value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float))


class Interval(Support):
    """Numbers from `low` to `high`, ends included where they are finite; `open_ends` leaves those out."""

    low: Any = -jnp.inf
    high: Any = jnp.inf
    open_ends: bool = eqx.field(static=True, default=False)

    def _holds(self, value):
        if self.open_ends:
            return (value > self.low) & (value < self.high)
        return (value >= self.low) & (value <= self.high) & jnp.isfinite(value)

    def interior(self, value):
        """The middle, or 1 away from the only finite end."""
        low, high = jnp.asarray(self.low, value.dtype), jnp.asarray(self.high, value.dtype)
        one_end = jnp.where(jnp.isfinite(low), low + 1, jnp.where(jnp.isfinite(high), high - 1, 0))
        both = jnp.isfinite(low) & jnp.isfinite(high)
        return jnp.where(both, jnp.where(both, low, 0) / 2 + jnp.where(both, high, 0) / 2, one_end)


class Integers(Support):
    """Whole numbers from `low` to `high`, both included."""

    low: Any = 0
    high: Any = jnp.inf

    def _holds(self, value):
        return (value >= self.low) & (value <= self.high) & (value == jnp.floor(value)) & jnp.isfinite(value)

    def interior(self, value):
        """The least of them."""
        return jnp.asarray(self.low, value.dtype)


class Vectors(Support):
    """Arrays whose components, along the last `ndims` axes, all lie in `components`."""

    components: Support
    ndims: int = eqx.field(static=True, default=1)

    def _holds(self, value):
        return self.components.contains(value).all(tuple(range(-self.ndims, 0)))

    def interior(self, value):
        """That of the components."""
        return self.components.interior(value)


class Simplex(Support):
    """Vectors [D] of numbers from 0 to 1 with the sum 1; `open_ends` leaves out those with a 0."""

    open_ends: bool = eqx.field(static=True, default=False)

    def _holds(self, value):
        return (value > 0 if self.open_ends else value >= 0).all(-1) & (jnp.abs(value.sum(-1) - 1) < TOLERANCE)

    def interior(self, value):
        """All components equal."""
        return 1.0 / value.shape[-1]


class Counts(Support):
    """Vectors [D] of whole numbers, at least 0, with the sum `total`."""

    total: Any

    def _holds(self, value):
        return ((value >= 0) & (value == jnp.floor(value))).all(-1) & (value.sum(-1) == self.total)

    def interior(self, value):
        """All in the first place."""
        first = (jnp.arange(value.shape[-1]) == 0).astype(value.dtype)
        total = with_rank(jnp.asarray(self.total, value.dtype), value.ndim - 1)
        return total[..., None] * with_rank(first, value.ndim)


class Sphere(Support):
    """Vectors [D] of length 1."""

    def _holds(self, value):
        return jnp.abs(jnp.linalg.norm(value, axis=-1) - 1) < TOLERANCE

    def interior(self, value):
        """All components equal."""
        return value.shape[-1] ** -0.5


class Permutations(Support):
    """Vectors [D] that hold each of 0 to D - 1 once."""

    def _holds(self, value):
        return (jnp.sort(value, axis=-1) == self.interior(value)).all(-1)

    def interior(self, value):
        """In rising order."""
        return with_rank(jnp.arange(value.shape[-1]).astype(value.dtype), value.ndim)


class PositiveDefinite(Support):
    """Symmetric matrices [K, K] whose eigenvalues are positive."""

    def _holds(self, value):
        gap = jnp.abs(value - jnp.swapaxes(value, -1, -2)).max((-1, -2))
        symmetric = gap <= TOLERANCE * jnp.abs(value).max((-1, -2))
        return symmetric & jnp.isfinite(jnp.linalg.cholesky(value)).all((-1, -2))

    def interior(self, value):
        """The identity."""
        return with_rank(jnp.eye(value.shape[-1], dtype=value.dtype), value.ndim)


class CorrelationCholesky(Support):
    """Lower triangular matrices [K, K] with a positive diagonal and rows of length 1."""

    def _holds(self, value):
        lower = (jnp.triu(value, 1) == 0).all((-1, -2))
        diagonal = (jnp.diagonal(value, axis1=-2, axis2=-1) > 0).all(-1)
        return lower & diagonal & (jnp.abs((value**2).sum(-1) - 1) < TOLERANCE).all(-1)

    def interior(self, value):
        """The identity."""
        return with_rank(jnp.eye(value.shape[-1], dtype=value.dtype), value.ndim)


class Point(Support):
    """The number `point`."""

    point: Any

    def _holds(self, value):
        return value == self.point

    def interior(self, value):
        """The point."""
        return jnp.asarray(self.point, value.dtype)


class Union(Support):
    """What lies in at least one of a batch of sets, along their last axis; values have `event_ndims` axes."""

    sets: Support
    event_ndims: int = eqx.field(static=True)

    def _holds(self, value):
        return self.sets.contains(jnp.expand_dims(value, -1 - self.event_ndims)).any(-1)

    def interior(self, value):
        """That of the first set."""
        axis = -1 - self.event_ndims
        expanded = jnp.expand_dims(value, axis)
        inner = jnp.asarray(self.sets.interior(expanded))
        return jnp.broadcast_to(inner, jnp.broadcast_shapes(inner.shape, expanded.shape)).take(0, axis)


class Either(Support):
    """What lies in at least one of two sets."""

    first: Support
    second: Support

    def _holds(self, value):
        return self.first.contains(value) | self.second.contains(value)

    def interior(self, value):
        """That of the first set."""
        return self.first.interior(value)


class Everywhere(Support):
    """Every value; of distributions that do not say more about where they live. `event_ndims` axes make one value."""

    event_ndims: int = eqx.field(static=True, default=0)

    def _holds(self, value):
        return jnp.isfinite(value).all(tuple(range(-self.event_ndims, 0)))

    def interior(self, value):
        """Zero."""
        return 0.0
