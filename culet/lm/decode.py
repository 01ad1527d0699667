"""Token by token: a batch of prompts read in pieces, then one compiled loop that writes.

Rows that begin together are padded on the left, so that their last tokens are read together; positions below zero are
padding, which neither attention nor recurrence sees. Each row then has a place of its own in its caches, so that rows
may enter and leave a batch while it runs (`idle`, `insert`). A row's tokens are those it would get alone.

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
from culet.nn import Attention, KeyValueCache
from culet.nn.attention import slot_positions

PIECE = 512  # most prompt tokens read at once
ROUND = 64  # lengths are rounded up to multiples of this, so that few of them need a compilation


class Decoding(eqx.Module):
    """A batch of sequences in the making."""

    states: tuple[State, ...]
    hidden: Float[Array, "B D"]  # of the last token of each row
    at: Int[Array, "B"]  # slots that are filled, the padding among them
    padding: Int[Array, "B"]  # slots on the left of each row that hold nothing
    tokens: Int[Array, "B N"]
    log_probabilities: Float[Array, "B N"]  # under the model itself
    drawn: Float[Array, "B N"] | None  # under what was drawn from, if that is to be kept
    count: Int[Array, "B"]  # how many of N are written
    done: Bool[Array, "B"]
    lengths: Int[Array, "B"]  # tokens of each row before it was done
    seen: Bool[Array, "B V"] | None
    keys: Key[Array, "B"]


def start(
    model: Decoder, prompts: Sequence[Sequence[int]], new_tokens: int, keys: Key[Array, "B"], *, track_seen: bool
) -> Decoding:
    """Reads the prompts, in pieces, into fresh states that can take `new_tokens` more. No prompt may be empty."""
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
    embeddings: Float[Array, "B P D"] | None = None,
    spans: Int[np.ndarray, "B P"] | None = None,
) -> Decoding:
    """Reads prompts that are `left_padded`, in pieces; may stand within a compiled function.

    The slots must be a multiple of `PIECE` if they are more. `embeddings` are read in place of the tokens, which are
    then only those that the repetition penalty counts. `spans` are as in `Decoder`; if one would lie in two pieces, all
    prompts are read in one.
    """
    rows, slots = tokens.shape
    piece = min(PIECE, slots)
    if (
        spans is not None
        and ((spans[:, piece - 1 : -1 : piece] == spans[:, piece::piece]) & (spans[:, piece::piece] >= 0)).any()
    ):
        piece = slots
    inputs = tokens if embeddings is None else embeddings
    positions = np.arange(slots, dtype=np.int32)[None] - padding[:, None]
    states, hidden = _empty(model, rows, slots + room, piece), None
    for at in range(0, slots, piece):
        span = slice(at, at + piece)
        ahead = None if spans is None else spans[:, span]
        hidden, states = _read(
            model, inputs[:, span], positions[:, span], states, None if at == 0 else jnp.int32(at), ahead
        )
    assert hidden is not None
    return Decoding(
        states=states, hidden=hidden, at=jnp.full((rows,), slots, jnp.int32), padding=jnp.asarray(padding),
        tokens=jnp.zeros((rows, room), jnp.int32), log_probabilities=jnp.zeros((rows, room), jnp.float32),
        drawn=jnp.zeros((rows, room), jnp.float32) if track_drawn else None,
        count=jnp.zeros((rows,), jnp.int32), done=jnp.zeros((rows,), bool), lengths=jnp.zeros((rows,), jnp.int32),
        seen=seen_in(tokens, positions >= 0, model.config.vocabulary) if track_seen else None,
        keys=jax.random.clone(keys),
    )  # fmt: skip


def seen_in(
    tokens: Int[Array | np.ndarray, "B P"], real: Bool[Array | np.ndarray, "B P"], vocabulary: int
) -> Bool[Array, "B V"]:
    """Which tokens stand in the places of each row that are `real`."""
    places = jnp.where(real, tokens, vocabulary)  # of padding: outside, and so dropped
    empty = jnp.zeros((len(tokens), vocabulary), bool)
    return jax.vmap(lambda row, ids: row.at[ids].set(True, mode="drop"))(empty, places)


@eqx.filter_jit(donate="all-except-first")
def _read(model, inputs, positions, states, at, spans):
    """One piece of all prompts; `at` is None for the first piece. Returns the last token's hidden vectors."""
    axes = (0, 0, 0, None, None if spans is None else 0)
    hidden, states = jax.vmap(model.extend, axes)(inputs, positions, states, 0 if at is None else at, spans)
    return hidden[:, -1], states


@eqx.filter_jit
def _empty(model, rows, capacity, piece):
    states = model.init_states(capacity, piece)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape)), states)


def idle(
    model: Decoder, rows: int, capacity: int, room: int, *, track_seen: bool = False, track_drawn: bool = False
) -> Decoding:
    """A batch of rows that hold nothing and are done, for `insert` to fill.

    A row's prompt and completion may have `capacity` tokens together where a layer attends to all of them, and its
    completion `room`.
    """
    return Decoding(
        states=_empty(model, rows, capacity, 1),
        hidden=jnp.zeros((rows, model.config.width), model.embedding.dtype),
        at=jnp.zeros((rows,), jnp.int32),
        padding=jnp.zeros((rows,), jnp.int32),
        tokens=jnp.zeros((rows, room), jnp.int32),
        log_probabilities=jnp.zeros((rows, room), jnp.float32),
        drawn=jnp.zeros((rows, room), jnp.float32) if track_drawn else None,
        count=jnp.zeros((rows,), jnp.int32),
        done=jnp.ones((rows,), bool),
        lengths=jnp.zeros((rows,), jnp.int32),
        seen=jnp.zeros((rows, model.config.vocabulary), bool) if track_seen else None,
        keys=jax.random.split(jax.random.key(0), rows),
    )


