from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.objectives import completion_weights, cross_entropy, token_and_mean_log_probabilities
from culet.objectives import token_log_probabilities as eager_log_probabilities

token_log_probabilities = jax.jit(eager_log_probabilities, static_argnames=("cap", "chunk"))

T, V, D = 11, 37, 8
CAP = 2.0  # far below the spread of the logits, so that a wrong cap shows


def make(dtype: Any = np.float32):
    rng = np.random.default_rng(0)
    hidden = (2 * rng.normal(size=(T, D))).astype(dtype)
    embedding = rng.normal(size=(V, D)).astype(dtype)
    targets = rng.integers(0, V, T).astype(np.int32)
    targets[:3] = 0, V - 1, V - 2
    return jnp.asarray(hidden), jnp.asarray(embedding), jnp.asarray(targets), rng.uniform(0.5, 2, T).astype(dtype)


def oracle(hidden, embedding, targets, cap):
    """Log-probabilities by a plain float64 softmax."""
    logits = np.asarray(hidden, np.float64) @ np.asarray(embedding, np.float64).T
    if cap is not None:
        logits = cap * np.tanh(logits / cap)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.log(probabilities[np.arange(len(targets)), np.asarray(targets)])


@partial(jax.jit, static_argnums=4)
def naive(hidden, embedding, targets, weights, cap):
    logits = hidden @ embedding.T
    if cap is not None:
        logits = cap * jnp.tanh(logits / cap)
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1)[:, 0]
    return -(weights * picked).sum()


@pytest.mark.parametrize("cap", [None, CAP])
@pytest.mark.parametrize("chunk", [None, 1, 5, 36, 37, 1000])
def test_value_and_gradient_match_plain_softmax(cap, chunk):
    hidden, embedding, targets, weights = make()
    got = token_log_probabilities(hidden, embedding, targets, cap=cap, chunk=chunk)
    np.testing.assert_allclose(got, oracle(hidden, embedding, targets, cap), rtol=2e-5, atol=2e-6)

    @jax.jit
    def loss(hidden, embedding):
        return cross_entropy(hidden, embedding, targets, jnp.asarray(weights), cap=cap, chunk=chunk).total

    gradients = jax.grad(loss, (0, 1))(hidden, embedding)
    expected = jax.grad(naive, (0, 1))(hidden, embedding, targets, jnp.asarray(weights), cap)
    for gradient, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("chunk", [7, None])
def test_gradient_matches_finite_differences(chunk):
    with jax.enable_x64(True):
        hidden, embedding, targets, weights = make(np.float64)

        @jax.jit
        def loss(hidden, embedding):
            return cross_entropy(hidden, embedding, targets, jnp.asarray(weights), cap=CAP, chunk=chunk).total

        assert loss(hidden, embedding).dtype == jnp.float64
        check_grads(loss, (hidden, embedding), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


def test_bfloat16_inputs_are_accumulated_in_float32():
    hidden, embedding, targets, weights = make()
    weights = jnp.asarray(weights)
    small = hidden.astype(jnp.bfloat16), embedding.astype(jnp.bfloat16)

    @jax.jit
    def loss(hidden, embedding):
        return cross_entropy(hidden, embedding, targets, weights, cap=30.0, chunk=10).total

    # The products are exact in float32, so only the inputs are rounded, and the oracle has the same ones.
    got = token_log_probabilities(*small, targets, cap=30.0, chunk=10)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, oracle(*small, targets, 30.0), rtol=2e-5, atol=2e-6)
    exact = jax.grad(loss, (0, 1))(*(x.astype(jnp.float32) for x in small))
    for gradient, reference in zip(jax.grad(loss, (0, 1))(*small), exact, strict=True):
        assert gradient.dtype == jnp.bfloat16
        error = np.abs(np.asarray(gradient, np.float32) - np.asarray(reference)).max()
        assert error < 2**-7 * np.abs(reference).max()
    # float32 embeddings under bfloat16 hidden states: read as bfloat16, gradient in float32
    mixed = jax.grad(loss, 1)(small[0], embedding)
    assert mixed.dtype == jnp.float32
    np.testing.assert_allclose(mixed, jax.grad(loss, 1)(*small).astype(jnp.float32), rtol=2**-8, atol=1e-6)


