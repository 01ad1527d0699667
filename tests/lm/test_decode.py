"""The loop that writes: rows of a batch do not touch each other, and what is cached is what would be computed anew."""

import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.lm import decode
from culet.lm.sampling import Sampling
from culet.nn import KeyValueCache
from tests.lm.small import SHAPES, small

NEW = 20
NONE = jnp.array([-1])
PROMPTS = [np.random.default_rng(size).integers(3, 40, size).tolist() for size in (1, 37, 6, 16)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """So that a prompt takes several pieces, and padding fills whole pieces of others."""
    monkeypatch.setattr(decode, "PIECE", 16)
    monkeypatch.setattr(decode, "ROUND", 8)


def write(model, prompts, sampling=None, stop_ids=NONE, calls=(NEW,)):
    keys = jax.random.split(jax.random.key(3), len(prompts))
    running = decode.start(model, prompts, NEW, keys, track_seen=True)
    for steps in calls:
        running = decode.advance(model, running, sampling or Sampling(), stop_ids, steps)
    return running


def tokens_of(running, row: int | slice = slice(None)):
    return np.asarray(running.tokens)[row, :NEW].tolist()


@eqx.filter_jit
def next_logits(model, tokens, length):
    positions = jnp.where(jnp.arange(64) < length, jnp.arange(64), -1)
    return model(tokens, positions)[length - 1]


@pytest.mark.parametrize("name", SHAPES)
def test_rows_are_what_each_prompt_gives_alone_and_what_no_cache_gives(name):
    model = small(name)
    together = write(model, PROMPTS)
    assert len({tuple(row) for row in tokens_of(together)}) == len(PROMPTS)
    if name == "gemma-2-2b":  # the others are alone in the comparison below
        alone = write(model, [PROMPTS[1]])
        assert tokens_of(alone, 0) == tokens_of(together, 1)
        np.testing.assert_allclose(alone.log_probabilities[0], together.log_probabilities[1], atol=2e-4)
    for row, prompt in enumerate(PROMPTS):
        so_far = list(prompt)
        for step in range(NEW):
            logits = next_logits(model, jnp.array(so_far + [0] * (64 - len(so_far))), jnp.int32(len(so_far)))
            so_far.append(int(jnp.argmax(logits)))
            cached = together.log_probabilities[row, step]
            np.testing.assert_allclose(cached, jax.nn.log_softmax(logits)[so_far[-1]], atol=2e-4)
        assert so_far[len(prompt) :] == tokens_of(together, row)


def test_a_prompt_in_pieces_is_the_prompt_at_once(monkeypatch):
    model = small("gemma-3-1b")
    pieces = tokens_of(write(model, PROMPTS))
    monkeypatch.setattr(decode, "PIECE", 512)
    assert tokens_of(write(model, PROMPTS)) == pieces


def test_stopping_and_going_on_changes_nothing():
    model, sampling = small("griffin-100m"), Sampling(temperature=1.0)
    assert tokens_of(write(model, PROMPTS, sampling, calls=(1, 1, 7, NEW - 9))) == tokens_of(
        write(model, PROMPTS, sampling)
    )


def test_a_row_ends_at_its_stop_token_and_the_others_go_on():
    model = small("gemma-2-2b")
    free = tokens_of(write(model, PROMPTS))
    stop = free[1][4]
    stopped = write(model, PROMPTS, stop_ids=jnp.array([stop]))
    expected = [row.index(stop) if stop in row else NEW for row in free]
    assert np.asarray(stopped.lengths).tolist() == expected
    assert np.asarray(stopped.done).tolist() == [length < NEW for length in expected]
    for row, length in enumerate(expected):
        assert tokens_of(stopped, row)[:length] == free[row][:length]


def test_the_penalty_counts_prompt_and_written_tokens_but_no_padding():
    model = small("gemma-2-2b")
    running = write(model, PROMPTS[:3], Sampling(repetition_penalty=1e6))
    assert running.seen is not None
    for row, prompt in enumerate(PROMPTS[:3]):
        written = tokens_of(running, row)
        assert set(np.flatnonzero(running.seen[row])) == {*prompt, *written}
    assert len(set(tokens_of(running, 0))) > len(set(tokens_of(write(model, PROMPTS[:3]), 0)))


@pytest.mark.parametrize("name", SHAPES)
def test_rows_that_enter_a_running_batch_write_what_they_would_alone(name):
    """Three rows, four prompts that enter at different times and one in the place of another.

    That a batch which begins together writes what each row would alone is shown above.
    """
    model, sampling = small(name), Sampling(temperature=1.0)
    fresh = decode.start(model, PROMPTS, NEW, jax.random.split(jax.random.key(3), len(PROMPTS)), track_seen=False)
    batch = decode.idle(model, rows=3, capacity=64, room=24)
    written: dict[int, list[int]] = {}
    where: dict[int, int] = {}
    for row, prompt, steps in ((0, 1, 3), (2, 2, 5), (1, 3, NEW), (0, 0, NEW)):
        batch, where[row] = decode.insert(model, batch, row, fresh, source=prompt), prompt
        batch = decode.advance(model, batch, sampling, NONE, steps)
        for at, writer in where.items():
            written[writer] = np.asarray(batch.tokens)[at, : int(batch.count[at])].tolist()
    together = tokens_of(decode.advance(model, fresh, sampling, NONE, NEW))
    assert [len(written[prompt]) for prompt in range(len(PROMPTS))] == [NEW, 24, 24, 24]
    assert [written[prompt][:NEW] for prompt in range(len(PROMPTS))] == together


def test_a_row_enters_a_batch_that_began_together():
    """The penalty counts its own tokens alone."""
    model, sampling = small("gemma-2-2b"), Sampling(repetition_penalty=1e6)
    expected = tokens_of(write(model, [*PROMPTS[:3]], sampling))
    keys = jax.random.split(jax.random.key(3), 2)
    running = decode.start(model, [PROMPTS[0], PROMPTS[1]], NEW, keys, track_seen=True)
    running = decode.advance(model, running, sampling, NONE, 5)
    fresh = decode.start(model, [PROMPTS[2]], NEW, keys[:1], track_seen=True)
    running = decode.insert(model, running, 0, fresh)
    running = decode.advance(model, running, sampling, NONE, NEW)
    assert tokens_of(running, 0) == expected[2] and tokens_of(running, 1) == expected[1]
    assert running.seen is not None
    assert set(np.flatnonzero(running.seen[0])) == {*PROMPTS[2], *expected[2]}


def test_a_row_that_does_not_fit_or_has_begun_is_refused():
    model = small("gemma-2-2b")
    batch = decode.idle(model, rows=2, capacity=40, room=24, track_seen=True)
    fresh = decode.start(model, [PROMPTS[1]], NEW, jax.random.split(jax.random.key(0), 1), track_seen=False)
    with pytest.raises(ValueError, match="track_seen"):
        decode.insert(model, batch, 0, fresh)
    batch = decode.idle(model, rows=2, capacity=40, room=24)
    with pytest.raises(ValueError, match="37 tokens and a completion of up to 24 do not fit a cache of 40"):
        decode.insert(model, batch, 0, fresh)
    with pytest.raises(ValueError, match="before it writes"):
        decode.insert(model, batch, 0, decode.advance(model, fresh, Sampling(), NONE, 1))


def test_a_prompt_with_spans_is_read_in_one_piece_if_a_span_would_be_split():
    model = small("gemma-3-1b")
    tokens, padding = decode.left_padded([PROMPTS[1]], 48)
    spans = np.full((1, 48), -1)
    spans[0, 28:34] = 0  # pieces are of 16
    keys = jax.random.split(jax.random.key(0), 1)
    ids, places = jnp.asarray(tokens[0]), jnp.maximum(jnp.arange(48) - padding[0], -1)
    for vectors in (None, jax.vmap(model.embed)(jnp.asarray(tokens))):
        decoding = decode.begin(model, tokens, padding, 8, keys, track_seen=False, embeddings=vectors, spans=spans)
        expected = model.hidden(ids, places, jnp.asarray(spans[0]))[-1]
        np.testing.assert_allclose(decoding.hidden[0], expected, rtol=1e-3, atol=1e-4)
    assert np.abs(expected - model.hidden(ids, places)[-1]).max() > 0.01


def passes(model, rows: int, room: int) -> set[str]:
    """The operations of the loop that writes whose result is as large as the largest cache, in the form it is kept in.

    What is read from a cache (products, and conversions to float32) has another shape or another type. In place are
    `scatter` and `dynamic-update-slice`, and what only names a buffer.
    """
    batch = decode.idle(model, rows, room, room)
    fixed = (model, Sampling(), NONE, jnp.int32(1))
    loop: Any = decode._advance  # compiled anew, whatever was compiled before a control was patched in
    fresh: Any = eqx.filter_jit(lambda fixed, batch: loop.__wrapped__(fixed, batch), donate="all-except-first")
    compiled = fresh.lower(fixed, batch).compile().compiled
    keys = max((state.keys for state in batch.states if isinstance(state, KeyValueCache)), key=lambda keys: keys.size)
    names = {"float32": "f32", "bfloat16": "bf16", "uint16": "u16"}
    shape = f"{names[str(keys.dtype)]}[{','.join(map(str, keys.shape))}]"
    kinds = re.findall(rf"= {re.escape(shape)}\S* ([\w-]+)\(", compiled.as_text())
    assert compiled.memory_analysis().alias_size_in_bytes > keys.nbytes  # donated
    return set(kinds) - {"parameter", "get-tuple-element", "fusion", "while", "bitcast"}


def cast(model, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), model)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_no_token_copies_the_cache_though_each_row_has_its_own_place(dtype):
    model = cast(small("gemma-2-2b"), dtype)
    made = passes(model, 4, 96)
    assert made and made <= {"scatter", "dynamic-update-slice"}


def test_the_control_makes_a_pass_over_the_cache_for_every_token(monkeypatch):
    def select(cache, new, slot):
        here = (jnp.arange(cache.keys.shape[1]) == slot)[None, :, None]
        return jax.tree.map(lambda old, new: jnp.where(here, new, old), cache, new)

    monkeypatch.setattr(KeyValueCache, "write", select)
    assert "select" in passes(small("gemma-2-2b"), 4, 96)


def test_bfloat16_kept_as_such_would_make_two(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "other")
    assert "convert" in passes(cast(small("gemma-2-2b"), jnp.bfloat16), 4, 104)  # a size not compiled before
