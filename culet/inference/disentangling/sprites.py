"""Sprites drawn on demand, in the manner of dSprites: one white shape on black, of which everything is known.

Axis letters: N sprites, H the side of an image in pixels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FACTORS = ("shape", "scale", "orientation", "x", "y")
SHAPES = ("square", "ellipse", "heart")


def random_factors(count: int, random: np.random.Generator) -> Float[np.ndarray, "N 5"]:
    """Independent factors in the order of `FACTORS`: shape 0, 1 or 2, the others uniform in [0, 1)."""
    factors = random.random((count, len(FACTORS)))
    factors[:, 0] = np.floor(factors[:, 0] * len(SHAPES))
    return factors.astype(np.float32)


def draw_sprites(factors: Float[Array, "N 5"], size: int = 32) -> Float[Array, "N H H 1"]:
    """Images in [0, 1] of `size` pixels a side, their edges softened over one pixel.

    Scale 0 to 1 is a radius of 0.1 to 0.2 of the side, orientation a full turn, x and y (downwards) where the centre
    lies in the middle half of the image.
    """
    return jax.vmap(lambda one: _draw(one, size))(factors)


def _draw(factors: Array, size: int) -> Array:
    shape, scale, orientation, x, y = factors
    grid = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    radius = 0.1 + 0.1 * scale
    right = ((grid - (0.25 + 0.5 * x)) / radius)[None, :]
    down = ((grid - (0.25 + 0.5 * y)) / radius)[:, None]
    cosine, sine = jnp.cos(2 * jnp.pi * orientation), jnp.sin(2 * jnp.pi * orientation)
    u, v = right * cosine + down * sine, down * cosine - right * sine
    inside = jnp.select([shape < 0.5, shape < 1.5], [_square(u, v), _ellipse(u, v)], _heart(u, v))
    return jnp.clip(inside * radius * size + 0.5, 0, 1)[..., None]


def _square(u: Array, v: Array) -> Array:
    """How far inside a point lies, in radii; negative outside. Likewise below."""
    return 0.75 - jnp.maximum(jnp.abs(u), jnp.abs(v))


def _ellipse(u: Array, v: Array) -> Array:
    """Half as wide as long. The distance is to first order, which is exact enough near the edge."""
    level = jnp.sqrt(jnp.square(u) + jnp.square(2 * v) + 1e-6)
    slope = jnp.sqrt(jnp.square(u) + jnp.square(4 * v) + 1e-6) / level
    return (1 - level) / slope


def _heart(u: Array, v: Array) -> Array:
    """Two discs and a square on its tip, joined."""
    discs = 0.5 - jnp.sqrt(jnp.square(jnp.abs(u) - 0.36) + jnp.square(v + 0.3) + 1e-6)
    tip = (0.86 - jnp.abs(u) - jnp.abs(v - 0.05)) * 0.7071
    return jnp.maximum(discs, jnp.where(v > -0.3, tip, -1.0))


class SpriteBatches:
    """Endless batches `{"images": [B, H, H, 1]}` of new sprites; a batch is a pure function of seed and step."""

    def __init__(self, batch_size: int, size: int = 32, seed: int = 0):
        self.batch_size, self.seed = batch_size, seed
        self._draw = jax.jit(lambda factors: draw_sprites(factors, size))

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step, counted from 0."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step])))
        return {"images": self._draw(random_factors(self.batch_size, random))}
