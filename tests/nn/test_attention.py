"""Attention against loops in float64; its window, its blocks, its documents and its cache."""

from functools import partial
from types import ModuleType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.nn.attention
from culet.nn import Attention, Rope
from tests.weights import normal, random_weights

attention_module: ModuleType = culet.nn.attention
WIDTH = 12


def build(*, window=None, cap=None, norm=True, bias=True, heads=4, kv_heads=2, causal=True) -> Attention:
    options = dict(rope=Rope(dim=4, base=50.0, scale=2.0), window=window, scale=0.6, cap=cap, bias=bias, out_scale=1.0,
        causal=causal)  # fmt: skip
    return random_weights(
        partial(Attention, WIDTH, heads, kv_heads, 8, norm_epsilon=0.01 if norm else None, **options), spread=1.3
    )


def loops(layer: Attention, x, positions) -> np.ndarray:
    """One query, one head, one key at a time, in float64."""
    positions = np.asarray(positions)
    mask = np.zeros((len(x), len(x)), bool)
    for q in range(len(x)):
        start = max(t for t in range(q + 1) if positions[t] <= 0)
        start = start if layer.window is None else max(start, q - layer.window + 1)
        mask[q, start : q + 1] = True
    return masked_loops(layer, x, positions, mask)


def masked_loops(layer: Attention, x, positions, mask) -> np.ndarray:
    """The same, with an explicit mask of what each token sees."""
    x, positions = np.asarray(x, np.float64), np.asarray(positions)

    def project(linear):
        return (x @ np.asarray(linear.weight, np.float64).T).reshape(len(x), -1, layer.head_dim)

    def prepare(heads, norm):
        heads = heads.copy()
        if norm is not None:
            heads /= np.sqrt(np.mean(heads**2, axis=-1, keepdims=True) + norm.epsilon)
            heads *= 1 + np.asarray(norm.scale, np.float64)
        half = layer.rope.dim // 2
        for i in range(half):
            angle = positions / layer.rope.scale * layer.rope.base ** (-i / half)
            turned = (heads[..., i] + 1j * heads[..., i + half]) * np.exp(1j * angle)[:, None]
            heads[..., i], heads[..., i + half] = turned.real, turned.imag
        return heads

    queries, keys = prepare(project(layer.query), layer.query_norm), prepare(project(layer.key), layer.key_norm)
    values, group = project(layer.value), queries.shape[1] // layer.kv_heads
    out = np.zeros(queries.shape)
    for q in range(len(x)):
        for head in range(queries.shape[1]):
            scores = keys[mask[q], head // group] @ queries[q, head] * layer.scale
            if layer.cap is not None:
                scores = layer.cap * np.tanh(scores / layer.cap)
            weights = np.exp(scores - scores.max())
            out[q, head] = weights / weights.sum() @ values[mask[q], head // group]
    flat = out.reshape(len(x), -1) @ np.asarray(layer.output.weight, np.float64).T
    return flat if layer.output.bias is None else flat + np.asarray(layer.output.bias, np.float64)


PACKED = jnp.concatenate([jnp.arange(5), jnp.arange(9), jnp.full(3, -1)])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": 3, "cap": 0.8},
        {"norm": False, "bias": False, "kv_heads": 1},
        {"window": 1, "kv_heads": 4},
    ],
    ids=str,
)
def test_equals_loops_in_float64(options):
    layer = build(**options)
    x = normal(len(PACKED), WIDTH)
    np.testing.assert_allclose(eqx.filter_jit(layer)(x, PACKED), loops(layer, x, PACKED), rtol=1e-4, atol=1e-4)


def test_window_counts_the_token_itself():
    window, query = 4, 9
    layer = build(window=window)
    x = normal(12, WIDTH)
    reach = jnp.abs(jax.jit(jax.grad(lambda x: layer(x, jnp.arange(12))[query].sum()))(x)).sum(axis=-1)
    seen = np.flatnonzero(np.asarray(reach))
    np.testing.assert_array_equal(seen, np.arange(query - window + 1, query + 1))


