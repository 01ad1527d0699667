"""Masked networks by the structure of their Jacobian, and the flow against a float64 loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions.autoregressive import AffineMap, MaskedAutoregressive, MaskedNetwork
from tests.distributions.bijector_cases import trained


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
