import jax.numpy as jnp
import numpy as np
import pytest

from culet.astronomy import Field, Image, field_from_images, gaussian_psf
from culet.astronomy.field import sky_level, stack_psfs

PSF = stack_psfs([gaussian_psf(3.0)])


def field(counts, bands=("r",), sky=100.0):
    each = np.ones(len(counts), np.float32)
    return Field(np.asarray(counts, np.float32), sky * each, each, PSF, bands)


def test_bad_images_are_refused_with_reasons():
    good = np.full((1, 20, 30), 100.0)
    field(good)
    broken = good.copy()
    broken[0, 3, 4] = np.nan
    with pytest.raises(ValueError, match="1 NaN or infinite pixels, the first at row 3, column 4"):
        field(broken)
    negative = good.copy()
    negative[0, 5, 6] = -3
    with pytest.raises(ValueError, match=r"1 negative counts, -3 at row 5, column 6"):
        field(negative)
    with pytest.raises(ValueError, match=r"shape \(20, 30\)"):
        field(good[0])
    with pytest.raises(ValueError, match="name each differently"):
        field(good, bands=("r", "r"))
    with pytest.raises(ValueError, match="sky is"):
        field(good, sky=0.0)
    with pytest.raises(ValueError, match="2 bands but 1 point spread"):
        field(np.repeat(good, 2, axis=0), bands=("g", "r"))


def test_the_sky_is_found_beneath_sources():
    generator = np.random.default_rng(0)
    image = generator.normal(50, 4, (200, 200))
    image[50:60, 50:70] += 1000
    level, spread = sky_level(image)
    assert level == pytest.approx(50, abs=0.1) and spread == pytest.approx(4, rel=0.02)


def test_counts_from_any_unit():
    """The same photons as counts, scaled, and with the sky taken off give the same field."""
    photons = np.random.default_rng(0).poisson(400, (100, 100)).astype(np.float32)
    psf = [gaussian_psf(3.0)]
    raw = field_from_images([Image(photons, "r", None, None)], psf, [None])
    assert raw.gain[0] == pytest.approx(1, rel=0.05) and raw.sky[0] == pytest.approx(400, rel=0.05)
    scaled = field_from_images([Image(photons / 7 - 50, "r", 7.0, None)], psf, [None])
    given = field_from_images([Image(photons / 7 - 50, "r", None, None)], psf, [7.0])
    np.testing.assert_allclose(scaled.counts, given.counts)
    np.testing.assert_allclose((scaled.counts - scaled.sky)[0], photons - 400, atol=2)
    with pytest.raises(ValueError, match="r: the sky is subtracted and the file has no GAIN"):
        field_from_images([Image(photons - 400, "r", None, None)], psf, [None])
    with pytest.raises(ValueError, match=r"different shapes \(r \(100, 100\), g \(90, 100\)\)"):
        field_from_images([Image(photons, "r", 1.0, None), Image(photons[10:], "g", 1.0, None)], psf * 2, [None, None])
    with pytest.raises(ValueError, match="no noise"):
        field_from_images([Image(np.ones((9, 9), np.float32), "r", 1.0, None)], psf, [None])


def test_point_spread_functions_must_match():
    one = gaussian_psf(3.0)
    short = type(one)(jnp.ones(1), jnp.zeros((1, 2)), jnp.eye(2)[None])
    with pytest.raises(ValueError, match=r"\[2, 1\] components"):
        stack_psfs([one, short])