@pytest.mark.parametrize("window", [None, 600])
def test_long_sequences_in_blocks_equal_all_at_once(monkeypatch, window):
    tokens = 2 * attention_module.QUERY_BLOCK + 77
    layer = build(window=window, cap=2.0, heads=2, kv_heads=1)
    x = normal(tokens, WIDTH)
    positions = jnp.concatenate([jnp.arange(700), jnp.arange(tokens - 720), jnp.full(20, -1)])

    def run():
        @eqx.filter_jit
        def value_and_gradient(x):
            value, pull = jax.vjp(lambda x: layer(x, positions), x)
            return value, pull(jnp.cos(value))[0]

        return value_and_gradient(x)

    blocks = run()
    monkeypatch.setattr(attention_module, "QUERY_BLOCK", tokens)
    for one, other in zip(blocks, run(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tokens", [9, 12])
@pytest.mark.parametrize("window", [None, 6])
def test_small_blocks_equal_loops(monkeypatch, tokens, window):
    monkeypatch.setattr(attention_module, "QUERY_BLOCK", 4)
    layer = build(window=window)
    x = normal(tokens, WIDTH)
    positions = jnp.concatenate([jnp.arange(5), jnp.arange(tokens - 5)])
    np.testing.assert_allclose(eqx.filter_jit(layer)(x, positions), loops(layer, x, positions), rtol=1e-4, atol=1e-4)


extend = eqx.filter_jit(lambda layer, *arguments: layer.extend(*arguments))


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(("window", "piece"), [(None, 4), (4, 4), (6, 4), (3, 4), (6, 1), (40, 4)])
def test_pieces_equal_the_whole(window, piece, padding):
    tokens, capacity = 19, 24
    layer = build(window=window)
    x = normal(padding + tokens, WIDTH)
    expected = loops(layer, x[padding:], np.arange(tokens))
    cache = layer.init_cache(capacity, piece, x.dtype)
    at, out = 0, []
    while at < len(x):
        length = piece if at + piece <= len(x) else 1
        positions = jnp.arange(at, at + length) - padding
        y, cache = extend(layer, x[at : at + length], positions, cache, 0 if at == 0 else jnp.asarray(at))
        out.append(y)
        at += length
    np.testing.assert_allclose(jnp.concatenate(out)[padding:], expected, rtol=1e-4, atol=1e-4)


def test_cache_is_no_larger_than_the_window_needs():
    def slots(window, capacity, piece):
        return build(window=window).init_cache(capacity, piece, np.dtype(jnp.bfloat16)).keys.shape[1]

    assert slots(None, 1000, 64) == 1000
    assert slots(100, 1000, 1) == 100
    assert slots(100, 1000, 64) == 128
    assert slots(100, 50, 1) == 50


def test_what_sees_nothing_stays_finite():
    layer = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), build(window=3))
    x = jnp.ones((4, WIDTH), jnp.bfloat16)
    out, _ = extend(layer, x, jnp.arange(-4, 0), layer.init_cache(8, 4, x.dtype), 0)
    assert np.isfinite(np.asarray(out, np.float32)).all()


def far_apart(tokens, window) -> np.ndarray:
    distance = np.subtract.outer(np.arange(tokens), np.arange(tokens))
    return np.zeros((tokens, tokens), bool) if window is None else distance >= window


def lower(tokens) -> np.ndarray:
    return np.tril(np.ones((tokens, tokens), bool))


