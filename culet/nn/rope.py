"""Rotary position embedding (2104.09864). Axis letters: T tokens, N heads, H head dimension."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class Rope:
    """Turns the first `dim` channels of a head by angles `position / scale * base^(-2i / dim)`.

    Channel `i` is paired with channel `i + dim / 2`, as checkpoints of the Gemma line expect, not with `i + 1`.
    """

    dim: int
    base: float
    scale: float = 1.0

    def __call__(self, x: Float[Array, "T N H"], positions: Int[Array, "T"]) -> Float[Array, "T N H"]:
        """Rotates `x` in float32 and returns it in its own dtype."""
        half = self.dim // 2
        exponents = jnp.arange(half, dtype=jnp.float32) / half
        frequencies = jnp.float32(self.base) ** -exponents / self.scale
        angles = positions.astype(jnp.float32)[:, None] * frequencies[None, :]
        cos, sin = jnp.cos(angles)[:, None, :], jnp.sin(angles)[:, None, :]
        wide = x.astype(jnp.float32)
        first, second, rest = wide[..., :half], wide[..., half : self.dim], wide[..., self.dim :]
        turned = [first * cos - second * sin, second * cos + first * sin, rest]
        return jnp.concatenate(turned, axis=-1).astype(x.dtype)
