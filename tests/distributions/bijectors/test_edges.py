"""The ends of the image: rounding to them, values beyond them; and arguments that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions.bijectors.bijector import Blocks, Chain, Invert, Reshape
from culet.distributions.bijectors.elementwise import Affine, Exp, Power
from culet.distributions.bijectors.linear import LULinear, TriangularAffine
from culet.distributions.bijectors.matrices import CholeskyFactor, CorrelationFactor, FillTriangular, GramMatrix
from culet.distributions.bijectors.squashing import GumbelCDF, NormalCDF, Sigmoid, Softplus, Softsign, Tanh
from culet.distributions.bijectors.vectors import CentredSoftmax, Ordered, Permute, StickBreaking
from culet.distributions.flows.layers import AffineMap, Coupling


def test_tanh_far_out_keeps_its_log_det():
    x = np.array([-60.0, -20.0, -9.0, 0.0, 9.0, 20.0, 60.0], np.float32)
    log_det = Tanh().forward_and_log_det(jnp.asarray(x))[1]
    wide = np.abs(x.astype(np.float64))
    expected = 2 * (np.log(2) - wide - np.log1p(np.exp(-2 * wide)))
    np.testing.assert_allclose(log_det, expected, rtol=1e-6)
    slope = jax.grad(lambda x: jnp.sum(Tanh().forward_and_log_det(x)[1]))(jnp.asarray(x))
    np.testing.assert_allclose(slope, -2 * np.tanh(x), rtol=1e-6)


@pytest.mark.parametrize("bijector, ends", [
    (Tanh(), (-1.0, 1.0)), (Softsign(), (-1.0, 1.0)), (Sigmoid(), (0.0, 1.0)), (NormalCDF(), (0.0, 1.0)),
    (Exp(), (0.0,)), (Softplus(), (0.0,)),
])  # fmt: skip
def test_an_end_of_the_image_is_finite_and_beyond_it_is_minus_infinity(bijector, ends):
    ends = jnp.array(ends)
    outwards = jnp.where(ends > 0, 0.5, -0.5)

    def score(y):
        x, log_det = bijector.inverse_and_log_det(y)
        return jnp.sum(x) + jnp.sum(jnp.where(jnp.isfinite(log_det), log_det, 0.0)), (x, log_det)

    gradient, (x, log_det) = jax.jit(jax.grad(score, has_aux=True))(jnp.stack([ends, ends + outwards]))
    assert np.isfinite(x).all()
    assert np.isfinite(log_det[0]).all()
    assert (log_det[1] == -np.inf).all()
    assert np.isfinite(gradient).all()


FACTOR = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)


@pytest.mark.parametrize("bijector, inside, outside", [
    (StickBreaking(), [0.2, 0.5, 0.3], [0.2, 0.5, 0.4]),
    (StickBreaking(), [0.0, 0.5, 0.5], [-0.1, 0.6, 0.5]),
    (CentredSoftmax(), [0.2, 0.5, 0.3], [0.2, 0.5, 0.4]),
    (Ordered(), [-1.0, 0.5, 0.6], [0.5, -1.0, 0.6]),
    (FillTriangular(), FACTOR, FACTOR.T),
    (CholeskyFactor(), FACTOR, -FACTOR),
    (CorrelationFactor(), FACTOR, 2 * FACTOR),
    (GramMatrix(), FACTOR @ FACTOR.T, [[1.0, 2.0], [2.0, 1.0]]),
    (GramMatrix(), FACTOR @ FACTOR.T, [[1.0, 0.6], [0.1, 1.0]]),
    (Chain([Power(2.0), Affine(1.0, 3.0)]), [1.5, 2.0], [0.5, 0.9]),
    (Invert(Chain([Invert(Exp())])), [0.5], [-0.5]),
])  # fmt: skip
def test_only_values_of_the_map_have_a_finite_log_det(bijector, inside, outside):
    inside, outside = jnp.asarray(inside), jnp.asarray(outside)

    @jax.jit
    def run(both):
        return jax.grad(lambda y: jnp.sum(bijector.inverse(y)))(both), bijector.inverse_and_log_det(both)[1]

    gradient, log_det = run(jnp.stack([inside, outside]))
    assert np.isfinite(log_det[0]).all()
    assert (log_det[1] == -np.inf).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("make, words", [
    (lambda: Permute((0, 2)), "each of 0, ..., 1 once"),
    (lambda: TriangularAffine(np.zeros(2), np.eye(3)), "loc must be"),
    (lambda: LULinear(np.zeros((2, 3))), "must be square"),
    (lambda: Blocks([Exp()], (1, 2)), "1 bijectors but 2 sizes"),
    (lambda: Blocks([GramMatrix()], (4,)), "numbers or of vectors"),
    (lambda: Blocks([Exp()], (4,)).forward(jnp.zeros(3)), "sum to 4, but the vector has 3"),
    (lambda: Reshape((2, 3), (5,)), "differ in their number"),
    (lambda: Reshape((2, 3), (6,)).forward(jnp.zeros(6)), r"last axes must be \[2, 3\]"),
    (lambda: FillTriangular().forward(jnp.zeros(5)), "do not fill a triangular matrix"),
    (lambda: Coupling(3, 3, AffineMap(), width=4, depth=1, key=jax.random.key(0)), "kept is 3"),
])  # fmt: skip
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_equal_parts_come_from_zeros():
    np.testing.assert_allclose(StickBreaking().forward(jnp.zeros(4)), np.full(5, 0.2), rtol=1e-6)


def test_small_parts_keep_their_accuracy():
    """1 - (sum of the parts before) would lose every digit here."""
    parts = np.array([1 - 3e-12, 1e-12, 2e-12])
    x = StickBreaking().inverse(jnp.asarray(parts, jnp.float32))
    np.testing.assert_allclose(x[1], np.log(0.5), rtol=1e-5)


def test_the_slope_of_a_number_far_out_is_not_nan():
    """exp(100) is infinite in float32."""
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.grad(GumbelCDF().forward)))(jnp.array([-1e3, -100.0])), [0, 0])