def test_large_logits_stay_finite():
    hidden, embedding, targets, _ = make()
    got = token_log_probabilities(1e4 * hidden, embedding, targets, chunk=5)
    logits = 1e4 * np.asarray(hidden, np.float64) @ np.asarray(embedding, np.float64).T
    expected = logits[np.arange(T), np.asarray(targets)] - logits.max(axis=1)  # the softmax is a maximum here
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=0.1)


def test_no_gradient_from_prompts():
    hidden, embedding, targets, _ = make()
    prompt_lengths = jnp.array([3] * 7 + [2] * 4)
    positions = jnp.array([0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3])
    weights = completion_weights(jnp.ones(T).at[6].set(0), positions, prompt_lengths)
    assert weights.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1]

    @jax.jit
    def gradients(targets):
        def loss(hidden, embedding):
            return cross_entropy(hidden, embedding, targets, weights, cap=CAP, chunk=6).total

        return jax.grad(loss, (0, 1))(hidden, embedding)

    prompt = weights == 0
    d_hidden, d_embedding = gradients(targets)
    assert not d_hidden[prompt].any()
    assert d_hidden[~prompt].any(axis=1).all()
    others = gradients(jnp.where(prompt, (targets + 5) % V, targets))
    assert (others[0] == d_hidden).all() and (others[1] == d_embedding).all()


def test_target_outside_the_vocabulary_is_nan_unless_its_weight_is_zero():
    hidden, embedding, targets, weights = make()
    bad = targets.at[4].set(-1).at[5].set(V)
    got = token_log_probabilities(hidden, embedding, bad, chunk=6)
    assert jnp.isnan(got).tolist() == [i in (4, 5) for i in range(T)]
    silent = jnp.asarray(weights).at[4:6].set(0)

    @jax.jit
    def loss(hidden, embedding):
        return cross_entropy(hidden, embedding, bad, silent, chunk=6).total

    value, gradients = jax.value_and_grad(loss, (0, 1))(hidden, embedding)
    np.testing.assert_allclose(value, naive(hidden, embedding, targets, silent, None), rtol=1e-5)
    assert all(jnp.isfinite(gradient).all() for gradient in gradients)


def test_batches_flattened_or_mapped():
    hidden, embedding, targets, _ = make()
    batch = hidden[:10].reshape(2, 5, D), targets[:10].reshape(2, 5)
    flat = token_log_probabilities(batch[0], embedding, batch[1], chunk=6)
    assert flat.shape == (2, 5)
    mapped = jax.vmap(lambda h, t: token_log_probabilities(h, embedding, t, chunk=6))(*batch)
    np.testing.assert_allclose(mapped, flat, rtol=1e-6)


def test_chunk_below_one_is_refused():
    hidden, embedding, targets, _ = make()
    with pytest.raises(ValueError, match="chunk is 0"):
        token_log_probabilities(hidden, embedding, targets, chunk=0)


@pytest.mark.parametrize("chunk", [None, 5])
def test_mean_log_probabilities_and_their_gradient_match_plain_softmax(chunk):
    hidden, embedding, targets, weights = make()
    both = jax.jit(lambda h, e: token_and_mean_log_probabilities(h, e, targets, cap=CAP, chunk=chunk))
    logs, every = both(hidden, embedding)
    assert (logs == token_log_probabilities(hidden, embedding, targets, cap=CAP, chunk=chunk)).all()
    plain = [oracle(hidden, embedding, np.full(T, entry), CAP) for entry in range(V)]
    np.testing.assert_allclose(every, np.mean(plain, axis=0), rtol=2e-5)

    def loss(hidden, embedding):
        logs, every = both(hidden, embedding)
        return -(weights * (0.9 * logs + 0.1 * every)).sum()

    def naive_loss(hidden, embedding):
        spread = sum(naive(hidden, embedding, jnp.full(T, entry), jnp.asarray(weights), CAP) for entry in range(V)) / V
        return 0.9 * naive(hidden, embedding, targets, jnp.asarray(weights), CAP) + 0.1 * spread

    gradients, expected = (jax.grad(each, (0, 1))(hidden, embedding) for each in (loss, naive_loss))
    for gradient, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=2e-6)
