"""Token by token: a batch of prompts read in pieces, then one compiled loop that writes.

Rows of different lengths are padded on the left, so that all rows share the slot they write to; positions below zero
are padding, which neither attention nor recurrence sees. A row's tokens are therefore those it would get alone.

Axis letters: B rows, P prompt slots, N new tokens, V vocabulary, D width, S stop tokens.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from culet.lm.decoder import Decoder, State
from culet.lm.sampling import Sampling

PIECE = 512  # most prompt tokens read at once
ROUND = 64  # lengths are rounded up to multiples of this, so that few of them need a compilation


class Decoding(eqx.Module):
    """A batch of sequences in the making. All rows have filled the same number of slots, `at`."""

    states: tuple[State, ...]
    hidden: Float[Array, "B D"]  # of the last token of each row
    at: Int[Array, ""]
    padding: Int[Array, "B"]  # slots on the left of each row that hold nothing
    tokens: Int[Array, "B N"]
    log_probabilities: Float[Array, "B N"]  # under the model itself
    drawn: Float[Array, "B N"] | None  # under what was drawn from, if that is to be kept
    count: Int[Array, ""]  # how many of N are written
    done: Bool[Array, "B"]
    lengths: Int[Array, "B"]  # tokens of each row before it was done
    seen: Bool[Array, "B V"] | None
    keys: Key[Array, "B"]


def start(
    model: Decoder, prompts: Sequence[Sequence[int]], new_tokens: int, keys: Key[Array, "B"], *, track_seen: bool
) -> Decoding:
    """Reads the prompts, in pieces, into fresh states with room for `new_tokens` more. No prompt may be empty."""
    longest = max(map(len, prompts))
    slots = _round_up(longest, min(PIECE, _round_up(longest, ROUND)))
    tokens, padding = left_padded(prompts, slots)
    return begin(model, tokens, padding, _round_up(new_tokens, ROUND), keys, track_seen=track_seen)


def left_padded(
    prompts: Sequence[Sequence[int]], slots: int
) -> tuple[Int[np.ndarray, "B {slots}"], Int[np.ndarray, "B"]]:
    """The prompts' tokens at the right of as many slots, and how many of each row's slots hold nothing."""
    padding = np.array([slots - len(prompt) for prompt in prompts], np.int32)
    tokens = np.zeros((len(prompts), slots), np.int32)
    for row, prompt in enumerate(prompts):
        tokens[row, padding[row] :] = prompt
    return tokens, padding


def begin(
    model: Decoder,
    tokens: Int[Array | np.ndarray, "B P"],
    padding: Int[Array | np.ndarray, "B"],
    room: int,
    keys: Key[Array, "B"],
    *,
    track_seen: bool,
    track_drawn: bool = False,
) -> Decoding:
    """Reads prompts that are `left_padded`, in pieces; may stand within a compiled function.

    The slots must be a multiple of `PIECE` if they are more.
    """
    rows, slots = tokens.shape
    piece = min(PIECE, slots)
    positions = np.arange(slots, dtype=np.int32)[None] - padding[:, None]
    states, hidden = _empty(model, rows, slots + room, piece), None
    for at in range(0, slots, piece):
        span = slice(at, at + piece)
        hidden, states = _read(model, tokens[:, span], positions[:, span], states, None if at == 0 else jnp.int32(at))
    assert hidden is not None
    return Decoding(
        states=states, hidden=hidden, at=jnp.int32(slots), padding=jnp.asarray(padding),
        tokens=jnp.zeros((rows, room), jnp.int32), log_probabilities=jnp.zeros((rows, room), jnp.float32),
        drawn=jnp.zeros((rows, room), jnp.float32) if track_drawn else None,
        count=jnp.int32(0), done=jnp.zeros((rows,), bool), lengths=jnp.zeros((rows,), jnp.int32),
        seen=seen_in(tokens, positions >= 0, model.config.vocabulary) if track_seen else None,
        keys=jax.random.clone(keys),
    )  # fmt: skip


def seen_in(
    tokens: Int[Array | np.ndarray, "B P"], real: Bool[Array | np.ndarray, "B P"], vocabulary: int
) -> Bool[Array, "B V"]:
    """Which tokens stand in the places of each row that are `real`."""
    places = jnp.where(real, tokens, vocabulary)  # of padding: outside, and so dropped
    empty = jnp.zeros((len(tokens), vocabulary), bool)
    return jax.vmap(lambda row, found: row.at[found].set(True, mode="drop"))(empty, places)


@eqx.filter_jit(donate="all-except-first")
def _read(model, tokens, positions, states, at):
    """One piece of all prompts; `at` is None for the first piece. Returns the last token's hidden vectors."""
    axes = (0, 0, 0, None)
    hidden, states = jax.vmap(model.extend, axes)(tokens, positions, states, 0 if at is None else at)
    return hidden[:, -1], states


@eqx.filter_jit
def _empty(model, rows, capacity, piece):
    states = model.init_states(capacity, piece)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape)), states)


def advance(
    model: Decoder, decoding: Decoding, sampling: Sampling, stop_ids: Int[Array, "S"], until: Int[Array, ""] | int
) -> Decoding:
    """Writes tokens until each row has `until` of them or all rows are done, in one loop. Donates `decoding`."""
    return _advance((model, sampling, stop_ids, jnp.int32(until)), decoding)


@eqx.filter_jit(donate="all-except-first")
def _advance(fixed, decoding: Decoding) -> Decoding:
    model, sampling, stop_ids, until = fixed
    arrays, static = eqx.partition(decoding, eqx.is_array)

    def unfinished(arrays):
        return (arrays.count < until) & ~jnp.all(arrays.done)

    def write(arrays):
        return eqx.filter(_write(model, sampling, stop_ids, eqx.combine(arrays, static)), eqx.is_array)

    return eqx.combine(jax.lax.while_loop(unfinished, write, arrays), static)


def _write(model, sampling, stop_ids, decoding: Decoding) -> Decoding:
    """Chooses a token for every row from the last hidden vectors, then runs the model on it."""
    logits = jax.vmap(lambda hidden: model.logits(hidden[None])[0])(decoding.hidden)
    keys = jax.vmap(jax.random.fold_in, (0, None))(decoding.keys, decoding.count)
    tokens, log_probabilities = jax.vmap(sampling)(logits, decoding.seen, keys)
    drawn = decoding.drawn
    if drawn is not None:
        drawn = _put(drawn, jax.vmap(sampling.log_probability)(logits, decoding.seen, tokens), decoding.count)
    done = decoding.done | jnp.any(tokens[:, None] == stop_ids[None, :], axis=1)
    positions = decoding.at - decoding.padding
    axes = (0, 0, 0, None)
    hidden, states = jax.vmap(model.extend, axes)(tokens[:, None], positions[:, None], decoding.states, decoding.at)
    seen = decoding.seen
    if seen is not None:
        seen = jax.vmap(lambda row, token: row.at[token].set(True))(seen, tokens)
    return Decoding(
        states=states,
        hidden=hidden[:, 0],
        at=decoding.at + 1,
        padding=decoding.padding,
        tokens=_put(decoding.tokens, tokens, decoding.count),
        log_probabilities=_put(decoding.log_probabilities, log_probabilities, decoding.count),
        drawn=drawn,
        count=decoding.count + 1,
        done=done,
        lengths=decoding.lengths + (~done).astype(jnp.int32),
        seen=seen,
        keys=decoding.keys,
    )


def _put(table: Array, column: Array, index: Int[Array, ""]) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(table, column[:, None], index, axis=1)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
