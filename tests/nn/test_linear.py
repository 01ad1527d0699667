"""The linear map, for one token and for many."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.nn import Linear
from tests.weights import normal, random_weights


@pytest.mark.parametrize("tokens", [1, 2, 5])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_numpy(tokens, bias):
    linear, x = random_weights(partial(Linear, 7, 4, bias=bias)), normal(tokens, 7)
    expected = np.asarray(x, np.float64) @ np.asarray(linear.weight, np.float64).T
    if linear.bias is not None:
        expected += np.asarray(linear.bias, np.float64)
    np.testing.assert_allclose(linear(x), expected, rtol=1e-5, atol=1e-5)


def test_batch_of_single_tokens_equals_each_alone():
    linear, x = random_weights(partial(Linear, 7, 4)), normal(3, 1, 7)
    np.testing.assert_allclose(jax.vmap(linear)(x), jnp.stack([linear(row) for row in x]), rtol=1e-6, atol=1e-6)


def test_initial_spread(getkey):
    weight = Linear(400, 500, scale=0.5, key=getkey()).weight
    np.testing.assert_allclose(jnp.std(weight), 0.5 * 400**-0.5, rtol=0.02)
