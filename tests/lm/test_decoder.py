"""What must not change the logits: packing, padding, batching, pieces with a cache, remat, scan over layers.

At the end: a configuration that makes no sense is refused with the reason.
"""

import dataclasses
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.lm import Decoder, DecoderConfig
from tests.weights import random_weights

SIZES: dict[str, Any] = {
    "width": 32,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 8,
    "hidden": 48,
    "vocabulary": 50,
    "epsilon": 0.01,
}
LRU: dict[str, Any] = {"rope_fraction": 0.5, "biases": True, "lru_width": 24, "lru_blocks": 4}
GEMMA_2: dict[str, Any] = {"window": 4, "attention_cap": 2.0, "logit_cap": 3.0, "post_norms": True}
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma": {"pattern": "G", "layers": 2},
    "gemma2": {"pattern": "LG", "layers": 3, **GEMMA_2},
    "gemma3_text": {"pattern": "LLG", "layers": 4, "window": 4, "qk_norm": True, "post_norms": True, "rope_scale": 8.0},
    "vaultgemma": {"pattern": "G", "layers": 2, "attention_cap": 2.0, "logit_cap": 3.0},
    "griffin": {"pattern": "RRL", "layers": 4, "window": 4, **LRU},
    "hawk": {"pattern": "R", "layers": 2, **LRU},
}
HALF, TOKENS = 12, 24
IDS = jnp.asarray(np.random.default_rng(9).integers(0, 50, TOKENS))


@cache
def build(family: str) -> Decoder:
    return random_weights(DecoderConfig(family=family, **SIZES, **FAMILIES[family]).init, spread=1.5)


run = eqx.filter_jit(lambda model, tokens, positions: model(tokens, positions))


def assert_same(one, other):
    scale = np.asarray(other, np.float64).std()
    np.testing.assert_allclose(np.asarray(one) / scale, np.asarray(other) / scale, rtol=0, atol=3e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_documents_equal_separate_runs(family):
    model = build(family)
    packed = run(model, IDS, jnp.concatenate([jnp.arange(HALF)] * 2))
    for half in (slice(0, HALF), slice(HALF, TOKENS)):
        assert_same(packed[half], run(model, IDS[half], jnp.arange(HALF)))
    positions = jnp.concatenate([jnp.arange(5), jnp.arange(1), jnp.arange(14), jnp.arange(4)])
    uneven, short = run(model, IDS, positions), jnp.where(jnp.arange(HALF) < 4, jnp.arange(HALF), -1)
    assert_same(uneven[20:], run(model, IDS[jnp.arange(20, 20 + HALF) % TOKENS], short)[:4])
    assert np.abs(uneven[20:] - packed[20:]).max() > 0.1  # there was something to leak


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_has_no_effect(family):
    model = build(family)
    alone = run(model, IDS[:HALF], jnp.arange(HALF))
    pad = jnp.full(HALF, -1)
    behind = run(model, IDS, jnp.concatenate([jnp.arange(HALF), pad]))
    before = run(model, jnp.roll(IDS, HALF), jnp.concatenate([pad, jnp.arange(HALF)]))
    assert_same(behind[:HALF], alone)
    assert_same(before[HALF:], alone)
    assert np.isfinite(np.asarray(behind)).all() and np.isfinite(np.asarray(before)).all()


@eqx.filter_jit
def extend(model, tokens, positions, states, at):
    hidden, states = model.extend(tokens, positions, states, at)
    return model.logits(hidden), states


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "griffin"])
@pytest.mark.parametrize("padding", [0, 5])
def test_pieces_equal_the_whole(family, padding):
    """One prefill, chunked prefill, token by token, and a mixture, all past the window."""
    model = build(family)
    positions = jnp.arange(TOKENS) - padding
    whole = run(model, IDS, jnp.maximum(positions, -1))[padding:]

    for pieces in ([TOKENS], [4] * 6, [1] * TOKENS, [4] * 3 + [1] * HALF):
        states, out, at = model.init_states(TOKENS, pieces[0]), [], 0
        for length in pieces:
            span = slice(at, at + length)
            start = 0 if at == 0 and length > 1 else jnp.asarray(at)  # a first piece may know that nothing came before
            logits, states = extend(model, IDS[span], positions[span], states, start)
            out.append(logits)
            at += length
        assert_same(jnp.concatenate(out)[padding:], whole)


