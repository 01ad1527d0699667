"""Convolutions of 4 x 4 pixels that halve or double an image, as plain matrix products.

XLA's own strided convolutions are several times slower on a CPU, forward and backward, and slower still under vmap over
weights, by which several seeds train at once.

Axis letters: H height, W width, I input channels, O output channels; P patches (of 4 x 4 pixels).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class Halving(eqx.Module):
    """A convolution of stride 2 with one pixel of zeros around: [H, W, I] to [H/2, W/2, O], for even H and W."""

    weight: Float[Array, "P O"]  # P counts block row, block column, row in a block, column in a block, channel
    bias: Float[Array, "O"]

    def __init__(self, inputs: int, outputs: int, *, key: Key[Array, ""]):
        """Weights are uniform within `sqrt(3 / (16 * inputs))`, so of variance 1 / fan-in."""
        limit = (3 / (16 * inputs)) ** 0.5
        self.weight = jax.random.uniform(key, (16 * inputs, outputs), minval=-limit, maxval=limit)
        self.bias = jnp.zeros(outputs)

    def __call__(self, image: Float[Array, "H W I"]) -> Float[Array, "_ _ O"]:
        """Four neighbouring blocks of 2 x 2 pixels make a patch."""
        blocks = _blocks(jnp.pad(image, ((1, 1), (1, 1), (0, 0))))
        parts = [blocks[:-1, :-1], blocks[:-1, 1:], blocks[1:, :-1], blocks[1:, 1:]]
        return jnp.concatenate(parts, axis=-1) @ self.weight + self.bias[None, None, :]


class Doubling(eqx.Module):
    """The transpose of `Halving`: [H, W, I] to [2H, 2W, O]."""

    weight: Float[Array, "I P"]
    bias: Float[Array, "O"]

    def __init__(self, inputs: int, outputs: int, *, key: Key[Array, ""]):
        """Weights are uniform within `sqrt(3 / (4 * inputs))`: four patches meet in each pixel."""
        limit = (3 / (4 * inputs)) ** 0.5
        self.weight = jax.random.uniform(key, (inputs, 16 * outputs), minval=-limit, maxval=limit)
        self.bias = jnp.zeros(outputs)

    def __call__(self, image: Float[Array, "H W I"]) -> Float[Array, "_ _ O"]:
        """Each patch is added to the four blocks that it is made of."""
        parts = jnp.split(image @ self.weight, 4, axis=-1)
        rows, columns = ((0, 1), (0, 1), (1, 0), (1, 0)), ((0, 1), (1, 0), (0, 1), (1, 0))
        blocks = sum(
            jnp.pad(part, (row, column, (0, 0))) for part, row, column in zip(parts, rows, columns, strict=True)
        )
        return _pixels(jnp.asarray(blocks))[1:-1, 1:-1] + self.bias[None, None, :]


def _blocks(image: Float[Array, "H W I"]) -> Float[Array, "_ _ _"]:
    """[H, W, I] to [H/2, W/2, 4 I]."""
    height, width, channels = image.shape
    cut = image.reshape(height // 2, 2, width // 2, 2, channels)
    return cut.transpose(0, 2, 1, 3, 4).reshape(height // 2, width // 2, 4 * channels)


def _pixels(blocks: Float[Array, "H W _"]) -> Float[Array, "_ _ _"]:
    """The way back."""
    height, width, channels = blocks.shape
    cut = blocks.reshape(height, width, 2, 2, channels // 4)
    return cut.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, channels // 4)
