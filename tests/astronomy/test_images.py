import sys

import numpy as np
import pytest

from culet.astronomy import read_catalogue, read_image, write_catalogue, write_image
from culet.astronomy.images import fits_library, world


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