def test_remat_and_scan_change_neither_value_nor_gradient():
    config = dataclasses.replace(build("griffin").config, pattern="RL", layers=5)
    model = random_weights(config.init, spread=1.5)  # two periods to scan over, and one layer left

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(model, remat, scan):
        return jnp.mean(jnp.sin(model.logits(model.hidden(IDS, jnp.arange(TOKENS), remat=remat, scan=scan))))

    (value, gradient), (other_value, other) = loss(model, False, False), loss(model, True, True)
    np.testing.assert_allclose(other_value, value, rtol=1e-4)
    for one, two in zip(jax.tree.leaves(other), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3 * np.abs(two).max())


def test_a_batch_is_a_vmap():
    model = build("griffin")
    rows = jnp.stack([IDS[:HALF], IDS[HALF:]])
    positions = jnp.stack([jnp.arange(HALF)] * 2)
    batch = eqx.filter_jit(eqx.filter_vmap(model))(rows, positions)
    for row, ids, places in zip(batch, rows, positions, strict=True):
        assert_same(row, run(model, ids, places))


@pytest.mark.parametrize("family", ["gemma2", "griffin"])
def test_bfloat16_is_near_float32(family):
    model = build(family)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), rounded)
    positions = jnp.concatenate([jnp.full(2, -1), jnp.arange(TOKENS - 2)])
    logits, expected = run(rounded, IDS, positions)[2:], run(wide, IDS, positions)[2:]
    assert logits.dtype == jnp.float32 and np.isfinite(np.asarray(logits)).all()
    assert np.std(logits - expected) < 0.05 * np.std(expected)
    assert eqx.filter_eval_shape(rounded.hidden, IDS, positions).dtype == jnp.bfloat16


def test_positions_default_to_one_document():
    model = build("gemma2")
    np.testing.assert_array_equal(run(model, IDS, None), run(model, IDS, jnp.arange(TOKENS)))


def test_embedding_scale_is_rounded_to_the_dtype_of_the_weights():
    config = dataclasses.replace(build("gemma").config, width=40, embedding_scale=40**0.5)
    model = random_weights(config.init)
    ones = eqx.tree_at(lambda model: model.embedding, model, jnp.ones((50, 40)))
    assert float(ones.embed(IDS)[0, 0]) == np.float32(40**0.5)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), ones)
    assert float(rounded.embed(IDS)[0, 0]) == 6.3125


def test_embeddings_of_tokens_give_the_logits_of_the_tokens_bit_for_bit():
    """Operation by operation; a compiled whole may round the product with the scale elsewhere."""
    config = dataclasses.replace(build("gemma3_text").config, embedding_scale=3.0, pattern="L", layers=1)
    model = random_weights(config.init)
    np.testing.assert_array_equal(model(model.embed(IDS)), model(IDS))
    np.testing.assert_array_equal(model.embed(IDS), model.embedding[IDS] * 3)
    states = model.init_states(TOKENS, 4)
    by_token, by_vector = (model.extend(x[:4], jnp.arange(4), states, 0)[0] for x in (IDS, model.embed(IDS)))
    np.testing.assert_array_equal(by_token, by_vector)


def test_rows_of_the_embeddings_may_be_replaced_by_vectors_from_elsewhere():
    """A vector that is another token's embedding stands for that token; what is behind it changes, nothing before."""
    model = build("gemma3_text")
    place, other = 9, (IDS[9] + 1) % 50
    mixed = model.embed(IDS).at[place].set(model.embed(other[None])[0])
    logits = run(model, mixed, None)
    assert_same(logits, run(model, IDS.at[place].set(other), None))
    assert_same(logits[:place], run(model, IDS, None)[:place])
    assert np.abs(logits[place:] - run(model, IDS, None)[place:]).max() > 0.1
    slope = eqx.filter_jit(jax.grad(lambda x: jnp.sin(model(x)[-1]).sum()))(mixed)
    assert np.abs(slope[place]).max() > 0  # an encoder of images could learn through it


