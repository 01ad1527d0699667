"""Residual networks at the edge of what can be inverted: a g that stretches by almost all of its 0.9."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions.residual import Residual


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_inverse_and_its_gradients_are_exact_where_the_fixed_point_is_slow(sign):
    residual = Residual(3, width=3, depth=1, key=jax.random.key(0))
    steep = (5 * jnp.eye(3), sign * 5 * jnp.eye(3))  # divided by their singular values
    middle = (jnp.full(3, 2.4), jnp.zeros(3))  # where LipSwish is steepest
    residual = eqx.tree_at(lambda part: (part.network.weights, part.network.biases), residual, (steep, middle))
    x = jnp.array([-0.4, 0.1, 0.7])

    @eqx.filter_jit
    def run(residual, x):
        y, log_det = residual.forward_and_log_det(x)
        back, inverse_log_det = residual.inverse_and_log_det(y)
        by_y = jax.jacrev(residual.inverse)(y)

        def inverse(bias):
            moved = eqx.tree_at(lambda part: part.network.biases[-1], residual, bias)
            return moved.inverse(y)

        return back, log_det, inverse_log_det, jax.jacfwd(residual.forward)(x), by_y, jax.jacrev(inverse)(jnp.zeros(3))

    back, log_det, inverse_log_det, jacobian, by_y, by_bias = run(residual, x)
    slope = np.diagonal(np.asarray(jacobian)) - 1
    assert (sign * slope > 0.85).all() and (sign * slope < 0.9).all()
    np.testing.assert_allclose(back, x, atol=2e-5)
    np.testing.assert_allclose(log_det, np.sum(np.log1p(slope)), rtol=1e-4)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-3)
    np.testing.assert_allclose(by_y, np.linalg.inv(jacobian), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(by_bias, -by_y, rtol=1e-4, atol=1e-5)  # a bias moves y
