"""The protocol of bijectors, invertible maps with known log determinants; and bijectors made of bijectors."""

import abc
import functools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Bijector(eqx.Module):
    """An invertible map of events, such as numbers (`event_ndims_in` 0), vectors (1) or matrices (2).

    Axes before those of the event are a batch, over which every method maps. The log det of an event is the logarithm
    of the absolute Jacobian determinant at it, so it has the shape of the argument without the event axes. (Dillon and
    others, "TensorFlow Distributions", 2017, section 4. Their cache is not needed
    here: with x at hand, call `forward_and_log_det`, which never inverts.)

    For y outside the image of the map, the log det of the inverse is -inf, so that the density of a `Transformed` is 0
    there; the x returned with it is some finite point.
    """

    @property
    @abc.abstractmethod
    def event_ndims_in(self) -> int:
        """How many axes an event has before the map. Known from the class, never from the values."""

    @property
    @abc.abstractmethod
    def event_ndims_out(self) -> int:
        """How many axes an event has after the map."""

    @abc.abstractmethod
    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Y, and the log det of the map at x."""

    @abc.abstractmethod
    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """X, and the log det of the inverse map at y: minus the log det of the map at x."""

    def at_rank(self, rank: int) -> "Bijector":
        """The same, its parameters with at least `rank` axes if they are parameters of single numbers."""
        return self

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The map. Under `jit`, the unused log det is not computed."""
        return self.forward_and_log_det(x)[0]

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The inverse map."""
        return self.inverse_and_log_det(y)[0]


def sum_last(values: Float[Array, "..."], ndims: int) -> Float[Array, "..."]:
    """The sum over the last `ndims` axes: log dets of parts to the log det of the whole event."""
    return jnp.sum(values, tuple(range(-ndims, 0))) if ndims else values


class Chain(Bijector):
    """One bijector after the other, the first of the list first.

    An event is as large as the largest of the parts needs it: a chain of an elementwise bijector and one of vectors
    is one of vectors. A chain of none is the identity of numbers.
    """

    bijectors: tuple[Bijector, ...]

    def __init__(self, bijectors: Sequence[Bijector]):
        self.bijectors = tuple(bijectors)

    def at_rank(self, rank: int) -> "Chain":
        """The same of each part."""
        return Chain([bijector.at_rank(rank) for bijector in self.bijectors])

    @property
    def event_ndims_in(self) -> int:
        """The least from which every part gets the axes it needs."""
        needed, gained = 0, 0
        for bijector in self.bijectors:
            needed = max(needed, bijector.event_ndims_in - gained)
            gained += bijector.event_ndims_out - bijector.event_ndims_in
        return needed

    @property
    def event_ndims_out(self) -> int:
        """The axes that go in, and those that the parts add."""
        return self.event_ndims_in + sum(part.event_ndims_out - part.event_ndims_in for part in self.bijectors)

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The last y, and the sum of the log dets."""
        ndims, total = self.event_ndims_in, None
        for bijector in self.bijectors:
            x, log_det = bijector.forward_and_log_det(x)
            log_det = sum_last(log_det, ndims - bijector.event_ndims_in)
            total = log_det if total is None else total + log_det
            ndims += bijector.event_ndims_out - bijector.event_ndims_in
        return x, jnp.zeros_like(x) if total is None else total

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The first x, and the sum of the log dets."""
        ndims, total = self.event_ndims_out, None
        for bijector in reversed(self.bijectors):
            y, log_det = bijector.inverse_and_log_det(y)
            log_det = sum_last(log_det, ndims - bijector.event_ndims_out)
            total = log_det if total is None else total + log_det
            ndims += bijector.event_ndims_in - bijector.event_ndims_out
        return y, jnp.zeros_like(y) if total is None else total

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The last y."""
        for bijector in self.bijectors:
            x = bijector.forward(x)
        return x

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The first x."""
        for bijector in reversed(self.bijectors):
            y = bijector.inverse(y)
        return y


class Invert(Bijector):
    """A bijector the other way round: its forward map is the inverse of `bijector`."""

    bijector: Bijector

    def at_rank(self, rank: int) -> "Invert":
        """The same of `bijector`."""
        return Invert(self.bijector.at_rank(rank))

    @property
    def event_ndims_in(self) -> int:
        """What comes out of `bijector`."""
        return self.bijector.event_ndims_out

    @property
    def event_ndims_out(self) -> int:
        """What goes into `bijector`."""
        return self.bijector.event_ndims_in

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The inverse of `bijector`."""
        return self.bijector.inverse_and_log_det(x)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The map of `bijector`."""
        return self.bijector.forward_and_log_det(y)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The inverse of `bijector`."""
        return self.bijector.inverse(x)

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The map of `bijector`."""
        return self.bijector.forward(y)


class Blocks(Bijector):
    """A vector split into pieces of the lengths `sizes`, each with its own bijector of numbers or of vectors."""

    bijectors: tuple[Bijector, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, bijectors: Sequence[Bijector], sizes: Sequence[int]):
        """Raises `ValueError` for another number of sizes than of bijectors, and for a bijector of matrices."""
        self.bijectors, self.sizes = tuple(bijectors), tuple(sizes)
        if len(self.bijectors) != len(self.sizes):
            raise ValueError(f"Blocks: there are {len(self.bijectors)} bijectors but {len(self.sizes)} sizes")
        for part in self.bijectors:
            if (part.event_ndims_in, part.event_ndims_out) not in ((0, 0), (1, 1)):
                raise ValueError(f"Blocks: each part must be a bijector of numbers or of vectors; got {part}")

    @property
    def event_ndims_in(self) -> int:
        """1: an event is a vector."""
        return 1

    @property
    def event_ndims_out(self) -> int:
        """1: an event is a vector."""
        return 1

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The pieces one after the other, and the sum of their log dets."""
        pieces = _split(x, self.sizes)
        return _joined([part.forward_and_log_det(piece) for part, piece in zip(self.bijectors, pieces, strict=True)])

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The pieces as they were, and the sum of their log dets."""
        pieces = _split(y, [_length(part, size) for part, size in zip(self.bijectors, self.sizes, strict=True)])
        return _joined([part.inverse_and_log_det(piece) for part, piece in zip(self.bijectors, pieces, strict=True)])


class Reshape(Bijector):
    """Events of the shape `before` to the shape `after`, in row-major order."""

    before: tuple[int, ...] = eqx.field(static=True)
    after: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, before: Sequence[int], after: Sequence[int]):
        """Raises `ValueError` when one shape has more entries than the other."""
        self.before, self.after = tuple(before), tuple(after)
        if math.prod(self.before) != math.prod(self.after):
            raise ValueError(f"Reshape: {list(self.before)} and {list(self.after)} differ in their number of entries")

    @property
    def event_ndims_in(self) -> int:
        """The axes of `before`."""
        return len(self.before)

    @property
    def event_ndims_out(self) -> int:
        """The axes of `after`."""
        return len(self.after)

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The other shape; the log det is 0."""
        return _reshaped(x, self.before, self.after)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The shape as it was; the log det is 0."""
        return _reshaped(y, self.after, self.before)


def _split(x: Float[Array, "..."], sizes: Sequence[int]) -> list[Float[Array, "..."]]:
    if x.shape[-1] != sum(sizes):
        raise ValueError(f"Blocks: sizes {list(sizes)} sum to {sum(sizes)}, but the vector has {x.shape[-1]} entries")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [x[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _joined(pieces: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    values = jnp.concatenate([value for value, _ in pieces], -1)
    # A log det with as many axes as its piece is one per number.
    dets = [jnp.sum(det, -1) if det.ndim == values.ndim else det for _, det in pieces]
    return values, functools.reduce(jnp.add, dets)


def _length(bijector: Bijector, size: int) -> int:
    """How long a vector of `size` is after the map."""
    return jax.eval_shape(bijector.forward, jax.ShapeDtypeStruct((size,), jnp.float32)).shape[-1]


def _reshaped(x: Array, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Array, Array]:
    batch = x.shape[: x.ndim - len(before)]
    if x.shape[len(batch) :] != before:
        raise ValueError(f"Reshape: the last axes must be {list(before)}; the shape is {list(x.shape)}")
    return x.reshape(*batch, *after), jnp.zeros(batch, x.dtype)
