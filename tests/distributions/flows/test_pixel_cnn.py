"""PixelCNN: what a pixel sees, a sum of 1 over all images, and samples against the probabilities."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from culet.distributions.flows.pixel_cnn import CategoricalPixels, LogisticPixels, PixelCNN
from tests.distributions.bijectors.cases import trained

PIXELS = {"categorical": CategoricalPixels, "logistic": LogisticPixels}


def small(kind: str, shape: tuple[int, int], levels: int) -> PixelCNN:
    return trained(PixelCNN(shape, PIXELS[kind](levels), channels=6, depth=1, key=jax.random.key(2)))


def test_a_pixel_sees_all_that_is_read_before_it_and_no_other():
    model = small("categorical", (4, 5), 3)
    image = jax.random.uniform(jax.random.key(0), (4, 5)) * 2
    slopes = jax.jit(jax.jacrev(lambda image: jnp.sum(jnp.cos(model.log_probs(image) + 1), -1)))(image)
    sees = np.asarray(slopes).reshape(20, 20) != 0
    assert not sees[~np.tri(20, k=-1, dtype=bool)].any()
    near = [(12, 11), (12, 7), (12, 6), (12, 8), (7, 4)]
    assert all(sees[pixel, before] for pixel, before in near)


@pytest.mark.parametrize("kind", PIXELS)
def test_probabilities_of_all_images_sum_to_1(kind):
    model = small(kind, (2, 2), 3)
    images = jnp.array(list(itertools.product(range(3), repeat=4)), jnp.int32).reshape(81, 2, 2)
    scores = np.asarray(eqx.filter_jit(lambda model, images: model.log_prob(images))(model, images))
    np.testing.assert_allclose(np.exp(scores, dtype=np.float64).sum(), 1.0, atol=1e-5)
    draws, own = eqx.filter_jit(lambda model, key: model.sample_and_log_prob(key, (4000,)))(model, jax.random.key(1))
    places = np.asarray(draws).reshape(4000, 4) @ np.array([27, 9, 3, 1])
    np.testing.assert_allclose(own, scores[places], atol=1e-5)
    frequencies, expected = np.bincount(places, minlength=81) / 4000, np.exp(scores)
    assert (np.abs(frequencies - expected) < 5 * np.sqrt(expected / 4000) + 1e-3).all()


def test_values_that_are_no_levels_are_impossible():
    model = small("categorical", (2, 2), 3)
    images = jnp.array([[[0, 1], [2, 0]], [[0, 1], [3, 0]], [[0, -1], [1, 0]]])
    np.testing.assert_array_equal(np.isfinite(model.log_prob(images)), [True, False, False])


def test_the_mixture_of_logistics_is_that_of_float64():
    pixels = LogisticPixels(5, components=2)
    numbers = np.array([0.3, -0.4, -0.5, 0.9, 0.2, 3.0])
    weights = scipy.special.softmax(numbers[:2])
    edges = np.concatenate([[-np.inf], np.array([-0.75, -0.25, 0.25, 0.75]), [np.inf]])
    cdf = scipy.special.expit((edges[:, None] - numbers[2:4]) * np.exp(2 - numbers[4:]))
    expected = np.log(np.diff(cdf, axis=0) @ weights)
    scores = pixels.log_probs(jnp.asarray(numbers, jnp.float32)[None, None])[0, 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_logistic_far_from_all_levels_keeps_finite_scores_and_slopes():
    """The edges of a level, both 1e6 away, are one float."""
    numbers = jnp.array([0.0, 1e6, 5.0])[None, None]
    pixels = LogisticPixels(256, components=1)
    slopes, scores = jax.jit(jax.jacrev(lambda numbers: (pixels.log_probs(numbers)[0, 0],) * 2, has_aux=True))(numbers)
    assert np.isfinite(scores).all() and np.isfinite(slopes).all()


def test_one_level_is_no_image():
    with pytest.raises(ValueError, match="levels is 1"):
        small("categorical", (2, 2), 1)
