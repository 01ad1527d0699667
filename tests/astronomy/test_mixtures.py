import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from culet.astronomy.mixtures import (
    DE_VAUCOULEURS,
    EXPONENTIAL,
    density,
    describe_shape,
    galaxy,
    galaxy_shape,
    gaussian_psf,
    star,
)


def light_within(radius, profile):
    shares, variances = (np.array(part) for part in profile)
    return (shares * (1 - np.exp(-0.5 * radius[:, None] ** 2 / variances))).sum(axis=1)


@pytest.mark.parametrize(
    ("profile", "law", "cut", "bar"),
    [
        (EXPONENTIAL, lambda r: np.exp(-1.678 * r), 6, 0.003),
        (DE_VAUCOULEURS, lambda r: np.exp(-7.669 * (np.maximum(r, 1e-9) ** 0.25 - 1)), 8, 0.03),
    ],
)
def test_profiles_hold_the_light_of_their_laws(profile, law, cut, bar):
    """Against the laws cut off sharply, so the wide one, whose tail is cut smoothly in the fit, gets some room."""
    radius = np.linspace(0, cut, 200_001)[1:]
    within = np.cumsum(law(radius) * radius)
    probed = np.array([0.1, 0.3, 0.7, 1, 1.5, 2.5, 4])
    half = np.interp(0.5, within / within[-1], radius)
    expected = np.interp(probed * half, radius, within / within[-1])
    assert sum(profile[0]) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(light_within(probed, profile), expected, atol=bar)
    np.testing.assert_allclose(light_within(np.ones(1), profile), 0.5, atol=0.003)


def test_density_is_scipys():
    shape = jnp.asarray([0.3, 0.5, 0.4, -0.2])
    mixture = galaxy(gaussian_psf(3.0), jnp.asarray([1.0, -2.0]), shape)
    points = np.array([[0.0, 0.0], [1.5, -2.5], [7.0, 3.0]])
    parts = zip(
        *(np.asarray(leaf, np.float64) for leaf in (mixture.weights, mixture.means, mixture.covariances)), strict=True
    )
    expected = sum(w * stats.multivariate_normal(m, c).pdf(points) for w, m, c in parts)
    np.testing.assert_allclose(density(mixture, jnp.asarray(points, jnp.float32)), expected, rtol=1e-4)
    np.testing.assert_allclose(jnp.sum(mixture.weights), 1, rtol=1e-5)


def test_a_galaxy_is_its_profile_stretched_turned_and_blurred():
    """Against a fine picture: an exponential of given axes, convolved with the point spread function on pixels."""
    radius, ratio, angle, size = 3.0, 0.5, 30.0, 81
    shape = galaxy_shape(1e-6, radius, ratio, angle)
    down, across = np.mgrid[:size, :size] - size // 2
    fine = (np.arange(5) - 2) / 5
    turn = math.radians(angle)
    picture = np.zeros((size, size))
    for dx in fine:
        for dy in fine:
            along = (across + dx) * math.cos(turn) + (down + dy) * math.sin(turn)
            aside = -(across + dx) * math.sin(turn) + (down + dy) * math.cos(turn)
            picture += np.exp(-1.678 * np.hypot(along * math.sqrt(ratio), aside / math.sqrt(ratio)) / radius)
    points = jnp.asarray(np.stack([across.ravel(), down.ravel()], axis=1), jnp.float32)
    psf = gaussian_psf(3.0)
    kernel = np.asarray(density(star(psf, jnp.zeros(2)), points)).reshape(size, size)
    expected = ndimage.convolve(picture / picture.sum(), kernel[20:-20, 20:-20], mode="constant")
    found = np.asarray(density(galaxy(psf, jnp.zeros(2), jnp.asarray(shape, jnp.float32)), points)).reshape(size, size)
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())
    assert found.sum() == pytest.approx(1, abs=0.01)


def test_shapes_go_there_and_back():
    for told in ((0.3, 2.5, 0.4, 135.0), (0.9, 0.7, 0.99, 10.0)):
        np.testing.assert_allclose(describe_shape(galaxy_shape(*told)), told, rtol=1e-6)
    with pytest.raises(ValueError, match=r"axis ratio 1\.5"):
        galaxy_shape(0.5, 1.0, 1.5, 0.0)


def test_a_point_spread_function_is_as_wide_as_asked():
    psf = gaussian_psf(3.3)
    middle, edge = density(psf, jnp.asarray([[0.0, 0.0], [1.65, 0.0]]))
    assert float(edge / middle) == pytest.approx(0.5, abs=1e-5)
    with pytest.raises(ValueError, match="positive width"):
        gaussian_psf(0.0)
