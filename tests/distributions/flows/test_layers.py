"""Masked networks by the structure of their Jacobian, their flow against a float64 loop; residual networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions.flows.layers import AffineMap, MaskedAutoregressive, MaskedNetwork, Residual
from tests.distributions.bijectors.cases import trained


@pytest.mark.parametrize("dimensions, width, depth", [(5, 16, 2), (3, 2, 1), (1, 4, 1), (6, 20, 0)])
def test_an_output_depends_on_all_inputs_before_it_and_on_no_other(dimensions, width, depth):
    network = trained(MaskedNetwork(dimensions, 2, width, depth, key=jax.random.key(1)))
    x = jnp.linspace(-1.0, 1.0, dimensions)
    wide = jax.tree.map(
        lambda leaf: jnp.abs(leaf) + 0.1 if leaf.dtype == jnp.float32 else leaf, network
    )  # no dead relu
    jacobian = np.abs(jax.jit(jax.jacfwd(wide))(jnp.abs(x) + 1)).sum(1)
    np.testing.assert_array_equal(jacobian != 0, np.tri(dimensions, k=-1, dtype=bool))


def test_the_forward_map_is_the_loop_over_numbers():
    flow = trained(MaskedAutoregressive(4, AffineMap(), width=8, depth=1, key=jax.random.key(0)))
    x = np.array([0.3, -1.2, 0.8, 0.1])
    layers = [
        [np.asarray(part, np.float64) for part in (layer.weight, layer.bias, layer.mask)]
        for layer in flow.network.layers
    ]
    y = np.zeros(4)
    for d in range(4):
        values = y
        for i, (weight, bias, mask) in enumerate(layers):
            values = (weight * mask) @ (np.maximum(values, 0) if i else values) + bias
        loc, raw = values.reshape(4, 2)[d]
        y[d] = loc + np.log1p(np.exp(raw + np.log(np.e - 1))) * x[d]
    np.testing.assert_allclose(flow.forward(jnp.asarray(x, jnp.float32)), y, rtol=1e-5)


def test_a_layer_too_narrow_for_all_dependences_is_refused():
    """With 4 units no number could depend on the fifth and those behind it."""
    with pytest.raises(ValueError, match="9 units or more, not 4"):
        MaskedNetwork(10, 1, 4, 1, key=jax.random.key(0))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_inverse_and_its_gradients_are_exact_where_the_fixed_point_is_slow(sign):
    """A network that stretches by almost all of its 0.9."""
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
