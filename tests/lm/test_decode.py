"""The loop that writes: rows of a batch do not touch each other, and what is cached is what would be computed anew."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.lm import decode
from culet.lm.sampling import Sampling
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
    for until in calls:
        running = decode.advance(model, running, sampling or Sampling(), stop_ids, until)
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
            found = together.log_probabilities[row, step]
            np.testing.assert_allclose(found, jax.nn.log_softmax(logits)[so_far[-1]], atol=2e-4)
        assert so_far[len(prompt) :] == tokens_of(together, row)


def test_a_prompt_in_pieces_is_the_prompt_at_once(monkeypatch):
    model = small("gemma-3-1b")
    pieces = tokens_of(write(model, PROMPTS))
    monkeypatch.setattr(decode, "PIECE", 512)
    assert tokens_of(write(model, PROMPTS)) == pieces


def test_stopping_and_going_on_changes_nothing():
    model, sampling = small("griffin-100m"), Sampling(temperature=1.0)
    assert tokens_of(write(model, PROMPTS, sampling, calls=(1, 2, 9, NEW))) == tokens_of(
        write(model, PROMPTS, sampling)
    )


def test_a_row_ends_at_its_stop_token_and_the_others_go_on():
    model = small("gemma-2-2b")
    free = tokens_of(write(model, PROMPTS))
    stop = free[1][4]
    found = write(model, PROMPTS, stop_ids=jnp.array([stop]))
    expected = [row.index(stop) if stop in row else NEW for row in free]
    assert np.asarray(found.lengths).tolist() == expected
    assert np.asarray(found.done).tolist() == [length < NEW for length in expected]
    for row, length in enumerate(expected):
        assert tokens_of(found, row)[:length] == free[row][:length]


def test_the_penalty_counts_prompt_and_written_tokens_but_no_padding():
    model = small("gemma-2-2b")
    running = write(model, PROMPTS[:3], Sampling(repetition_penalty=1e6))
    assert running.seen is not None
    for row, prompt in enumerate(PROMPTS[:3]):
        written = tokens_of(running, row)
        assert set(np.flatnonzero(running.seen[row])) == {*prompt, *written}
    assert len(set(tokens_of(running, 0))) > len(set(tokens_of(write(model, PROMPTS[:3]), 0)))
