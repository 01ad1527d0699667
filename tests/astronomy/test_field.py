import sys

import jax.numpy as jnp
import numpy as np
import pytest

from culet.astronomy import (
    Field,
    Image,
    field_from_images,
    gaussian_psf,
    read_catalogue,
    read_image,
    write_catalogue,
    write_image,
)
from culet.astronomy.field import fits_library, sky_level, stack_psfs, world

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


def test_without_astropy_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    monkeypatch.setitem(sys.modules, "astropy", None)
    with pytest.raises(RuntimeError, match=r"pip install 'culet\[celeste\]'"):
        read_image(tmp_path / "a.fits")


@pytest.fixture
def fits():
    pytest.importorskip("astropy")
    return fits_library()


def test_images_go_there_and_back(fits, tmp_path):
    pixels = np.random.default_rng(0).normal(size=(12, 17)).astype(np.float32)
    write_image(tmp_path / "a.fits", pixels, "g", 2.5)
    found = read_image(tmp_path / "a.fits")
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.band == "g" and found.gain == 2.5 and world(found.header, np.zeros(1), np.zeros(1)) is None
    assert fits.getdata(tmp_path / "a.fits").dtype == np.dtype(">f4")


def test_scaled_integers_in_an_extension_and_world_coordinates(fits, tmp_path):
    unit = fits.ImageHDU(np.arange(30, dtype=np.int16).reshape(5, 6))
    unit.header.update(BZERO=100.0, BSCALE=2.0, CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=1.0, CRPIX2=1.0)
    unit.header.update(CRVAL1=150.0, CRVAL2=2.0, CD1_1=-1e-4, CD1_2=0.0, CD2_1=0.0, CD2_2=1e-4)
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(tmp_path / "image.fits.gz")
    found = read_image(tmp_path / "image.fits.gz")
    np.testing.assert_allclose(found.pixels, 100 + 2 * np.arange(30.0).reshape(5, 6))
    assert found.band == "image" and found.gain is None
    places = world(found.header, np.array([0.0, 10.0]), np.array([0.0, 0.0]))
    assert places is not None
    np.testing.assert_allclose(places, [[150, 2], [150 - 1e-3 / np.cos(np.radians(2)), 2]], atol=1e-6)


def test_tables_go_there_and_back(fits, tmp_path):
    columns = {"x": np.array([1.25, 30.0]), "angle": np.array([np.nan, 45.0])}
    write_catalogue(tmp_path / "c.fits", columns)
    for name, values in read_catalogue(tmp_path / "c.fits").items():
        np.testing.assert_array_equal(values, columns[name])


def test_files_that_are_no_images_are_refused(fits, tmp_path):
    path = tmp_path / "a.fits"
    write_image(path, np.zeros((100, 100)), "g", 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="not a whole FITS file"):
        read_image(path)
    path.write_bytes(b"not at all" * 500)
    with pytest.raises(OSError, match="not a whole FITS file"):
        read_image(path)
    fits.PrimaryHDU(np.zeros((2, 3, 4), np.float32)).writeto(path, overwrite=True)
    with pytest.raises(ValueError, match="no two-dimensional image"):
        read_image(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_image(tmp_path / "b.fits")
