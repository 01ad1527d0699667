"""Layers of flows: masked autoregressive ones, coupling layers, invertible residual networks.

Axis letters: D length of a vector, P parameters of the map of a number, I inputs, O outputs, W width, K numbers that
stay, M = D - K that are mapped.
"""

import functools
import itertools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from culet.core.keys import as_key
from culet.distributions.bijectors.bijector import Bijector
from culet.distributions.bijectors.elementwise import Affine, Shift
from culet.distributions.bijectors.spline import RationalQuadraticSpline
from culet.distributions.bijectors.vectors import VectorBijector

CONTRACTION = 0.9  # the most by which g may stretch a distance
ROUNDS = 60  # of the fixed point, after which 0.9^60 = 0.002 of the error is left, for a step of Newton to remove
Function = Callable[[Float[Array, "D"]], Float[Array, "D"]]


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

    def __init__(self, dimensions: int, outputs: int, width: int, depth: int, *, key: int | Key[Array, ""]):
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
        weights = _normal(as_key(key), tuple(mask.shape for mask in masks), tuple(scales))
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

    def __init__(self, dimensions: int, number_map: NumberMap, *, width: int, depth: int, key: int | Key[Array, ""]):
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


class Coupling(VectorBijector):
    """The first `kept` numbers stay; a network of them gives the parameters of the maps of the others.

    Both directions take one pass. With `AffineMap` this is the layer of RealNVP (Dinh and others, 2017, section 3),
    with `SplineMap` that of neural spline flows (Durkan and others, 2019); with `ShiftMap`, two in a row with the
    halves exchanged are the block of a reversible residual network (Gomez and others, 2017, section 3).
    """

    network: eqx.nn.MLP
    number_map: NumberMap
    kept: int = eqx.field(static=True)

    def __init__(
        self, dimensions: int, kept: int, number_map: NumberMap, *, width: int, depth: int, key: int | Key[Array, ""]
    ):
        """Starts near the identity. Raises `ValueError` unless 0 < kept < dimensions."""
        if not 0 < kept < dimensions:
            raise ValueError(f"Coupling: kept is {kept}; it must be at least 1 and below the {dimensions} dimensions")
        moved = (dimensions - kept) * number_map.size
        network = eqx.nn.MLP(kept, moved, width, depth, key=as_key(key))
        last = network.layers[-1]
        self.network = eqx.tree_at(lambda net: net.layers[-1], network, jax.tree.map(lambda leaf: 0.1 * leaf, last))
        self.number_map = number_map
        self.kept = kept

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector with its last part mapped."""
        kept, moved = x[..., : self.kept], x[..., self.kept :]
        moved, log_dets = self._map(kept, moved).forward_and_log_det(moved)
        return jnp.concatenate([kept, moved], -1), jnp.sum(log_dets, -1)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector with its last part mapped back."""
        kept, moved = y[..., : self.kept], y[..., self.kept :]
        moved, log_dets = self._map(kept, moved).inverse_and_log_det(moved)
        return jnp.concatenate([kept, moved], -1), jnp.sum(log_dets, -1)

    def _map(self, kept: Float[Array, "... K"], moved: Float[Array, "... M"]) -> Bijector:
        parameters = jnp.vectorize(self.network, signature="(k)->(p)")(kept)
        return self.number_map(parameters.reshape(*moved.shape, -1))


class ContractiveNetwork(eqx.Module):
    """A network that brings any two points nearer to each other, to at most 0.9 of their distance.

    Each matrix is divided by its largest singular value where that is above its share of 0.9, and the activation is
    LipSwish, `x sigmoid(x) / 1.1`, whose slope stays below 1 (Chen and others, "Residual Flows", 2019, section 3.3).
    """

    weights: tuple[Float[Array, "O I"], ...]
    biases: tuple[Float[Array, "O"], ...]

    def __init__(self, dimensions: int, width: int, depth: int, *, key: int | Key[Array, ""]):
        sizes = [dimensions] + [width] * depth + [dimensions]
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        keys = jax.random.split(as_key(key), len(shapes))
        self.weights = tuple(jax.random.normal(k, s) * s[1] ** -0.5 for k, s in zip(keys, shapes, strict=True))
        self.biases = tuple(jnp.zeros(size) for size in sizes[1:])

    def function(self) -> Function:
        """The network as a function of one vector. The singular values are found here, once for all calls."""
        bound = CONTRACTION ** (1 / len(self.weights))
        weights = [weight * jnp.minimum(1.0, bound / jnp.linalg.norm(weight, 2)) for weight in self.weights]

        def apply(x: Array) -> Array:
            for i, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
                x = weight @ (x if i == 0 else x * jax.nn.sigmoid(x) / 1.1) + bias
            return x

        return apply


class Residual(VectorBijector):
    """`y = x + g(x)`, with a `ContractiveNetwork` g (Behrmann and others, "Invertible Residual Networks", 2019).

    The log det is exact, of the whole Jacobian, which takes D passes and D^3 operations: for vectors of tens of
    numbers. The inverse is a fixed point, polished by one step of Newton, through which its gradient is exact too.
    """

    network: ContractiveNetwork

    def __init__(self, dimensions: int, *, width: int, depth: int, key: int | Key[Array, ""]):
        self.network = ContractiveNetwork(dimensions, width, depth, key=key)

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The sum."""
        g = self.network.function()
        return jnp.vectorize(lambda x: (x + g(x), _log_det(g, x)), signature="(d)->(d),()")(x)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The fixed point of `x = y - g(x)`."""
        g, still = self.network.function(), jax.lax.stop_gradient(self.network).function()

        def one(y: Array) -> tuple[Array, Array]:
            start = jax.lax.stop_gradient(y)
            near = jax.lax.fori_loop(0, ROUNDS, lambda _, x: start - still(x), start)
            x = near - jnp.linalg.solve(_jacobian(still, near), near + g(near) - y)
            return x, -_log_det(g, x)

        return jnp.vectorize(one, signature="(d)->(d),()")(y)


def _jacobian(g: Function, x: Float[Array, "D"]) -> Float[Array, "D D"]:
    return jnp.eye(len(x), dtype=x.dtype) + jax.jacfwd(g)(x)


def _log_det(g: Function, x: Float[Array, "D"]) -> Float[Array, ""]:
    return jnp.linalg.slogdet(_jacobian(g, x))[1]
