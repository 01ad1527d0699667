"""The gated MLP against the formula in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from culet.nn import GatedMLP
from tests.weights import normal, random_weights


def test_equals_the_formula():
    mlp, x = random_weights(partial(GatedMLP, 6, 10, bias=True, out_scale=1.0)), normal(4, 6)
    wide = [(np.asarray(part.weight, np.float64), np.asarray(part.bias, np.float64)) for part in (mlp.gate, mlp.up)]
    gate, up = (np.asarray(x, np.float64) @ weight.T + bias for weight, bias in wide)
    gelu = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
    assert mlp.down.bias is not None
    expected = (gelu * up) @ np.asarray(mlp.down.weight, np.float64).T + np.asarray(mlp.down.bias, np.float64)
    np.testing.assert_allclose(mlp(x), expected, rtol=1e-5, atol=1e-5)


def test_stays_in_bfloat16():
    mlp = random_weights(partial(GatedMLP, 6, 10, bias=True, out_scale=1.0))
    mlp = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), mlp)
    assert mlp(jnp.ones((2, 6), jnp.bfloat16)).dtype == jnp.bfloat16
