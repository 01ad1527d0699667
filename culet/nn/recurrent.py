"""The recurrent block of Griffin and Hawk (2402.19427): a short convolution, then the real-gated linear recurrence.

Axis letters: T tokens, D width, C recurrent width, N gate blocks, B block width, W convolution taps, P = W - 1
past inputs that the convolution still sees, S = P + T.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from culet.nn.linear import Linear
from culet.nn.scan import linear_scan

DECAY = 8.0  # the paper's c: the gate chooses a decay between 1 and softplus(a) * 8
STEEPEST_ROOT = 1000.0  # bound on the derivative of sqrt(1 - a^2), which is infinite at a = 1


class RecurrentState(eqx.Module):
    """The state of one sequence: the last inputs of the convolution and the last output of the recurrence."""

    inputs: Float[Array, "P C"]
    hidden: Float[Array, "C"]  # always float32


@jax.custom_jvp
def bounded_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root, with a derivative of at most `STEEPEST_ROOT` (2402.19427, appendix A)."""
    return jnp.sqrt(x)


@bounded_sqrt.defjvp
def _bounded_sqrt_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return jnp.sqrt(x), dx / jnp.sqrt(jnp.maximum(4.0 * x, STEEPEST_ROOT**-2))


class GatedRecurrence(eqx.Module):
    """RG-LRU: `h[t] = a[t] h[t-1] + sqrt(1 - a[t]^2) i[t] x[t]`, `log a[t] = -8 r[t] softplus(a)` (equations 1 to 4).

    The gates i and r are sigmoids of block-diagonal maps of x. Everything after the gates is float32.
    """

    a: Float[Array, "C"]
    input_gate_weight: Float[Array, "N B B"]
    input_gate_bias: Float[Array, "N B"]
    a_gate_weight: Float[Array, "N B B"]
    a_gate_bias: Float[Array, "N B"]

    def __init__(self, channels: int, blocks: int, *, key: Key[Array, ""]):
        """Decays start between 0.9 and 0.999 with the gate half open, uniform over the disc's area."""
        ring_key, input_key, a_key = jax.random.split(key, 3)
        block = channels // blocks
        squared = jax.random.uniform(ring_key, (channels,), minval=0.9**2, maxval=0.999**2)
        self.a = jnp.log(jnp.exp(-0.5 * jnp.log(squared)) - 1.0)
        self.input_gate_weight = jax.random.normal(input_key, (blocks, block, block)) * block**-0.5
        self.a_gate_weight = jax.random.normal(a_key, (blocks, block, block)) * block**-0.5
        self.input_gate_bias = jnp.zeros((blocks, block))
        self.a_gate_bias = jnp.zeros((blocks, block))

    def __call__(
        self, x: Float[Array, "T C"], positions: Int[Array, "T"], start: Float[Array, "C"]
    ) -> tuple[Float[Array, "T C"], Float[Array, "C"]]:
        """The outputs and the last state. A document's first token (position 0 or padding) forgets what came before."""
        first = (positions <= 0)[:, None]
        input_gate = jax.nn.sigmoid(_block_map(self.input_gate_weight, self.input_gate_bias, x))
        a_gate = jax.nn.sigmoid(_block_map(self.a_gate_weight, self.a_gate_bias, x))
        log_a = -DECAY * a_gate * jax.nn.softplus(self.a.astype(jnp.float32))[None, :]
        size = jnp.where(first, 1.0, bounded_sqrt(-jnp.expm1(2.0 * log_a)))
        a = jnp.where(first, 0.0, jnp.exp(log_a))
        gated = size * input_gate * x.astype(jnp.float32)
        states = a * start[None] + gated if x.shape[0] == 1 else linear_scan(a, gated, start)
        return states.astype(x.dtype), states[-1]