# name: spans, documents, and the mask that they should make, without the window, written out by slices
TEXT = 14
SPANS: dict[str, tuple[list[int], list[int], list[tuple[slice, slice]]]] = {
    "prefix": ([0] * 6 + [-1] * 8, [TEXT], [(slice(0, 6), slice(0, 6))]),
    "images": (
        [-1, 0, 0, 0, 0, -1, 1, 1, 1, 2, 2, -1, -1, -1], [TEXT],
        [(slice(1, 5), slice(1, 5)), (slice(6, 9), slice(6, 9)), (slice(9, 11), slice(9, 11))],
    ),
    "packed images": (  # the same number in two documents is two spans
        [0, 0, 0, -1, -1, -1, -1, 0, 0, 0, -1, -1, 1, 1], [7, 7],
        [(slice(0, 3), slice(0, 3)), (slice(7, 10), slice(7, 10)), (slice(12, 14), slice(12, 14))],
    ),
    "all": ([0] * TEXT, [TEXT], [(slice(0, TEXT), slice(0, TEXT))]),
}  # fmt: skip


def explicit_mask(name, window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    spans, documents, blocks = SPANS[name]
    mask = lower(TEXT)
    for rows, columns in blocks:
        mask[rows, columns] = True
    for start in np.cumsum(documents)[:-1]:
        mask[start:, :start] = False
    positions = np.concatenate([np.arange(length) for length in documents])
    return np.array(spans), positions, mask & ~far_apart(TEXT, window)


@pytest.mark.parametrize("block", [512, 4])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("name", SPANS)
def test_spans_equal_loops_over_an_explicit_mask(monkeypatch, name, window, block):
    monkeypatch.setattr(attention_module, "QUERY_BLOCK", block)
    layer, x = build(window=window), normal(TEXT, WIDTH)
    spans, positions, mask = explicit_mask(name, window)
    expected = masked_loops(layer, x, positions, mask)
    np.testing.assert_allclose(
        eqx.filter_jit(layer)(x, jnp.asarray(positions), jnp.asarray(spans)), expected, rtol=1e-4, atol=1e-4
    )
    if name == "images":  # and by pieces of which each has whole spans
        cache, out = layer.init_cache(TEXT, 5, x.dtype), []
        spans[9:11], mask[9, 10] = -1, False  # the last would be split
        for at, end in ((0, 5), (5, 10), (10, 11), (11, 12), (12, 13), (13, 14)):
            piece = (x[at:end], jnp.arange(at, end), cache, at and jnp.asarray(at), jnp.asarray(spans[at:end]))
            y, cache = extend(layer, *piece)
            out.append(y)
        np.testing.assert_allclose(jnp.concatenate(out), masked_loops(layer, x, positions, mask), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [512, 4])
@pytest.mark.parametrize("window", [None, 3])
def test_a_bidirectional_layer_has_its_window_on_both_sides(monkeypatch, window, block):
    monkeypatch.setattr(attention_module, "QUERY_BLOCK", block)
    layer, x = build(window=window, causal=False), normal(TEXT, WIDTH)
    mask = ~far_apart(TEXT, window) & ~far_apart(TEXT, window).T
    mask[:5, 5:] = mask[5:, :5] = False
    positions = np.concatenate([np.arange(5), np.arange(9)])
    expected = masked_loops(layer, x, positions, mask)
    np.testing.assert_allclose(eqx.filter_jit(layer)(x, jnp.asarray(positions)), expected, rtol=1e-4, atol=1e-4)


def test_gradients_flow_through_spans_as_finite_differences_say():
    layer, x = build(window=3, cap=0.8), normal(TEXT, WIDTH)
    spans, positions, mask = explicit_mask("images", 3)
    direction, weights = np.asarray(normal(TEXT, WIDTH)), np.cos(np.arange(TEXT * WIDTH)).reshape(TEXT, WIDTH)
    slope = eqx.filter_jit(jax.grad(lambda x: (layer(x, jnp.asarray(positions), jnp.asarray(spans)) * weights).sum()))(
        x
    )

    def value(step):
        return (masked_loops(layer, np.asarray(x, np.float64) + step * direction, positions, mask) * weights).sum()

    np.testing.assert_allclose((slope * direction).sum(), (value(1e-5) - value(-1e-5)) / 2e-5, rtol=1e-3)
