"""The linear recurrence `h[t] = a[t] h[t-1] + x[t]`, fast forward and backward.

Axis letters: T tokens, C channels.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def linear_scan(a: Float[Array, "T C"], x: Float[Array, "T C"], start: Float[Array, "C"]) -> Float[Array, "T C"]:
    """All states of the recurrence from the state `start`, in the dtype of the arguments (float32 to be exact enough).

    A CPU goes token by token, which it does at the speed of its memory. Elsewhere the sequence is cut into about
    sqrt(T) chunks that advance side by side, and a second short scan carries the state from chunk to chunk. Decays are
    products of `a`, never quotients, so `a = 0` (a reset) is exact. The gradient is the same recurrence run backwards.
    """
    return _states(a, x, start)


def _forward(a, x, start):
    states = _states(a, x, start)
    return states, (a, states, start)


def _backward(saved, gradient):
    a, states, start = saved
    next_a = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    flow = _states(next_a[::-1], gradient[::-1], jnp.zeros_like(start))[::-1]
    previous = jnp.concatenate([start[None], states[:-1]])
    return flow * previous, flow, flow[0] * a[0]


linear_scan.defvjp(_forward, _backward)


def _states(a, x, start):
    return jax.lax.platform_dependent(a, x, start, cpu=_sequential, default=_chunked)


def _sequential(a, x, start):
    return jax.lax.scan(_one, start, (a, x))[1]


def _chunked(a, x, start):
    tokens, channels = a.shape
    size = max(1, round(tokens**0.5))
    chunks = -(-tokens // size)
    pad = ((0, chunks * size - tokens), (0, 0))
    a, x = (jnp.pad(part, pad).reshape(chunks, size, channels).swapaxes(0, 1) for part in (a, x))

    zero = jnp.zeros_like(x[0])
    (last, decayed), (states, decays) = jax.lax.scan(_within, (zero, jnp.ones_like(zero)), (a, x))
    _, before = jax.lax.scan(_across, start, (last, decayed))
    whole = states + decays * before[None]
    return whole.swapaxes(0, 1).reshape(chunks * size, channels)[:tokens]


# At module level, so that eager calls find the compiled scan of the call before.
def _one(state, inputs):
    """One token of the sequence."""
    a_t, x_t = inputs
    state = a_t * state + x_t
    return state, state


def _within(carry, inputs):
    """One token of every chunk: states from zero, and the decay since the chunk's start."""
    state, decay = carry
    a_t, x_t = inputs
    carry = (a_t * state + x_t, a_t * decay)
    return carry, carry


def _across(state, inputs):
    """One chunk: hands on the state at its end, notes that at its start."""
    last, decay = inputs
    return decay * state + last, state
