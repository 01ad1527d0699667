"""The linear map for one token and for many, and its product under every transformation, against numpy and JAX."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.nn import Linear, project
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


WEIGHT, ROWS = normal(7, 5), normal(3, 4, 5)


def plain(weight, x):
    return x @ weight.T


def value(product, weight, x):
    return jnp.sum(jnp.sin(product(jnp.asarray(weight), jnp.asarray(x))))


@pytest.mark.parametrize("axes", [(None, 0), (0, None), (0, 0), (2, 1)])
def test_batches_of_either_argument_equal_numpy(axes):
    weights = WEIGHT if axes[0] is None else jnp.stack([WEIGHT, 2 * WEIGHT, 3 * WEIGHT], axes[0])
    rows = ROWS[0] if axes[1] is None else jnp.moveaxis(ROWS, 0, axes[1])
    result = jax.vmap(project, axes)(weights, rows)
    for row in range(3):
        w = np.asarray(weights if axes[0] is None else jnp.take(weights, row, axes[0]), np.float64)
        x = np.asarray(rows if axes[1] is None else jnp.take(rows, row, axes[1]), np.float64)
        np.testing.assert_allclose(result[row], x @ w.T, rtol=1e-5, atol=1e-5)


def test_two_batches_one_in_the_other():
    result = jax.vmap(jax.vmap(project, (None, 0)), (None, 0))(WEIGHT, jnp.stack([ROWS, -ROWS]))
    np.testing.assert_allclose(result, jnp.stack([ROWS, -ROWS]) @ WEIGHT.T, rtol=1e-5, atol=1e-5)


def test_first_and_second_derivatives_agree_with_finite_differences():
    check_grads(partial(value, project), (WEIGHT, ROWS[0]), order=2, modes=("fwd", "rev"), rtol=2e-2, atol=2e-2)


def test_gradients_of_a_batch_and_gradients_row_by_row():
    def batch(product):
        return jax.grad(lambda w, x: value(jax.vmap(product, (None, 0)), w, x), (0, 1))(WEIGHT, ROWS)

    def each(product):
        return jax.vmap(jax.grad(partial(value, product), (0, 1)), (None, 0))(WEIGHT, ROWS)

    for gradients in (batch, each):
        for result, expected in zip(gradients(project), gradients(plain), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_batch_copies_nothing_transposed():
    def loss(weight, x):
        return value(jax.vmap(project, (None, 0)), weight, x)

    compiled = jax.jit(jax.grad(loss)).lower(normal(256, 64), normal(4, 128, 64)).compile().as_text()
    assert compiled and " copy(" not in compiled


def test_a_wider_result_and_gradients_in_the_dtypes_of_the_arguments():
    weight, x = WEIGHT.astype(jnp.bfloat16), ROWS[0].astype(jnp.bfloat16)
    assert project(weight, x).dtype == jnp.bfloat16
    assert project(weight, x, jnp.float32).dtype == jnp.float32
    slopes = jax.grad(lambda weight, x: project(weight, x, jnp.float32).sum(), (0, 1))(weight, x)
    assert [slope.dtype for slope in slopes] == [jnp.bfloat16, jnp.bfloat16]
