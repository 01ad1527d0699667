"""Sprites against areas and centres that geometry gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.inference.disentangling import SpriteBatches, draw_sprites, random_factors

DRAW = jax.jit(draw_sprites, static_argnums=1)


def factors(shape=0.0, scale=0.5, orientation=0.0, x=0.5, y=0.5):
    return jnp.array([[shape, scale, orientation, x, y]], jnp.float32)


def draw(size=64, **given):
    image = np.asarray(DRAW(factors(**given), size))[0, ..., 0].astype(np.float64)
    assert image.min() >= 0 and image.max() <= 1
    return image


def centre(image):
    places = (np.arange(len(image)) + 0.5) / len(image)
    return (image @ places).sum() / image.sum(), (image.T @ places).sum() / image.sum()


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("orientation", [0.0, 0.11, 0.3])
def test_areas(scale, orientation):
    radius = 0.1 + 0.1 * scale
    for shape, area in ((0.0, (1.5 * radius) ** 2), (1.0, np.pi * radius * radius / 2)):
        found = draw(64, shape=shape, scale=scale, orientation=orientation).mean()
        assert abs(found - area) < 0.03 * area, (shape, found, area)


@pytest.mark.parametrize("shape", [0.0, 1.0])
def test_centres(shape):
    for x, y in ((0.0, 1.0), (0.3, 0.6), (1.0, 0.0)):
        found = centre(draw(shape=shape, x=x, y=y, orientation=0.2))
        np.testing.assert_allclose(found, [0.25 + 0.5 * x, 0.25 + 0.5 * y], atol=0.003)


def test_symmetries():
    square, ellipse, heart = (draw(shape=float(shape)) for shape in range(3))
    np.testing.assert_allclose(square, draw(shape=0.0, orientation=0.25), atol=1e-4)
    np.testing.assert_allclose(ellipse, draw(shape=1.0, orientation=0.5), atol=1e-4)
    assert np.abs(ellipse - draw(shape=1.0, orientation=0.25)).max() > 0.9
    np.testing.assert_allclose(heart, heart[:, ::-1], atol=1e-4)  # left is right, but up is not down
    assert np.abs(heart - heart[::-1]).max() > 0.9
    np.testing.assert_allclose(heart, draw(shape=2.0, orientation=1.0), atol=1e-3)


def test_every_sprite_is_whole_and_soft():
    drawn = np.asarray(draw_sprites(jnp.asarray(random_factors(300, np.random.default_rng(1))), 32))
    edge = np.concatenate([drawn[:, 0], drawn[:, -1], drawn[:, :, 0], drawn[:, :, -1]], axis=1)
    assert edge.max() == 0 and (drawn.max(axis=(1, 2)) == 1).all()
    assert ((drawn > 0.1) & (drawn < 0.9)).any(axis=(1, 2)).all()  # antialiased


def test_a_step_into_a_pixel_moves_the_centre():
    """Antialiasing makes positions between pixels visible."""
    places = [centre(draw(32, x=float(x)))[0] for x in np.linspace(0.5, 0.56, 7)]
    np.testing.assert_allclose(np.diff(places), 0.005, atol=0.001)


def test_batches_are_functions_of_seed_and_step():
    batches = SpriteBatches(4, size=16, seed=3)
    first = np.asarray(batches[7]["images"])
    assert first.shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(first, SpriteBatches(4, size=16, seed=3)[7]["images"])
    assert not np.array_equal(first, batches[8]["images"])
    shapes = random_factors(1000, np.random.default_rng(0))[:, 0]
    assert set(shapes) == {0, 1, 2}
