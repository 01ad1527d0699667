"""Sprites drawn on demand, in the manner of dSprites: one white shape on black, of which everything is known.

Axis letters: N sprites, H the side of an image in pixels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FACTORS = ("shape", "scale", "x", "y")
SHAPES = ("square", "ellipse")
WIDTH_TO_HEIGHT = 2.5  # of the ellipse


def random_factors(count: int, random: np.random.Generator) -> Float[np.ndarray, "N 4"]:
    """Independent factors in the order of `FACTORS`: shape 0 or 1, the others uniform in [0, 1)."""
    factors = random.random((count, len(FACTORS)))
    factors[:, 0] = np.floor(factors[:, 0] * len(SHAPES))
    return factors.astype(np.float32)


def draw_sprites(factors: Float[Array, "N 4"], size: int = 16) -> Float[Array, "N H H 1"]:
    """Images in [0, 1] of `size` pixels a side, their edges softened over one pixel.

    Scale 0 to 1 is half an ellipse's width, 0.13 to 0.24 of the side; it is 2.5 times as wide as high, and a square has
    the same area, so that shape and scale are two things. The centre lies where each is whole: x from 0 to 1 is 0.3 to
    0.7 of the side, y (downwards) 0.22 to 0.78.
    """
    return jax.vmap(lambda one: _draw(one, size))(factors)


def _draw(factors: Array, size: int) -> Array:
    shape, scale, x, y = factors
    grid = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    radius = 0.13 + 0.11 * scale
    right = ((grid - (0.3 + 0.4 * x)) / radius)[None, :]
    down = ((grid - (0.22 + 0.56 * y)) / radius)[:, None]
    inside = jnp.where(shape < 0.5, _square(right, down), _ellipse(right, down))
    return jnp.clip(inside * radius * size + 0.5, 0, 1)[..., None]


def _square(u: Array, v: Array) -> Array:
    """How far inside a point lies, in radii; negative outside. Likewise below."""
    return (jnp.pi / WIDTH_TO_HEIGHT) ** 0.5 / 2 - jnp.maximum(jnp.abs(u), jnp.abs(v))


def _ellipse(u: Array, v: Array) -> Array:
    """The distance is to first order, which is exact enough near the edge."""
    level = jnp.sqrt(jnp.square(u) + jnp.square(WIDTH_TO_HEIGHT * v) + 1e-6)
    slope = jnp.sqrt(jnp.square(u) + jnp.square(WIDTH_TO_HEIGHT**2 * v) + 1e-6) / level
    return (1 - level) / slope


class SpriteBatches:
    """Endless batches `{"images": [B, H, H, 1]}` of new sprites; a batch is a pure function of seed and step."""

    def __init__(self, batch_size: int, size: int = 16, seed: int = 0):
        self.batch_size, self.seed = batch_size, seed
        self._draw = jax.jit(lambda factors: draw_sprites(factors, size))

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step, counted from 0."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step])))
        return {"images": self._draw(random_factors(self.batch_size, random))}
