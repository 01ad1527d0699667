"""Small autoencoders whose code is a Gaussian: a convolutional one, and one of dense layers for tiny images.

Convolutions of 4 x 4 pixels that halve or double an image are plain matrix products here: XLA's own strided
convolutions are several times slower on a CPU, forward and backward, and slower still under vmap over weights, by which
several seeds train at once.

Axis letters: H height, W width, C channels of an image, I of the input and O of the output of a layer; P patches (of
4 x 4 pixels); Z latents.
"""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.distributions import Bernoulli, Normal

HALVINGS = 3
"""How many convolutions an `AutoEncoder` has; each halves the image."""


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
    tiled = image.reshape(height // 2, 2, width // 2, 2, channels)
    return tiled.transpose(0, 2, 1, 3, 4).reshape(height // 2, width // 2, 4 * channels)


def _pixels(blocks: Float[Array, "H W _"]) -> Float[Array, "_ _ _"]:
    """The way back."""
    height, width, channels = blocks.shape
    tiled = blocks.reshape(height, width, 2, 2, channels // 4)
    return tiled.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, channels // 4)


def check_shape(shape: tuple[int, int, int]) -> None:
    """Raises ValueError for images (height, width, channels) that the network cannot take."""
    height, width, channels = shape
    if height % 2**HALVINGS or width % 2**HALVINGS or min(height, width) < 16 or channels < 1:
        raise ValueError(f"images of {height} x {width}: height and width must be multiples of 8, at least 16")


class AutoEncoder(eqx.Module):
    """Convolutions (4 x 4, stride 2) and one hidden layer to mean and log-variance, and the same way back.

    In the manner of Burgess and others (2018, appendix A), but smaller: three halvings instead of four, fewer channels,
    one hidden layer instead of two.
    """

    convolutions: list[Halving]
    hidden: eqx.nn.Linear
    code: eqx.nn.Linear
    opening: eqx.nn.Linear
    unfolding: eqx.nn.Linear
    transposed: list[Doubling]
    corner: tuple[int, int, int] = eqx.field(static=True)  # height, width and channels of the smallest image

    def __init__(
        self, shape: tuple[int, int, int], latents: int, *, width: int = 16, hidden: int = 128, key: Key[Array, ""]
    ):
        """For images of `shape` (height, width, channels); `width` channels inside.

        Raises ValueError for a height or width that is not a multiple of 8, at least 16.
        """
        height, breadth, channels = shape
        check_shape(shape)
        keys = jax.random.split(key, 2 * HALVINGS + 4)
        self.corner = (height // 2**HALVINGS, breadth // 2**HALVINGS, 2 * width)
        flat = self.corner[0] * self.corner[1] * self.corner[2]
        sizes = [channels, width, width, 2 * width]
        self.convolutions = [Halving(sizes[i], sizes[i + 1], key=keys[i]) for i in range(HALVINGS)]
        self.transposed = [Doubling(sizes[i + 1], sizes[i], key=keys[HALVINGS + i]) for i in reversed(range(HALVINGS))]
        self.hidden = eqx.nn.Linear(flat, hidden, key=keys[-4])
        self.code = eqx.nn.Linear(hidden, 2 * latents, key=keys[-3])
        self.opening = eqx.nn.Linear(latents, hidden, key=keys[-2])
        self.unfolding = eqx.nn.Linear(hidden, flat, key=keys[-1])

    def encode(self, image: Float[Array, "H W C"]) -> Normal:
        """The distribution of the code: `batch_shape` (Z,), independent latents."""
        x = image
        for convolution in self.convolutions:
            x = jax.nn.relu(convolution(x))
        return _gaussian(self.code(jax.nn.relu(self.hidden(x.ravel()))))

    def decode(self, code: Float[Array, "Z"]) -> Bernoulli:
        """The distribution of the pixels: `batch_shape` (H, W, C)."""
        x = jax.nn.relu(self.unfolding(jax.nn.relu(self.opening(code)))).reshape(self.corner)
        for transposed in self.transposed[:-1]:
            x = jax.nn.relu(transposed(x))
        return Bernoulli(self.transposed[-1](x))


class DenseAutoEncoder(eqx.Module):
    """Two hidden layers to mean and log-variance, and two back: cheap for images of some hundreds of pixels."""

    encoder: list[eqx.nn.Linear]
    decoder: list[eqx.nn.Linear]
    shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, int, int], latents: int, *, hidden: int = 128, key: Key[Array, ""]):
        """For images of `shape` (height, width, channels)."""
        self.shape = shape
        pixels = math.prod(shape)
        encoder_key, decoder_key = jax.random.split(key)
        self.encoder = _layers((pixels, hidden, hidden, 2 * latents), encoder_key)
        self.decoder = _layers((latents, hidden, hidden, pixels), decoder_key)

    def encode(self, image: Float[Array, "H W C"]) -> Normal:
        """The distribution of the code: `batch_shape` (Z,), independent latents."""
        return _gaussian(_through(self.encoder, image.ravel()))

    def decode(self, code: Float[Array, "Z"]) -> Bernoulli:
        """The distribution of the pixels: `batch_shape` (H, W, C)."""
        return Bernoulli(_through(self.decoder, code).reshape(self.shape))


def _gaussian(outputs: Float[Array, "_"]) -> Normal:
    """The first half of a network's outputs as means, the second as log-variances."""
    mean, log_variance = jnp.split(outputs, 2)
    return Normal(mean, jnp.exp(0.5 * log_variance))


def _layers(sizes: tuple[int, ...], key: Key[Array, ""]) -> list[eqx.nn.Linear]:
    keys = jax.random.split(key, len(sizes) - 1)
    return [eqx.nn.Linear(*pair, key=one) for pair, one in zip(itertools.pairwise(sizes), keys, strict=True)]


def _through(layers: list[eqx.nn.Linear], x: Float[Array, "_"]) -> Float[Array, "_"]:
    for layer in layers[:-1]:
        x = jax.nn.relu(layer(x))
    return layers[-1](x)
