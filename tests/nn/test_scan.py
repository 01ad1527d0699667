"""The recurrence, token by token and in chunks, against a plain loop in float64, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.nn import linear_scan as eager_linear_scan
from culet.nn import scan

linear_scan = jax.jit(eager_linear_scan)
LENGTHS = [1, 2, 16, 31, 100]  # squares, primes, and lengths that leave the last chunk half empty


def plain_loop(a, x, start):
    states, state = np.zeros(x.shape), np.asarray(start, np.float64)
    for t in range(len(x)):
        state = np.asarray(a[t], np.float64) * state + np.asarray(x[t], np.float64)
        states[t] = state
    return states


def draw(tokens: int, channels: int = 3, resets: bool = True):
    random = np.random.default_rng(tokens)
    a = random.uniform(0.5, 1.0, (tokens, channels))
    if resets:
        a[random.uniform(size=a.shape) < 0.1] = 0.0
    return a, random.normal(size=(tokens, channels)), random.normal(size=channels)


@pytest.mark.parametrize("tokens", LENGTHS)
def test_equals_the_plain_loop(tokens):
    a, x, start = draw(tokens)
    expected = plain_loop(a, x, start)
    single = linear_scan(*(jnp.asarray(part, jnp.float32) for part in (a, x, start)))
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-5)
    with jax.enable_x64(True):
        double = linear_scan(*(jnp.asarray(part) for part in (a, x, start)))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(double, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize("way", [scan._sequential, scan._chunked])
def test_both_ways_are_the_same(way, tokens):
    """Whichever of them this machine takes by itself."""
    a, x, start = draw(tokens)
    states = jax.jit(way)(*(jnp.asarray(part, jnp.float32) for part in (a, x, start)))
    np.testing.assert_allclose(states, plain_loop(a, x, start), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 2, 31])
def test_gradient_equals_finite_differences(tokens):
    a, x, start = draw(tokens)
    probe = np.random.default_rng(0).normal(size=x.shape)

    def loss(parts):
        return jnp.sum(eager_linear_scan(*parts) * probe)

    with jax.enable_x64(True):
        parts = tuple(jnp.asarray(part) for part in (a, x, start))
        gradients = jax.jit(jax.grad(loss))(parts)
        for which, gradient in enumerate(gradients):
            direction = np.random.default_rng(which).normal(size=gradient.shape)
            moved = [[np.array(part) for part in parts] for _ in range(2)]
            for sign, one in zip((1e-4, -1e-4), moved, strict=True):
                one[which] = one[which] + sign * direction
            # the loss is linear in x and start; in a the central difference is off by third derivatives only
            slope = sum(np.sum(plain_loop(*one) * probe) * s for one, s in zip(moved, (1, -1), strict=True)) / 2e-4
            np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6, atol=1e-7)


def test_gradient_equals_autodiff_of_the_plain_loop():
    a, x, start = draw(13)
    probe = np.random.default_rng(0).normal(size=x.shape)

    def loop(parts):
        a, x, state = parts
        total = 0.0
        for t in range(x.shape[0]):
            state = a[t] * state + x[t]
            total = total + jnp.sum(state * probe[t])
        return total

    with jax.enable_x64(True):
        parts = tuple(jnp.asarray(part) for part in (a, x, start))
        ours = jax.jit(jax.grad(lambda parts: jnp.sum(eager_linear_scan(*parts) * probe)))(parts)
        theirs = jax.jit(jax.grad(loop))(parts)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_zero_decay_forgets_everything():
    a, x, start = (jnp.asarray(part, jnp.float32) for part in draw(40, resets=False))
    a = a.at[17].set(0.0)
    huge = x.at[:17].set(1e30)
    np.testing.assert_array_equal(linear_scan(a, huge, start)[17:], linear_scan(a, x, start)[17:])
    np.testing.assert_array_equal(linear_scan(a, x, start)[17], x[17])


def test_state_carries_across_pieces():
    a, x, start = (jnp.asarray(part, jnp.float32) for part in draw(50))
    whole = linear_scan(a, x, start)
    state, pieces = start, []
    for begin, end in ((0, 7), (7, 8), (8, 33), (33, 50)):
        pieces.append(linear_scan(a[begin:end], x[begin:end], state))
        state = pieces[-1][-1]
    np.testing.assert_allclose(jnp.concatenate(pieces), whole, rtol=1e-5, atol=1e-5)


def test_vmap_equals_one_by_one():
    batch = [[jnp.asarray(part, jnp.float32) for part in draw(20)] for _ in range(2)]
    batch[1] = [part[::-1] for part in batch[1]]
    together = jax.jit(jax.vmap(eager_linear_scan))(*(jnp.stack(parts) for parts in zip(*batch, strict=True)))
    for row, parts in zip(together, batch, strict=True):
        np.testing.assert_allclose(row, linear_scan(*parts), rtol=1e-6, atol=1e-6)
