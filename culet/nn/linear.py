"""The linear map that every layer is made of.

Axis letters: T tokens, I inputs, O outputs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.nn.product import project


class Linear(eqx.Module):
    """`y = W x + b` on each token of one sequence, with `W` stored `[out, in]` as checkpoints store it."""

    weight: Float[Array, "O I"]
    bias: Float[Array, "O"] | None

    def __init__(self, inputs: int, outputs: int, *, key: Key[Array, ""], bias: bool = False, scale: float = 1.0):
        """Draws weights with standard deviation `scale / sqrt(inputs)`; the bias starts at zero."""
        self.weight = jax.random.normal(key, (outputs, inputs)) * (scale * inputs**-0.5)
        self.bias = jnp.zeros((outputs,)) if bias else None

    def __call__(self, x: Float[Array, "T I"]) -> Float[Array, "T O"]:
        """Maps `[T, I]` to `[T, O]` in the dtype of `x`, which must be that of the weight."""
        y = project(self.weight, x)
        return y if self.bias is None else y + self.bias[None, :]
