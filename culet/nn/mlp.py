"""The gated MLP (GeGLU, 2002.05202). Axis letters: T tokens, D width."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from culet.nn.linear import Linear


class GatedMLP(eqx.Module):
    """`down(gelu(gate(x)) * up(x))`, with the tanh form of gelu that all Gemma checkpoints were trained with."""

    gate: Linear
    up: Linear
    down: Linear

    def __init__(self, width: int, hidden: int, *, bias: bool, out_scale: float, key: Key[Array, ""]):
        """`out_scale` shrinks the initial output, so that deep residual sums start at a moderate size."""
        gate_key, up_key, down_key = jax.random.split(key, 3)
        self.gate = Linear(width, hidden, bias=bias, key=gate_key)
        self.up = Linear(width, hidden, bias=bias, key=up_key)
        self.down = Linear(hidden, width, bias=bias, scale=out_scale, key=down_key)

    def __call__(self, x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Acts on each token alone."""
        return self.down(jax.nn.gelu(self.gate(x), approximate=True) * self.up(x))
