"""Decode timing: which times count, and that what is timed is greedy decoding."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.lm import _decode_speed, decode_speed, scaled


@pytest.fixture(scope="module")
def model():
    config = scaled("gemma-2b", layers=1, width=16, heads=2, kv_heads=1, vocabulary=40, context=64)
    return config.init(jax.random.key(0))


def test_the_best_turn_counts_and_the_first_does_not(model, monkeypatch):
    ticks = iter([0, 0, 0, 6.4, 0, 64, 0, 3.2, 0, 32])
    monkeypatch.setattr(_decode_speed, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    speeds = decode_speed(model, (8, 16), batch_size=2, new_tokens=8, repeats=2)
    np.testing.assert_allclose(speeds, [2 * 8 / 3.2, 2 * 8 / 32])


def test_what_is_timed_is_greedy_decoding(model):
    """From an empty cache and token 0, against the whole sequence computed anew for each token."""
    tokens, logits = [0], eqx.filter_jit(model)
    for _ in range(5):
        tokens.append(int(jnp.argmax(logits(jnp.array(tokens))[-1])))
    last = _decode_speed._write(model, _decode_speed._empty(model, 5, 2), jnp.int32(0), 5, 2)
    np.testing.assert_array_equal(last, [tokens[-1]] * 2)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"new_tokens": 0}, {"repeats": 0}, {"contexts": ()}])
def test_numbers_that_time_nothing(model, wrong):
    with pytest.raises(ValueError, match="at least"):
        decode_speed(model, **wrong)
