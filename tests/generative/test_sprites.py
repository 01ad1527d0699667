"""Sprites against areas and centres that geometry gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.generative import SpriteBatches, draw_sprites, random_factors

DRAW = jax.jit(draw_sprites, static_argnums=1)


def factors(shape=0.0, scale=0.5, x=0.5, y=0.5):
    return jnp.array([[shape, scale, x, y]], jnp.float32)


def draw(size=64, **given):
    image = np.asarray(DRAW(factors(**given), size))[0, ..., 0].astype(np.float64)
    assert image.min() >= 0 and image.max() <= 1
    return image


def centre(image):
    places = (np.arange(len(image)) + 0.5) / len(image)
    return (image @ places).sum() / image.sum(), (image.T @ places).sum() / image.sum()


@pytest.mark.parametrize("shape", [0.0, 1.0])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_area_is_that_of_an_ellipse_whatever_the_shape(shape, scale):
    area = np.pi * (0.13 + 0.11 * scale) ** 2 / 2.5
    assert abs(draw(shape=shape, scale=scale).mean() - area) < 0.03 * area


@pytest.mark.parametrize("shape", [0.0, 1.0])
def test_centres(shape):
    for x, y in ((0.0, 1.0), (0.3, 0.6), (1.0, 0.0)):
        found = centre(draw(shape=shape, x=x, y=y))
        np.testing.assert_allclose(found, [0.3 + 0.4 * x, 0.22 + 0.56 * y], atol=0.003)


def test_shapes():
    """By second moments along each axis: a square has side^2 / 12, an ellipse a quarter of its radius squared."""
    places = (np.arange(128) + 0.5) / 128 - 0.5
    for shape, across, down in ((0.0, np.pi / 2.5 / 12, np.pi / 2.5 / 12), (1.0, 1 / 4, 0.4**2 / 4)):
        image = draw(128, shape=shape)
        found = [(image.sum(axis=axis) @ places**2) / image.sum() / 0.185**2 for axis in (0, 1)]
        np.testing.assert_allclose(found, [across, down], rtol=0.03)


def test_every_sprite_is_whole_and_soft():
    drawn = np.asarray(draw_sprites(jnp.asarray(random_factors(300, np.random.default_rng(1)))))
    edge = np.concatenate([drawn[:, 0], drawn[:, -1], drawn[:, :, 0], drawn[:, :, -1]], axis=1)
    assert edge.max() == 0 and (drawn.max(axis=(1, 2)) > 0.8).all()
    assert ((drawn > 0.1) & (drawn < 0.9)).any(axis=(1, 2)).mean() > 0.98  # a square may lie on whole pixels


def test_a_step_into_a_pixel_moves_the_centre():
    """Antialiasing makes positions between pixels visible."""
    places = [centre(draw(32, x=float(x)))[0] for x in np.linspace(0.5, 0.56, 7)]
    np.testing.assert_allclose(np.diff(places), 0.004, atol=0.001)


def test_batches_are_functions_of_seed_and_step():
    batches = SpriteBatches(4, size=16, seed=3)
    first = np.asarray(batches[7]["images"])
    assert first.shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(first, SpriteBatches(4, size=16, seed=3)[7]["images"])
    assert not np.array_equal(first, batches[8]["images"])
    shapes = random_factors(1000, np.random.default_rng(0))[:, 0]
    assert set(shapes) == {0, 1}