IMAGES = jnp.array([-1] * 2 + [0] * 4 + [-1] * 2 + [1] * 4 + [-1] * 12)


def test_spans_reach_every_layer_whole_scanned_and_in_pieces():
    model = build("gemma3_text")
    run_spans = eqx.filter_jit(lambda model, scan: model.logits(model.hidden(IDS, None, IMAGES, scan=scan)))
    whole = run_spans(model, False)
    assert np.abs(whole[2] - run(model, IDS, None)[2]).max() > 0.1
    assert_same(whole[:2], run(model, IDS, None)[:2])
    deep = random_weights(dataclasses.replace(model.config, pattern="LG", layers=4).init, spread=1.5)
    assert_same(run_spans(deep, True), run_spans(deep, False))
    states, out = model.init_states(TOKENS, 8), []
    for at in range(0, TOKENS, 8):  # no image is split
        span = slice(at, at + 8)
        hidden, states = eqx.filter_jit(model.extend)(
            IDS[span], jnp.arange(at, at + 8), states, at and jnp.asarray(at), IMAGES[span]
        )
        out.append(model.logits(hidden))
    assert_same(jnp.concatenate(out), whole)


def test_an_encoder_sees_both_ways_within_its_window_and_has_no_cache():
    model = random_weights(dataclasses.replace(build("gemma3_text").config, causal=False, layers=1).init, spread=1.5)
    slope = eqx.filter_jit(jax.grad(lambda x: jnp.sin(model(x)[10]).sum()))(model.embed(IDS))
    np.testing.assert_array_equal(np.flatnonzero(np.abs(slope).sum(axis=1)), np.arange(7, 14))  # window 4
    with pytest.raises(ValueError, match="no cache"):
        model.extend(IDS[:4], jnp.arange(4), model.init_states(8, 4), 0)


def test_recurrent_layers_refuse_spans():
    model = build("griffin")
    with pytest.raises(ValueError, match="recurrent layer runs forward only"):
        model(IDS, None, IMAGES)


def test_initial_logits_are_moderate():
    config = dataclasses.replace(build("gemma2").config, logit_cap=None)
    logits = run(eqx.filter_jit(config.init)(jax.random.key(0)), IDS, None)
    assert 0.3 < np.std(logits) < 3.0


GOOD = DecoderConfig(
    family="griffin", layers=4, width=16, heads=4, kv_heads=2, head_dim=8, hidden=32, vocabulary=50, pattern="RLG",
    window=4, lru_width=12, lru_blocks=3,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"conv_width": 0}, "conv_width is 0"),
        ({"causal": False}, "run forward only"),
        ({"kv_heads": 3}, r"heads \(4\) must be a multiple of kv_heads \(3\)"),
        ({"pattern": ""}, "pattern ''"),
        ({"pattern": "LX"}, "pattern 'LX'.*letters L, G, R"),
        ({"window": None}, "local layers, so window"),
        ({"window": 0}, "local layers, so window"),
        ({"lru_width": None}, "recurrent layers, so lru_width and lru_blocks"),
        ({"lru_blocks": None}, "recurrent layers, so lru_width and lru_blocks"),
        ({"lru_blocks": 5}, r"lru_width \(12\) must be a multiple of lru_blocks \(5\)"),
        ({"head_dim": 6, "rope_fraction": 0.5}, r"rotated part of head_dim \(3\) must be even"),
    ],
    ids=str,
)
def test_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(GOOD, **changes)


def test_only_the_layers_that_there_are_count():
    global_only = dataclasses.replace(GOOD, pattern="G", window=None, lru_width=None, lru_blocks=None)
    assert global_only.kinds == "GGGG"
    assert GOOD.kinds == "RLGR"
