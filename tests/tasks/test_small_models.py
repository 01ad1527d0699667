"""What the experiments on language models measure, against float64 and rows made one by one."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
import scipy.special

from culet.lm import scaled
from culet.tasks import small_models
from culet.tasks.small_models import Course, beyond_training, curve, learn, seconds_per_token, stream_rows, token_losses

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


def test_beyond_training_compares_the_same_tokens(model):
    """Inside: the second half of each row of 8 alone. Beyond: the same tokens within rows of 64, from the 32nd on."""
    inside, beyond = [], []
    for start in range(0, 192, 64):
        row, following = TOKENS[start : start + 64], TOKENS[start + 1 : start + 65]
        far = scipy.special.log_softmax(np.asarray(model(jax.numpy.array(row)), np.float64), axis=1)
        for piece in range(32, 64, 8):
            near = scipy.special.log_softmax(
                np.asarray(model(jax.numpy.array(row[piece : piece + 8])), np.float64), axis=1
            )
            for place in range(4, 8):
                inside.append(-near[place, following[piece + place]])
                beyond.append(-far[piece + place, following[piece + place]])
    found = beyond_training(model, TOKENS, 8)
    np.testing.assert_allclose(
        [found["inside_loss"], found["beyond_loss"]], np.array([np.mean(inside), np.mean(beyond)]), 1e-5
    )
    assert abs(np.mean(inside) - np.mean(beyond)) > 1e-3  # else the comparison could not fail


def test_curve_is_the_mean_over_rows_and_bins(model):
    losses = token_losses(model, stream_rows(TOKENS, 64))
    found = curve(losses, bins=16)
    np.testing.assert_allclose(found["loss_by_place"][3], losses[:, 12:16].mean(), rtol=1e-6)
    np.testing.assert_allclose(found["places"][[0, 15]], [2.0, 62.0])


def test_learning_lowers_the_loss_and_depends_on_the_seed_alone(model):
    rows, course = stream_rows(TOKENS, 8), Course(steps=12, batch_size=8, length=8, rate=1e-2)
    first, again, other = (token_losses(learn(model, rows, course, seed), rows).mean() for seed in (0, 0, 1))
    assert first == again != other
    assert first < token_losses(model, rows).mean() - 0.2
    assert course.tokens == 768


def test_seconds_are_of_the_best_turn(model, monkeypatch):
    ticks = iter([0, 0, 0, 6.4, 0, 64, 0, 3.2, 0, 64])
    monkeypatch.setattr(small_models, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    np.testing.assert_allclose(seconds_per_token(model, (8, 16), repeats=2), [0.05, 1.0])
