"""Root-mean-square normalisation. Axis letters: D channels."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class RMSNorm(eqx.Module):
    """`x / rms(x) * (1 + scale)` in float32, returned in the dtype of `x` (1910.07467; the 1 is Gemma's)."""

    scale: Float[Array, "D"]
    epsilon: float = eqx.field(static=True)

    def __init__(self, width: int, epsilon: float):
        """The scale starts at zero, that is, at the identity."""
        self.scale = jnp.zeros((width,))
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """Normalises the last axis."""
        wide = x.astype(jnp.float32)
        inverse = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.epsilon)
        scale = 1.0 + self.scale.astype(jnp.float32)
        return (wide * inverse * jnp.expand_dims(scale, range(x.ndim - 1))).astype(x.dtype)
