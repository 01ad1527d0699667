"""Convolutions against XLA's own, and the autoencoder's contract."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.generative import AutoEncoder, DenseAutoEncoder
from culet.generative.autoencoder import Doubling, Halving

AXES = ("NHWC", "HWIO", "NHWC")


def kernel(weight, channels_in_patch):
    """[4, 4, patch channels, other]: block row, block column, row, column to row, column."""
    blocks = weight.reshape(2, 2, 2, 2, channels_in_patch, -1)
    return blocks.transpose(0, 2, 1, 3, 4, 5).reshape(4, 4, channels_in_patch, -1)


def test_halving_is_a_strided_convolution(getkey):
    layer = Halving(3, 5, key=getkey())
    image = jax.random.normal(getkey(), (6, 8, 3))
    padding = ((1, 1), (1, 1))
    wanted = jax.lax.conv_general_dilated(image[None], kernel(layer.weight, 3), (2, 2), padding, dimension_numbers=AXES)
    np.testing.assert_allclose(layer(image), wanted[0], atol=1e-5)


def test_doubling_is_its_transpose(getkey):
    """The transpose by way of automatic differentiation: the gradient of a convolution with the same numbers."""
    layer = Doubling(3, 5, key=getkey())
    small = jax.random.normal(getkey(), (3, 4, 3))

    def forward(image):
        weight = kernel(layer.weight.T, 5)
        return jax.lax.conv_general_dilated(image[None], weight, (2, 2), ((1, 1), (1, 1)), dimension_numbers=AXES)[0]

    _, back = jax.vjp(forward, jnp.zeros((6, 8, 5)))
    np.testing.assert_allclose(layer(small), back(small)[0], atol=1e-5)


@pytest.mark.parametrize(("kind", "sizes"), [(AutoEncoder, {"width": 4}), (DenseAutoEncoder, {})])
def test_shapes_and_positions(kind, sizes, getkey):
    model = eqx.filter_jit(kind)((16, 24, 3), 4, hidden=8, **sizes, key=getkey())
    image = jax.random.uniform(getkey(), (16, 24, 3))
    code = eqx.filter_jit(kind.encode)(model, image)
    assert code.batch_shape == (4,) and jax.eval_shape(model.decode, code.mean()).batch_shape == image.shape
    slope = jax.jit(jax.grad(lambda z: model.decode(z).logits[3, 5, 1]))(code.mean())
    assert (np.abs(slope) > 0).all()


@pytest.mark.parametrize("shape", [(20, 16, 1), (8, 16, 1), (16, 17, 3)])
def test_images_it_cannot_take(shape, getkey):
    with pytest.raises(ValueError, match="multiples of 8"):
        AutoEncoder(shape, 4, key=getkey())
