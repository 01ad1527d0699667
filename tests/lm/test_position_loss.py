"""Loss by position and beyond the training length, against float64 and rows made one by one."""

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.special

from culet.lm import loss_beyond, loss_by_position, scaled, stream_rows, token_losses

TOKENS = np.random.default_rng(0).integers(0, 40, 8 * 8 * 3 + 5).astype(np.int32)


@pytest.fixture(scope="module")
def model():
    config = scaled("gemma-2b", layers=1, width=16, heads=2, kv_heads=1, vocabulary=40, context=64)
    return config.init(jax.random.key(0))


def test_stream_rows_predict_the_next_token():
    rows = stream_rows(TOKENS, 8)
    assert rows["inputs"].shape == (24, 8)
    np.testing.assert_array_equal(rows["inputs"].ravel(), TOKENS[:192])
    np.testing.assert_array_equal(rows["targets"].ravel(), TOKENS[1:193])
    np.testing.assert_array_equal(rows["positions"], np.tile(np.arange(8), (24, 1)))


@pytest.mark.parametrize("length", [0, len(TOKENS)])
def test_rows_that_a_text_cannot_fill(length):
    with pytest.raises(ValueError, match=f"rows of {length}"):
        stream_rows(TOKENS, length)


def test_loss_beyond_compares_the_same_tokens(model):
    """Inside: the second half of each row of 8 alone. Beyond: the same tokens within rows of 64, from the 32nd on."""
    inside, beyond, logits = [], [], eqx.filter_jit(model)
    for start in range(0, 192, 64):
        row, following = TOKENS[start : start + 64], TOKENS[start + 1 : start + 65]
        far = scipy.special.log_softmax(np.asarray(logits(jax.numpy.array(row)), np.float64), axis=1)
        for piece in range(32, 64, 8):
            near = scipy.special.log_softmax(
                np.asarray(logits(jax.numpy.array(row[piece : piece + 8])), np.float64), axis=1
            )
            for place in range(4, 8):
                inside.append(-near[place, following[piece + place]])
                beyond.append(-far[piece + place, following[piece + place]])
    measured = loss_beyond(model, TOKENS, 8)
    np.testing.assert_allclose([measured.inside, measured.beyond], np.array([np.mean(inside), np.mean(beyond)]), 1e-5)
    assert abs(np.mean(inside) - np.mean(beyond)) > 1e-3  # else the comparison could not fail


def test_loss_by_position_is_the_mean_over_rows_and_bins(model):
    losses = token_losses(model, stream_rows(TOKENS, 64))
    curve = loss_by_position(losses, bins=16)
    np.testing.assert_allclose(curve.loss[3], losses[:, 12:16].mean(), rtol=1e-6)
    np.testing.assert_allclose(curve.positions[[0, 15]], [2.0, 62.0])
    with pytest.raises(ValueError, match="64 tokens cannot be cut into 5 bins"):
        loss_by_position(losses, bins=5)
