"""Invertible residual networks: `x + g(x)` with a network g that contracts.

Axis letters: D length of a vector, I inputs, O outputs.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.distributions.vectors import VectorBijector

CONTRACTION = 0.9  # the most by which g may stretch a distance
ROUNDS = 60  # of the fixed point, after which 0.9^60 = 0.002 of the error is left, for a step of Newton to remove

Function = Callable[[Float[Array, "D"]], Float[Array, "D"]]


class ContractiveNetwork(eqx.Module):
    """A network that brings any two points nearer to each other, to at most 0.9 of their distance.

    Each matrix is divided by its largest singular value where that is above its share of 0.9, and the activation is
    LipSwish, `x sigmoid(x) / 1.1`, whose slope stays below 1 (Chen and others, "Residual Flows", 2019, section 3.3).
    """

    weights: tuple[Float[Array, "O I"], ...]
    biases: tuple[Float[Array, "O"], ...]

    def __init__(self, dimensions: int, width: int, depth: int, *, key: Key[Array, ""]):
        sizes = [dimensions] + [width] * depth + [dimensions]
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        keys = jax.random.split(key, len(shapes))
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

    def __init__(self, dimensions: int, *, width: int, depth: int, key: Key[Array, ""]):
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
