"""Small autoencoders whose code is a Gaussian: a convolutional one, and one of dense layers for tiny images.

Axis letters: H height, W width, C channels of an image; Z latents.
"""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.generative.convolution import Doubling, Halving

HALVINGS = 3
"""Each convolution halves the image."""


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

    def encode(self, image: Float[Array, "H W C"]) -> tuple[Float[Array, "Z"], Float[Array, "Z"]]:
        """Mean and log-variance of the code."""
        x = image
        for convolution in self.convolutions:
            x = jax.nn.relu(convolution(x))
        mean, log_variance = jnp.split(self.code(jax.nn.relu(self.hidden(x.ravel()))), 2)
        return mean, log_variance

    def decode(self, code: Float[Array, "Z"]) -> Float[Array, "H W C"]:
        """Logits of the pixels."""
        x = jax.nn.relu(self.unfolding(jax.nn.relu(self.opening(code)))).reshape(self.corner)
        for transposed in self.transposed[:-1]:
            x = jax.nn.relu(transposed(x))
        return self.transposed[-1](x)


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

    def encode(self, image: Float[Array, "H W C"]) -> tuple[Float[Array, "Z"], Float[Array, "Z"]]:
        """Mean and log-variance of the code."""
        mean, log_variance = jnp.split(_through(self.encoder, image.ravel()), 2)
        return mean, log_variance

    def decode(self, code: Float[Array, "Z"]) -> Float[Array, "H W C"]:
        """Logits of the pixels."""
        return _through(self.decoder, code).reshape(self.shape)


def _layers(sizes: tuple[int, ...], key: Key[Array, ""]) -> list[eqx.nn.Linear]:
    keys = jax.random.split(key, len(sizes) - 1)
    return [eqx.nn.Linear(*pair, key=one) for pair, one in zip(itertools.pairwise(sizes), keys, strict=True)]


def _through(layers: list[eqx.nn.Linear], x: Float[Array, "_"]) -> Float[Array, "_"]:
    for layer in layers[:-1]:
        x = jax.nn.relu(layer(x))
    return layers[-1](x)
