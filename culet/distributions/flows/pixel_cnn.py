"""PixelCNN: a distribution over images, one pixel after the other.

van den Oord and others, "Pixel Recurrent Neural Networks", 2016; Salimans and others, "PixelCNN++", 2017, for the
mixture of logistics.
Axis letters: H height, W width, L levels, K components, P numbers per pixel, C channels, I inputs, O outputs,
N neighbours that a pixel sees.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key, Num

from culet.core.keys import as_key
from culet.distributions.distribution import Distribution
from culet.distributions.supports import Integers, Support, Vectors


class MaskedConvolution(eqx.Module):
    """A convolution over the pixels above, and those to the left in the same row, up to `reach` away.

    With `itself`, a pixel sees itself too: the mask B of the paper, else A. Weights that the mask would set to zero do
    not exist. (van den Oord and others, "Pixel Recurrent Neural Networks", 2016, section 3.4.)
    """

    weight: Float[Array, "O NI"]
    bias: Float[Array, "O"]
    reach: int = eqx.field(static=True)
    itself: bool = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, reach: int, itself: bool, *, key: int | Key[Array, ""], scale: float = 1.0
    ):
        """Draws weights of standard deviation `scale / sqrt(N I)`; the bias starts at 0."""
        self.reach, self.itself = reach, itself
        size = len(self.neighbours) * inputs
        self.weight = jax.random.normal(as_key(key), (outputs, size)) * (scale * size**-0.5)
        self.bias = jnp.zeros(outputs)

    @property
    def neighbours(self) -> list[tuple[int, int]]:
        """Rows down and columns right, both counted from the pixel, of what it sees."""
        reach = range(-self.reach, self.reach + 1)
        before = [(row, column) for row in range(-self.reach, 1) for column in reach if (row, column) < (0, 0)]
        return before + [(0, 0)] * self.itself

    def __call__(self, x: Float[Array, "H W I"]) -> Float[Array, "H W O"]:
        """Each pixel's map of its neighbours; zeros stand beyond the edges."""
        height, width, _ = x.shape
        padded = jnp.pad(x, ((self.reach, 0), (self.reach, self.reach), (0, 0)))
        corners = [(self.reach + row, self.reach + column) for row, column in self.neighbours]
        seen = jnp.concatenate([padded[top : top + height, left : left + width] for top, left in corners], -1)
        y = seen @ self.weight.T
        return y + jnp.broadcast_to(self.bias, y.shape)


class CategoricalPixels(eqx.Module):
    """Each of L levels has a probability of its own."""

    levels: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        """One logit per level."""
        return self.levels

    def log_probs(self, numbers: Float[Array, "H W P"]) -> Float[Array, "H W L"]:
        """The log-probability of each level."""
        return jax.nn.log_softmax(numbers, -1)


class LogisticPixels(eqx.Module):
    """A mixture of K logistic distributions, each cut into L levels: neighbouring levels are alike.

    The lowest and the highest level take the tails.
    """

    levels: int = eqx.field(static=True)
    components: int = eqx.field(static=True, default=5)

    @property
    def size(self) -> int:
        """A logit, a place and a width per component."""
        return 3 * self.components

    def log_probs(self, numbers: Float[Array, "H W P"]) -> Float[Array, "H W L"]:
        """The log-probability of each level."""
        logits, places, log_widths = (part[..., None] for part in jnp.split(numbers, 3, -1))
        edges = (jnp.arange(1, self.levels, dtype=numbers.dtype) * 2 - self.levels) / (self.levels - 1)
        sharpness = jnp.exp(2 - jnp.clip(log_widths, -5, 5))  # a tenth of the range at first
        edges = (jnp.broadcast_to(edges, (*places.shape[:-1], self.levels - 1)) - places) * sharpness
        below, above = jax.nn.log_sigmoid(edges), jax.nn.log_sigmoid(-edges)
        # log(s(b) - s(a)) of a level from a to b, s the sigmoid, is log s(b) + log s(-a) + log(1 - exp(a - b)).
        wide = sharpness * (2 / (self.levels - 1))  # b - a; the edges themselves may be too far off to differ
        between = below[..., 1:] + above[..., :-1] + jnp.log(-jnp.expm1(-wide))
        levels = jnp.concatenate([below[..., :1], between, above[..., -1:]], -1)
        return jax.nn.logsumexp(jax.nn.log_softmax(logits, -2) + levels, -2)