def insert(model: Decoder, decoding: Decoding, row: int, fresh: Decoding, source: int = 0) -> Decoding:
    """The running batch with `row` replaced by row `source` of one whose prompts have just been read.

    The other rows go on as if nothing had happened, and the new one as it would alone. Donates `decoding`, not `fresh`.

    Raises ValueError if the prompt and the completions' room do not fit the caches together, if `fresh` has written
    already, and if the batch counts the tokens seen, or keeps what it drew from, and `fresh` does not.
    """
    slots, padding, written = jax.device_get((fresh.at, fresh.padding, fresh.count))
    length, room = int(slots[source] - padding[source]), decoding.tokens.shape[1]
    if written[source]:
        raise ValueError("a row can be inserted only before it writes its first token")
    for name in ("seen", "drawn"):
        if getattr(decoding, name) is not None and getattr(fresh, name) is None:
            raise ValueError(
                f"the running batch keeps `{name}` and the new row does not: give both the same track_{name}"
            )
    for block, state in zip(model.blocks, decoding.states, strict=True):
        everything = isinstance(block.mixer, Attention) and block.mixer.window is None
        if everything and isinstance(state, KeyValueCache) and length + room > state.keys.shape[2]:
            raise ValueError(
                f"a prompt of {length} tokens and a completion of up to {room} do not fit a cache of "
                f"{state.keys.shape[2]} tokens"
            )
    return _insert((fresh, jnp.int32(row), jnp.int32(source)), decoding)


@eqx.filter_jit(donate="all-except-first")
def _insert(fixed, decoding: Decoding) -> Decoding:
    fresh, row, source = fixed
    padding = fresh.padding[source]
    length = fresh.at[source] - padding

    def put(table: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(table, new[None].astype(table.dtype), row, axis=0)

    def put_state(state: State, new: State) -> State:
        new = jax.tree.map(lambda leaf: leaf[source], new)
        if isinstance(state, KeyValueCache):  # rings of the two batches may differ in size; the padding stays behind
            held = slot_positions(state.keys.shape[2], length)
            new = jax.tree.map(lambda leaf: leaf[:, (held + padding) % leaf.shape[1]], new)
        return jax.tree.map(put, state, new)

    return Decoding(
        states=tuple(map(put_state, decoding.states, fresh.states)),
        hidden=put(decoding.hidden, fresh.hidden[source]),
        at=put(decoding.at, length),
        padding=put(decoding.padding, jnp.int32(0)),
        tokens=put(decoding.tokens, jnp.zeros_like(decoding.tokens[0])),
        log_probabilities=put(decoding.log_probabilities, jnp.zeros_like(decoding.log_probabilities[0])),
        drawn=None if decoding.drawn is None else put(decoding.drawn, jnp.zeros_like(decoding.drawn[0])),
        count=put(decoding.count, jnp.int32(0)),
        done=put(decoding.done, jnp.bool_(False)),
        lengths=put(decoding.lengths, jnp.int32(0)),
        seen=None if decoding.seen is None or fresh.seen is None else put(decoding.seen, fresh.seen[source]),
        keys=decoding.keys.at[row].set(fresh.keys[source]),
    )


def advance(
    model: Decoder, decoding: Decoding, sampling: Sampling, stop_ids: Int[Array, "S"], steps: Int[Array, ""] | int
) -> Decoding:
    """Writes `steps` more tokens in every row, or fewer if all rows are done before, in one loop. Donates `decoding`.

    Tokens of a row after it is done are arbitrary. `done` may be set by the caller, to end a row.
    """
    return _advance((model, sampling, stop_ids, jnp.int32(steps)), decoding)


@eqx.filter_jit(donate="all-except-first")
def _advance(fixed, decoding: Decoding) -> Decoding:
    model, sampling, stop_ids, steps = fixed
    arrays, static = eqx.partition(decoding, eqx.is_array)

    def unfinished(carry):
        step, arrays = carry
        return (step < steps) & ~jnp.all(arrays.done)

    def write(carry):
        step, arrays = carry
        return step + 1, eqx.filter(_write(model, sampling, stop_ids, eqx.combine(arrays, static)), eqx.is_array)

    return eqx.combine(jax.lax.while_loop(unfinished, write, (jnp.int32(0), arrays))[1], static)


def _write(model, sampling, stop_ids, decoding: Decoding) -> Decoding:
    """Chooses a token for every row from the last hidden vectors, then runs the model on it."""
    logits = jax.vmap(lambda hidden: model.logits(hidden[None])[0])(decoding.hidden)
    keys = jax.vmap(jax.random.fold_in)(decoding.keys, decoding.count)
    tokens, log_probabilities = jax.vmap(sampling)(logits, decoding.seen, keys)
    drawn = decoding.drawn
    if drawn is not None:
        drawn = _put(drawn, jax.vmap(sampling.log_probability)(logits, decoding.seen, tokens), decoding.count)
    done = decoding.done | jnp.any(tokens[:, None] == stop_ids[None, :], axis=1)
    positions = decoding.at - decoding.padding
    hidden, states = jax.vmap(model.extend)(tokens[:, None], positions[:, None], decoding.states, decoding.at)
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


def _put(table: Array, column: Array, places: Int[Array, "B"]) -> Array:
    """`column` in each row's own place; nowhere in a row that has no such place."""
    return table.at[jnp.arange(len(table)), places].set(column, mode="drop")


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
