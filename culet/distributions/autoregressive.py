"""Autoregressive flows: each number of a vector is mapped by a function that depends on those before it.

Axis letters: D length of a vector, P parameters of the map of a number, I inputs, O outputs, W width.
"""

import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from culet.distributions.bijector import Bijector
from culet.distributions.elementwise import Affine, Shift
from culet.distributions.spline import RationalQuadraticSpline
from culet.distributions.vectors import VectorBijector


class ShiftMap(eqx.Module):
    """Maps a number by adding the one parameter: nothing is stretched."""

    size: int = eqx.field(static=True, default=1)

    def __call__(self, parameters: Float[Array, "... 1"]) -> Bijector:
        """The shift by the parameter."""
        return Shift(parameters[..., 0])


class AffineMap(eqx.Module):
    """Maps a number by an affine function of two parameters, the second of which is the scale through a softplus."""

    size: int = eqx.field(static=True, default=2)

    def __call__(self, parameters: Float[Array, "... 2"]) -> Bijector:
        """The affine map; the identity where the parameters are 0."""
        return Affine(parameters[..., 0], jax.nn.softplus(parameters[..., 1] + 0.5413248546))  # softplus of that is 1


class SplineMap(eqx.Module):
    """Maps a number by a rational-quadratic spline of `bins` pieces within [-bound, bound]."""

    bins: int = eqx.field(static=True, default=8)
    bound: float = eqx.field(static=True, default=5.0)

    @property
    def size(self) -> int:
        """Widths, heights and inner slopes."""
        return 3 * self.bins - 1

    def __call__(self, parameters: Float[Array, "... P"]) -> Bijector:
        """The spline; the identity where the parameters are 0."""
        widths, heights, slopes = jnp.split(parameters, (self.bins, 2 * self.bins), -1)
        return RationalQuadraticSpline(widths, heights, slopes, self.bound)


NumberMap = ShiftMap | AffineMap | SplineMap


class MaskedLinear(eqx.Module):
    """A linear map that has no weight where the mask is false."""

    weight: Float[Array, "O I"]
    bias: Float[Array, "O"]
    mask: Bool[Array, "O I"]

    def __call__(self, x: Float[Array, "... I"]) -> Float[Array, "... O"]:
        """The map of the last axis."""
        y = x @ jnp.where(self.mask, self.weight, 0.0).T
        return y + jnp.broadcast_to(self.bias, y.shape)


class MaskedNetwork(eqx.Module):
    """A network whose output d depends on inputs before d alone, as P numbers for each of D outputs.

    Hidden unit w may see the inputs up to `w mod (D - 1)`. (Germain and others, "MADE", 2015, section 3.)
    """

    layers: tuple[MaskedLinear, ...]

    def __init__(self, dimensions: int, outputs: int, width: int, depth: int, *, key: Key[Array, ""]):
        """`depth` hidden layers of `width` units, and a last layer of P = `outputs` numbers that start near 0.

        Raises `ValueError` where hidden layers have fewer units than there are inputs to tell apart, D - 1.
        """
        if depth and width < dimensions - 1:
            needed = f"{dimensions - 1} units or more, not {width}"
            raise ValueError(f"For every number to depend on all before it, layers over {dimensions} need {needed}.")
        inputs, hidden = np.arange(dimensions), np.arange(width) % max(dimensions - 1, 1)
        ranks = [inputs] + [hidden] * depth
        masks = [after[:, None] >= before[None] for before, after in itertools.pairwise(ranks)]
        masks.append(np.repeat(inputs, outputs)[:, None] > ranks[-1][None])
        scales = [(2 / mask.shape[1]) ** 0.5 for mask in masks[:-1]] + [0.1 * masks[-1].shape[1] ** -0.5]
        weights = _normal(key, tuple(mask.shape for mask in masks), tuple(scales))
        self.layers = tuple(
            MaskedLinear(weight, *jax.device_put((np.zeros(len(mask), weight.dtype), mask)))  # jnp.zeros would compile
            for weight, mask in zip(weights, masks, strict=True)
        )

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D P"]:
        """The parameters."""
        values = x
        for layer in self.layers[:-1]:
            values = jax.nn.relu(layer(values))
        return self.layers[-1](values).reshape(*x.shape, -1)


class MaskedAutoregressive(VectorBijector):
    """`y[d]` is the map of `x[d]` whose parameters a network makes of `y[0], ..., y[d-1]`.

    The inverse, and so a density, takes one pass through the network; the map itself, and so a sample, D passes, one
    number at a time. `Invert` of it is the inverse autoregressive flow, with both costs exchanged. (Papamakarios and
    others, "Masked Autoregressive Flow for Density Estimation", 2017; Kingma and others, 2016, for the inverse.)
    """

    network: MaskedNetwork
    number_map: NumberMap

    def __init__(self, dimensions: int, number_map: NumberMap, *, width: int, depth: int, key: Key[Array, ""]):
        self.network = MaskedNetwork(dimensions, number_map.size, width, depth, key=key)
        self.number_map = number_map

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """In one pass."""
        x, log_dets = self.number_map(self.network(y)).inverse_and_log_det(y)
        return x, jnp.sum(log_dets, -1)

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """In D passes, and one more for the log det."""
        y = self.forward(x)
        _, log_dets = self.number_map(self.network(y)).forward_and_log_det(x)
        return y, jnp.sum(log_dets, -1)

    def forward(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        """In D passes."""
        places = jnp.arange(x.shape[-1])

        def one(y: Array, place: Array) -> tuple[Array, None]:
            moved = self.number_map(self.network(y)).forward(x)
            return jnp.where(jnp.broadcast_to(places == place, x.shape), moved, y), None

        return jax.lax.scan(one, jnp.zeros_like(x), places)[0]


@functools.partial(jax.jit, static_argnums=(1, 2))
def _normal(key: Key[Array, ""], shapes: tuple[tuple[int, ...], ...], scales: tuple[float, ...]) -> list[Array]:
    """Matrices of normal numbers with the standard deviations `scales`; to compile one draw takes half of a build."""
    sizes = [math.prod(shape) for shape in shapes]
    parts = jax.lax.split(jax.random.normal(key, (sum(sizes),)), sizes)
    return [scale * part.reshape(shape) for part, shape, scale in zip(parts, shapes, scales, strict=True)]
