"""The gated recurrence and its block against loops in float64; resets, state, dtypes, gradients."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.nn import GatedRecurrence, RecurrentBlock
from culet.nn.recurrent import STEEPEST_ROOT, bounded_sqrt
from tests.weights import normal, random_weights

WIDTH, CHANNELS, BLOCKS, TAPS = 5, 6, 3, 4
PACKED = jnp.concatenate([jnp.arange(7), jnp.full(2, -1), jnp.arange(11), jnp.arange(1), jnp.arange(4)])


def recurrence(seed: int = 0) -> GatedRecurrence:
    return random_weights(partial(GatedRecurrence, CHANNELS, BLOCKS), vectors=0.8, seed=seed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_recurrence(lru: GatedRecurrence, x, positions, state) -> tuple[np.ndarray, np.ndarray]:
    """One token, one block at a time, as equations 1 to 4 of 2402.19427 say."""
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), lru)
    blocks, size = wide.input_gate_bias.shape
    x, state, out = np.asarray(x, np.float64), np.asarray(state, np.float64).copy(), []
    for t in range(len(x)):
        state = np.zeros_like(state) if positions[t] <= 0 else state
        for block in range(blocks):
            part = slice(block * size, (block + 1) * size)
            recurrence_gate = sigmoid(x[t, part] @ wide.a_gate_weight[block] + wide.a_gate_bias[block])
            input_gate = sigmoid(x[t, part] @ wide.input_gate_weight[block] + wide.input_gate_bias[block])
            a = sigmoid(-wide.a[part]) ** (8 * recurrence_gate)  # ours stores minus the paper's Lambda
            root = np.sqrt(1 - a**2) if positions[t] > 0 else 1.0
            state[part] = a * state[part] + root * input_gate * x[t, part]
        out.append(state.copy())
    return np.stack(out), state


def test_recurrence_equals_loops():
    lru = recurrence()
    x, start = normal(len(PACKED), CHANNELS), normal(CHANNELS, seed=1)
    for positions in (PACKED, jnp.arange(len(PACKED)) + 3):
        out, last = eqx.filter_jit(lru)(x, positions, start)
        expected, state = plain_recurrence(lru, x, np.asarray(positions), start)
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(last, state, rtol=1e-4, atol=1e-5)


def test_initial_decays_lie_on_the_ring(getkey):
    a = GatedRecurrence(3000, 1, key=getkey()).a
    decay = np.exp(-8 * np.log1p(np.exp(np.asarray(a, np.float64))))  # with the gate fully open
    ring = decay ** (1 / 8)
    assert 0.9 <= ring.min() < 0.91 and 0.99 < ring.max() <= 0.999
    np.testing.assert_allclose(np.mean(ring**2), (0.9**2 + 0.999**2) / 2, atol=0.01)  # uniform over the area


def test_state_is_float32_even_for_bfloat16_inputs():
    lru = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), recurrence())
    x = normal(200, CHANNELS).astype(jnp.bfloat16)
    out, last = eqx.filter_jit(lru)(x, jnp.arange(200), jnp.zeros(CHANNELS))
    assert (out.dtype, last.dtype) == (jnp.bfloat16, jnp.float32)
    expected, state = plain_recurrence(lru, x, np.arange(200), np.zeros(CHANNELS))
    np.testing.assert_allclose(last, state, rtol=1e-4, atol=1e-5)  # a bfloat16 state would be off by 1e-2
    np.testing.assert_allclose(np.asarray(out, np.float64), expected, rtol=2**-8 + 1e-4, atol=1e-5)


def test_gradient_of_the_root_is_bounded():
    values = jnp.array([1.0, 0.25, 1e-3, 1e-12, 0.0])
    np.testing.assert_allclose(bounded_sqrt(values), np.sqrt(np.asarray(values, np.float64)), rtol=1e-6)
    slopes = jax.vmap(jax.grad(bounded_sqrt))(values)
    np.testing.assert_allclose(slopes, [0.5, 1.0, 0.5 / np.sqrt(1e-3), STEEPEST_ROOT, STEEPEST_ROOT], rtol=1e-5)


def test_gradient_is_finite_where_the_decay_is_one():
    lru = eqx.tree_at(lambda lru: lru.a, recurrence(), jnp.full(CHANNELS, -100.0))
    x, positions, start = normal(5, CHANNELS), jnp.arange(5), jnp.zeros(CHANNELS)
    gradient = eqx.filter_jit(jax.grad(lambda lru: lru(x, positions, start)[0].sum()))(lru)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(gradient))


def plain_block(block: RecurrentBlock, x, positions) -> np.ndarray:
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), block)
    x, positions = np.asarray(x, np.float64), np.asarray(positions)
    inputs, gate = (x @ part.weight.T + part.bias for part in (wide.linear_x, wide.linear_y))
    convolved = np.zeros(inputs.shape)
    for t in range(len(x)):
        convolved[t] = wide.conv_bias
        for back in range(TAPS):
            if back == 0 or positions[t] >= back:
                convolved[t] += wide.conv_weight[:, TAPS - 1 - back] * inputs[t - back]
    mixed, _ = plain_recurrence(block.lru, convolved, positions, np.zeros(CHANNELS))
    gelu = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
    return (gelu * mixed) @ wide.linear_out.weight.T + wide.linear_out.bias


def build() -> RecurrentBlock:
    return random_weights(partial(RecurrentBlock, WIDTH, CHANNELS, BLOCKS, TAPS, bias=True, out_scale=1.0))


def test_block_equals_loops():
    block = build()
    x = normal(len(PACKED), WIDTH)
    real = np.asarray(PACKED) >= 0
    out = eqx.filter_jit(block)(x, PACKED)
    np.testing.assert_allclose(out[real], plain_block(block, x, PACKED)[real], rtol=1e-4, atol=1e-5)


def test_convolution_stops_at_the_start_of_a_document():
    block = build()
    x = normal(12, WIDTH)
    positions = jnp.concatenate([jnp.arange(6), jnp.arange(6)])
    reach = jax.jit(jax.jacobian(lambda x: block(x, positions)[6:].sum(axis=1)))(x)
    assert not np.any(reach[:, :6])
    assert np.all(np.abs(reach[3, 6:10]).sum(axis=-1) > 0)


extend = eqx.filter_jit(lambda block, *arguments: block.extend(*arguments))


@pytest.mark.parametrize("padding", [0, 2, 6])
@pytest.mark.parametrize("piece", [1, 2, 5])
def test_pieces_equal_the_whole(piece, padding):
    block = build()
    tokens = 20 - padding
    x = normal(20, WIDTH)
    cache, out = block.init_cache(x.dtype), []
    for at in range(0, 20, piece):
        y, cache = extend(block, x[at : at + piece], jnp.arange(at, at + piece) - padding, cache, jnp.asarray(at))
        out.append(y)
    expected = plain_block(block, x[padding:], np.arange(tokens))
    np.testing.assert_allclose(jnp.concatenate(out)[padding:], expected, rtol=1e-4, atol=1e-5)
    assert cache.hidden.dtype == jnp.float32


@pytest.mark.parametrize(("tokens", "blocks", "size"), [(24, 5, 6), (2, 2, 128)])
def test_bfloat16_runs_forward_and_backward_at_sizes_that_use_other_kernels(tokens, blocks, size):
    wide = random_weights(partial(GatedRecurrence, blocks * size, blocks))
    lru = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), wide)
    x = normal(tokens, blocks * size)

    @eqx.filter_jit
    def run(lru, x):
        return jax.value_and_grad(
            lambda lru: lru(x, jnp.arange(tokens), jnp.zeros(blocks * size))[0].astype(jnp.float32).mean()
        )(lru)

    (mean, gradient), (expected, _) = run(lru, x.astype(jnp.bfloat16)), run(wide, x)
    np.testing.assert_allclose(mean, expected, atol=0.01)
    assert all(np.isfinite(np.asarray(leaf, np.float32)).all() for leaf in jax.tree.leaves(gradient))
