"""Runs on the sky, against catalogues that others made of the same pixels."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from culet.astronomy import Image, field_from_images, gaussian_psf, match, measure_fwhm, read_image, survey

SIDE = 128  # of the piece of the field


def data(*parts: str) -> Path:
    """A file of the shelf of public data; what is missing is said."""
    pytest.importorskip("astropy", reason="FITS files need astropy: pip install 'culet[celeste]'")
    if "CULET_DATA" not in os.environ:
        pytest.skip(f"set CULET_DATA to a folder with {'/'.join(parts)}")
    path = Path(os.environ["CULET_DATA"], *parts)
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return path


def test_a_field_against_the_catalogue_that_sextractor_made_of_it():
    """The 256 x 256 field of the sep library, a quarter of it; its catalogue counts pixels from 1."""
    image, back, rms = (read_image(data("sep-field", f"{name}.fits")).pixels for name in ("image", "back", "rms"))
    rows = [line.split() for line in data("sep-field", "image.cat").read_text().splitlines() if line[0] != "#"]
    table = np.array(rows, np.float64)
    gain = float(np.median(back) / np.median(rms) ** 2)
    pixels = (image - back)[:SIDE, :SIDE]
    field = field_from_images([Image(pixels, "r", gain, None)], [gaussian_psf(measure_fwhm(pixels))], [None])
    found = survey(field, progress=False)
    inside = (
        (table[:, 1:3] < SIDE - 4).all(axis=1) & (table[:, 1:3] > 5).all(axis=1) & (table[:, 15] > 5 * table[:, 16])
    )
    reference = table[inside]
    ours, theirs = match(found.position, reference[:, 3:5] - 1, 2.0)
    offset = np.linalg.norm(found.position[ours] - (reference[theirs, 3:5] - 1), axis=1)
    magnitude = 2.5 * np.log10(np.exp(found.log_flux[ours, 0]) / field.gain[0] / reference[theirs, 15])
    print(f"{len(ours)} of {len(reference)} matched, {np.median(offset):.3f} pixels, {np.median(magnitude):.3f} mag, "
          f"{np.median(np.abs(magnitude)):.3f} mag")  # fmt: skip
    assert len(ours) >= 0.8 * len(reference)
    assert np.median(offset) < 0.3 and np.median(np.abs(magnitude)) < 0.2


def test_a_star_of_the_sdss():
    """Star 37, 58 of run 1000, field 100 in r, an engineering run out of focus; fluxes in nanomaggies.

    The star is 7 pixels wide and faint: the survey itself gives a third of a pixel as the error of each coordinate, so
    that what is asked is to lie in the ellipse that holds the truth in 95% of cases by its errors.
    """
    fits = pytest.importorskip("astropy.io.fits")
    image = read_image(data("tractor-cutouts", "frame-r-001000-1-0100.fits.bz2"))
    with fits.open(data("tractor-cutouts", "photoObj-001000-1-0100.fits")) as units:
        rows = units[1].data
        place = np.stack([rows["COLC"][:, 2], rows["ROWC"][:, 2]], axis=1)
        row = rows[np.argmin(np.linalg.norm(place - [37.4, 58.6], axis=1))]
    x, y = float(row["COLC"][2]) - 0.5, float(row["ROWC"][2]) - 0.5  # the survey counts from the corner of a pixel
    flux, fwhm = float(row["PSFFLUX"][2]), float(row["PSF_FWHM"][2])
    piece = Image(
        image.pixels[30:90, 14:74], image.band, 4.7 / float(image.header["NMGY"]), None
    )  # electrons per count
    field = field_from_images([piece], [gaussian_psf(fwhm / 0.396)], [None])  # arcseconds in a pixel
    found = survey(field, progress=False)
    nearest = int(np.argmin(np.linalg.norm(found.position - [x - 14, y - 30], axis=1)))
    errors = np.array([row["COLCERR"][2], row["ROWCERR"][2]], np.float64)
    deviations = (found.position[nearest] - [x - 14, y - 30]) / errors
    magnitude = 2.5 * np.log10(np.exp(found.log_flux[nearest, 0]) / field.gain[0] / flux)
    print(f"{deviations} standard deviations, {magnitude:.3f} mag")
    assert np.sum(deviations**2) < stats.chi2(2).ppf(0.95) and abs(magnitude) < 0.25
