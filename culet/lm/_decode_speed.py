"""How fast a decoder writes, after contexts of any length.

Axis letters: C contexts, B sequences at once.
"""

import time
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.lm.decoder import Decoder


def decode_speed(
    model: Decoder, contexts: Sequence[int] = (0,), *, batch_size: int = 1, new_tokens: int = 64, repeats: int = 3
) -> Float[np.ndarray, "C"]:
    """Tokens per second, over all sequences of a batch, of writing `new_tokens` tokens after each of `contexts` tokens.

    Greedy decoding in one compiled loop, compilation not counted; the best of `repeats` is taken, and the contexts are
    timed by turns, so that their ratios hold on a busy machine. The caches are as large as if the context had been
    read, but empty: what they hold does not change the cost. Raises ValueError for numbers that are not positive.
    """
    if min(batch_size, new_tokens, repeats) < 1 or min(contexts, default=-1) < 0:
        raise ValueError("contexts must be at least 0, and batch_size, new_tokens and repeats at least 1")
    seconds = np.full(len(contexts), np.inf)
    states = [_empty(model, context + new_tokens, batch_size) for context in contexts]
    for turn in range(repeats + 1):  # the first compiles
        for i, context in enumerate(contexts):
            begun = time.perf_counter()
            jax.block_until_ready(_write(model, states[i], jnp.int32(context), new_tokens, batch_size))
            if turn > 0:
                seconds[i] = min(seconds[i], time.perf_counter() - begun)
    return batch_size * new_tokens / seconds


def _empty(model: Decoder, capacity: int, batch_size: int) -> Any:
    states = model.init_states(capacity, 1)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch_size, *leaf.shape)), states)


@eqx.filter_jit
def _write(model: Decoder, states: Any, at: Int[Array, ""], new_tokens: int, batch_size: int) -> Int[Array, "B"]:
    """Writes tokens, each the likeliest, and returns the last of each sequence."""

    def write_one(carry: Any, _: None) -> Any:
        states, tokens, at = carry
        positions = jnp.broadcast_to(at, (batch_size, 1))
        hidden, states = jax.vmap(model.extend, (0, 0, 0, None))(tokens[:, None], positions, states, at)
        tokens = jnp.argmax(jax.vmap(model.logits)(hidden)[:, 0], axis=1).astype(jnp.int32)
        return (states, tokens, at + 1), None

    start = (states, jnp.zeros(batch_size, jnp.int32), at)
    return jax.lax.scan(write_one, start, None, length=new_tokens)[0][1]