class PixelCNN(Distribution):
    """Grey images [H, W] of integers 0, ..., L-1. Scoring takes one pass through the network, sampling H times W.

    The network is a first masked convolution of 7 by 7 pixels, `depth` residual ones of 3 by 3, and a map of each
    pixel to what `pixels` needs.
    """

    first: MaskedConvolution
    blocks: tuple[MaskedConvolution, ...]
    last: MaskedConvolution
    pixels: CategoricalPixels | LogisticPixels
    height: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(
        self, shape: tuple[int, int], pixels: CategoricalPixels | LogisticPixels, *,
        channels: int = 64, depth: int = 4, key: int | Key[Array, ""],
    ):  # fmt: skip
        """`shape` is the height and the width of an image. Raises `ValueError` for fewer than 2 levels."""
        if pixels.levels < 2:
            raise ValueError(f"PixelCNN: levels is {pixels.levels}; it must be at least 2")
        first_key, last_key, *keys = jax.random.split(as_key(key), depth + 2)
        self.first = MaskedConvolution(2, channels, 3, False, key=first_key)
        self.blocks = tuple(MaskedConvolution(channels, channels, 1, True, key=k) for k in keys)
        self.last = MaskedConvolution(channels, pixels.size, 0, True, key=last_key, scale=0.1)
        self.pixels = pixels
        self.height, self.width = shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """[H, W]."""
        return self.height, self.width

    @property
    def support(self) -> Support:
        """Images of the integers 0, ..., L-1."""
        return Vectors(Integers(0, self.pixels.levels - 1), 2)

    def log_probs(self, image: Num[Array, "H W"]) -> Float[Array, "H W L"]:
        """The log-probability of every level at every pixel, given the pixels of the image before it."""
        grey = image.astype(jnp.float32) * (2 / (self.pixels.levels - 1)) - 1
        x = self.first(jnp.stack([grey, jnp.ones_like(grey)], -1))  # the ones tell what lies within the edges
        for block in self.blocks:
            x = x + block(jax.nn.relu(x))
        return self.pixels.log_probs(self.last(jax.nn.relu(x)))

    def log_prob(self, value: Num[ArrayLike, "*S H W"]) -> Float[Array, "*S"]:
        """The log-probability of each image in nats; -inf where a pixel is no level."""
        value = jnp.asarray(value)
        inside = self.support.contains(value)
        safe = jnp.where(inside[..., None, None], value, jnp.zeros_like(value))
        return jnp.where(inside, jnp.vectorize(self._score, signature="(h,w)->()")(safe), -jnp.inf)

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Int[Array, "*S H W"]:
        return jnp.vectorize(self._image, signature="()->(h,w)")(jax.random.split(key, shape))

    def _score(self, image: Num[Array, "H W"]) -> Float[Array, ""]:
        chosen = jax.nn.one_hot(image.astype(jnp.int32), self.pixels.levels, dtype=bool)
        return jnp.sum(jnp.where(chosen, self.log_probs(image), 0.0))

    def _image(self, key: Key[Array, ""]) -> Int[Array, "H W"]:
        noise = jax.random.gumbel(key, (self.height, self.width, self.pixels.levels))

        def one(image: Array, place: Array) -> tuple[Array, None]:
            chosen = jnp.argmax(self.log_probs(image) + noise, -1).astype(jnp.int32).reshape(-1)
            return image.reshape(-1).at[place].set(chosen[place]).reshape(image.shape), None

        blank = jnp.zeros((self.height, self.width), jnp.int32)
        return jax.lax.scan(one, blank, jnp.arange(self.height * self.width))[0]