def _block_map(weight: Float[Array, "N B B"], bias: Float[Array, "N B"], x: Float[Array, "T C"]) -> Float[Array, "T C"]:
    """A block-diagonal affine map with float32 results."""
    # The blocks stand first: with tokens first, XLA has no bfloat16 kernel with float32 results for the CPU.
    blocks = x.reshape(x.shape[0], *bias.shape).swapaxes(0, 1)
    y = jnp.einsum("ntb,nbc->ntc", blocks, weight, preferred_element_type=jnp.float32)
    return (y.swapaxes(0, 1) + bias.astype(jnp.float32)[None]).reshape(x.shape)


class RecurrentBlock(eqx.Module):
    """`out(gelu(y(x)) * rg_lru(conv(x'(x))))`, the mixer that stands where attention would."""

    linear_x: Linear
    linear_y: Linear
    linear_out: Linear
    conv_weight: Float[Array, "C W"]  # the last tap meets the current token
    conv_bias: Float[Array, "C"]
    lru: GatedRecurrence

    def __init__(
        self, width: int, channels: int, blocks: int, taps: int, *, bias: bool, out_scale: float, key: Key[Array, ""]
    ):
        """`blocks` is the number of blocks of the gates' matrices, `taps` the width of the convolution."""
        x_key, y_key, out_key, conv_key, lru_key = jax.random.split(key, 5)
        self.linear_x = Linear(width, channels, bias=bias, key=x_key)
        self.linear_y = Linear(width, channels, bias=bias, key=y_key)
        self.linear_out = Linear(channels, width, bias=bias, scale=out_scale, key=out_key)
        self.conv_weight = jax.random.normal(conv_key, (channels, taps)) * taps**-0.5
        self.conv_bias = jnp.zeros((channels,))
        self.lru = GatedRecurrence(channels, blocks, key=lru_key)

    def __call__(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], spans: Int[Array, "T"] | None = None
    ) -> Float[Array, "T D"]:
        """Runs over a whole sequence; state and convolution restart where `positions` does. Errors as for `extend`."""
        return self.extend(x, positions, self.init_cache(x.dtype), 0, spans)[0]

    def extend(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], cache: RecurrentState, at: Int[Array, ""] | int,
        spans: Int[Array, "T"] | None = None,
    ) -> tuple[Float[Array, "T D"], RecurrentState]:  # fmt: skip
        """Runs over T further tokens from a state; `at` is of no use here. Negative positions are padding.

        Raises ValueError for `spans`, that is, tokens that see each other in both directions.
        """
        del at
        if spans is not None:
            raise ValueError("a recurrent layer runs forward only: it cannot take spans, which look ahead")
        inputs = jnp.where((positions >= 0)[:, None], self.linear_x(x), jnp.zeros((), x.dtype))
        inputs = jnp.concatenate([cache.inputs, inputs])
        mixed, hidden = self.lru(self._convolve(inputs, positions), positions, cache.hidden)
        out = self.linear_out(jax.nn.gelu(self.linear_y(x), approximate=True) * mixed)
        return out, RecurrentState(inputs[x.shape[0] :], hidden)

    def init_cache(self, dtype: jnp.dtype) -> RecurrentState:
        """The state before the first token."""
        channels, taps = self.conv_weight.shape
        return RecurrentState(jnp.zeros((taps - 1, channels), dtype), jnp.zeros((channels,), jnp.float32))

    def _convolve(self, inputs: Float[Array, "S C"], positions: Int[Array, "T"]) -> Float[Array, "T C"]:
        """A causal depthwise convolution that does not look past the start of a document."""
        tokens, taps = positions.shape[0], self.conv_weight.shape[1]
        total = jnp.broadcast_to(self.conv_bias[None], (tokens, inputs.shape[1]))
        for back in range(taps):
            tap = inputs[taps - 1 - back : taps - 1 - back + tokens]
            inside = (positions >= back)[:, None] if back else jnp.ones((tokens, 1), bool)
            total = (
                total + jnp.where(inside, tap, jnp.zeros((), tap.dtype)) * self.conv_weight[:, taps - 1 - back][None]
            )
        return total
