"""Rotary embedding against complex multiplication in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from culet.nn import Rope


@pytest.mark.parametrize("dim", [16, 8, 0])
def test_equals_complex_rotation(dim):
    random = np.random.default_rng(dim)
    x, positions = random.normal(size=(6, 2, 16)), np.array([0, 1, 2, 50, 700, 5000])
    out = Rope(dim=dim, base=300.0, scale=8.0)(jnp.asarray(x, jnp.float32), jnp.asarray(positions))
    half = dim // 2
    expected = x.copy()
    for i in range(half):
        pair = x[..., i] + 1j * x[..., i + half]
        turned = pair * np.exp(1j * positions / 8.0 * 300.0 ** (-2.0 * i / dim))[:, None]
        expected[..., i], expected[..., i + half] = turned.real, turned.imag
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=2e-4)  # float32 angles of up to 625 radians
    np.testing.assert_array_equal(out[..., dim:], np.asarray(x, np.float32)[..., dim:])


def test_products_depend_on_distance_only():
    random = np.random.default_rng(3)
    query, key = (jnp.asarray(random.normal(size=(1, 1, 16)), jnp.float32) for _ in range(2))
    rope = Rope(dim=16, base=100.0)

    def product(at_query: int, at_key: int):
        return jnp.sum(rope(query, jnp.array([at_query])) * rope(key, jnp.array([at_key])))

    np.testing.assert_allclose(product(9, 4), product(105, 100), rtol=1e-4)
    assert abs(product(9, 4) - product(9, 5)) > 1e-2


def test_keeps_the_dtype():
    x = jnp.ones((3, 1, 4), jnp.bfloat16)
    assert Rope(dim=4, base=100.0)(x, jnp.arange(3)).dtype == jnp.bfloat16
