"""Where densities live.

Axis letters: S any leading axes, E axes of one event, D components, K rows of a square matrix.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

TOLERANCE = 1e-4
"""How far rounding may take a vector or a matrix away from a surface that it should lie on."""


class Support(eqx.Module):
    """A set of values."""

    @abstractmethod
    def contains(self, value: Num[Array, "..."]) -> Bool[Array, "..."]:
        """Which values [*S, *E] are in the set, as an array [*S]; a NaN is in none."""


class Interval(Support):
    """Numbers from `low` to `high`, ends included where they are finite; `open_low` leaves `low` out."""

    low: Any = -jnp.inf
    high: Any = jnp.inf
    open_low: bool = eqx.field(static=True, default=False)

    def contains(self, value):
        above = value > self.low if self.open_low else value >= self.low
        return above & (value <= self.high) & jnp.isfinite(value)


class Integers(Support):
    """Whole numbers from `low` to `high`, both included."""

    low: Any = 0
    high: Any = jnp.inf

    def contains(self, value):
        value = value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)
        return (value >= self.low) & (value <= self.high) & (value == jnp.floor(value)) & jnp.isfinite(value)


class Vectors(Support):
    """Arrays whose components, along the last `ndims` axes, all lie in `components`."""

    components: Support
    ndims: int = eqx.field(static=True, default=1)

    def contains(self, value):
        return self.components.contains(value).all(tuple(range(-self.ndims, 0)))


class Simplex(Support):
    """Vectors [D] of numbers from 0 to 1 with the sum 1."""

    def contains(self, value):
        return (value >= 0).all(-1) & (jnp.abs(value.sum(-1) - 1) < TOLERANCE)


class Counts(Support):
    """Vectors [D] of whole numbers, at least 0, with the sum `total`."""

    total: Any

    def contains(self, value):
        value = value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)
        return ((value >= 0) & (value == jnp.floor(value))).all(-1) & (value.sum(-1) == self.total)


class Sphere(Support):
    """Vectors [D] of length 1."""

    def contains(self, value):
        return jnp.abs(jnp.linalg.norm(value, axis=-1) - 1) < TOLERANCE


class Permutations(Support):
    """Vectors [D] that hold each of 0 to D - 1 once."""

    def contains(self, value):
        order = jnp.arange(value.shape[-1]).astype(value.dtype)
        return (jnp.sort(value, axis=-1) == jnp.broadcast_to(order, value.shape)).all(-1)


class PositiveDefinite(Support):
    """Symmetric matrices [K, K] whose eigenvalues are positive."""

    def contains(self, value):
        gap = jnp.abs(value - jnp.swapaxes(value, -1, -2)).max((-1, -2))
        symmetric = gap <= TOLERANCE * jnp.abs(value).max((-1, -2))
        return symmetric & jnp.isfinite(jnp.linalg.cholesky(value)).all((-1, -2))


class CorrelationCholesky(Support):
    """Lower triangular matrices [K, K] with a positive diagonal and rows of length 1."""

    def contains(self, value):
        lower = (jnp.triu(value, 1) == 0).all((-1, -2))
        diagonal = (jnp.diagonal(value, axis1=-2, axis2=-1) > 0).all(-1)
        return lower & diagonal & (jnp.abs((value**2).sum(-1) - 1) < TOLERANCE).all(-1)


class Points(Support):
    """The one value `point`, whose last `ndims` axes make one event."""

    point: Array
    ndims: int = eqx.field(static=True, default=0)

    def contains(self, value):
        shape = jnp.broadcast_shapes(value.shape, self.point.shape)
        same = jnp.broadcast_to(value, shape).astype(self.point.dtype) == jnp.broadcast_to(self.point, shape)
        return same.all(tuple(range(-self.ndims, 0))) if self.ndims else same
