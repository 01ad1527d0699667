"""RMSNorm against the formula in float64."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from culet.nn import RMSNorm


def test_equals_the_formula_in_float64():
    random = np.random.default_rng(0)
    x, scale = random.normal(size=(5, 3, 48)) * 0.1, random.normal(size=48)
    norm = eqx.tree_at(lambda norm: norm.scale, RMSNorm(48, epsilon=0.01), jnp.asarray(scale, jnp.float32))
    expected = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 0.01) * (1 + scale)
    np.testing.assert_allclose(norm(jnp.asarray(x, jnp.float32)), expected, rtol=1e-5, atol=1e-6)


def test_bfloat16_is_rounded_only_at_the_end():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 64)) * 1e3, jnp.bfloat16)
    scale = jnp.asarray(np.random.default_rng(2).normal(size=64), jnp.bfloat16)
    norm = eqx.tree_at(lambda norm: norm.scale, RMSNorm(64, epsilon=1e-6), scale)
    wide, wide_scale = np.asarray(x, np.float64), np.asarray(scale, np.float64)
    expected = wide / np.sqrt(np.mean(wide**2, axis=-1, keepdims=True) + 1e-6) * (1 + wide_scale)
    out = norm(x)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(out, np.float64), expected, rtol=2**-8 + 1e-5)  # half a step of bfloat16


def test_zeros_stay_zeros():
    np.testing.assert_array_equal(RMSNorm(8, epsilon=1e-6)(jnp.zeros((2, 8))), np.zeros((2, 8)))
