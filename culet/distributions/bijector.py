"""What a bijector is: an invertible map that knows how much it stretches volume."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Bijector(eqx.Module):
    """An invertible map of events, such as numbers (`event_ndims_in` 0), vectors (1) or matrices (2).

    Axes before those of the event are a batch, over which every method maps. The log det of an event is the logarithm
    of the absolute Jacobian determinant at it, so it has the shape of the argument without the event axes. (Dillon and
    others, "TensorFlow Distributions", 2017, section 4. Their cache is not needed here: who has x calls
    `forward_and_log_det`, and never has to invert y.)

    For y that is no value of the map, the log det of the inverse is -inf, so that a density carried over is 0 there;
    the x returned with it is some finite point.
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

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The map. Under `jit` the log det that nobody asked for is not computed."""
        return self.forward_and_log_det(x)[0]

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The inverse map."""
        return self.inverse_and_log_det(y)[0]


def sum_last(values: Float[Array, "..."], ndims: int) -> Float[Array, "..."]:
    """The sum over the last `ndims` axes: log dets of parts to the log det of the whole event."""
    return jnp.sum(values, tuple(range(-ndims, 0))) if ndims else values
