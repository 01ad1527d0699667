"""The usual way to a catalogue: a matched filter finds the sources, apertures measure them.

It is the baseline that the model is compared with, and where the model begins.

Axis letters: B bands, H rows, W columns, S sources, P pixels.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage, signal

from culet.astronomy.field import Field, check_pixels, sky_level
from culet.astronomy.mixtures import FWHM, Mixture, density

APERTURE = 0.8  # radii in full widths at half maximum: of colours and fluxes,
_CORE = 0.45  # of the light's concentration,
_SKY = (3.0, 5.0)  # and of the ring that gives the sky
_STAR_CONCENTRATION = 0.9
_FINE = 5  # parts of a pixel's side, for pixels that a circle cuts
_HALF = 10  # rows and columns of the filter on each side of its middle


class Detections(NamedTuple):
    """Sources by matched filter and aperture photometry, brightest peak first. Fluxes are in counts."""

    x: Float[np.ndarray, "S"]
    y: Float[np.ndarray, "S"]
    flux: Float[np.ndarray, "S B"]  # of a star: what the aperture misses of a point's light is made up for
    flux_error: Float[np.ndarray, "S B"]
    significance: Float[np.ndarray, "S"]  # the peak of the filtered image, in standard deviations
    star: Bool[np.ndarray, "S"]  # whether its light is concentrated as a point's is


def detect(field: Field, model: Float[np.ndarray, "B H W"] | None = None, *, threshold: float = 5.0) -> Detections:
    """Peaks of the filtered sum of all bands above `threshold` standard deviations, measured in each band.

    The filter is each band's own point spread function; positions come from a parabola through the logarithm of the
    peak and its neighbours. Fluxes are those of circles of 0.8 full widths about it, less the median of a ring,
    divided by the share of a point's light within. With a `model`, expected counts, what it leaves is searched.
    Raises `ValueError` unless the threshold is positive.
    """
    if not threshold > 0:
        raise ValueError(f"a threshold of {threshold} is not positive")
    if model is None:
        model = np.broadcast_to(field.sky[:, None, None], field.counts.shape)
    filtered = _filtered(field, model)
    peaks = (filtered == ndimage.maximum_filter(filtered, size=3)) & (filtered > threshold)
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-filtered[rows, columns])
    rows, columns = rows[order], columns[order]
    surface = np.log(np.maximum(np.pad(filtered, 1, mode="edge"), 0.1))
    x = columns + _vertex(*(surface[rows + 1, columns + 1 + step] for step in (-1, 0, 1)))
    y = rows + _vertex(*(surface[rows + 1 + step, columns + 1] for step in (-1, 0, 1)))
    fluxes, errors, stars = _measure(field, field.counts - model, x, y)
    return Detections(x, y, fluxes, errors, filtered[rows, columns], stars)


def measure_fwhm(image: Float[np.ndarray, "H W"]) -> float:
    """The full width at half maximum of the stars in an image, in pixels, from the widths of its brightest peaks.

    Each peak of 20 or more standard deviations, at most 30 of them, is as wide as the drop from its middle to its
    neighbours says, by Gaussians along both axes. The lower quartile is given, as galaxies are wider.
    Raises `ValueError` where there are no such peaks.
    """
    check_pixels(image, "the image")
    level, spread = sky_level(image)
    excess = ndimage.gaussian_filter(image.astype(np.float64) - level, 0.7, mode="nearest")
    peaks = (excess == ndimage.maximum_filter(excess, size=7)) & (excess > 20 * spread)
    peaks[[0, 1, -2, -1]], peaks[:, [0, 1, -2, -1]] = False, False
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-excess[rows, columns])[:30]
    if order.size == 0:
        raise ValueError("no star is bright enough to measure how wide stars are; say --fwhm, in pixels")
    variances = []
    for row, column in zip(rows[order], columns[order], strict=True):
        logs = np.log(np.maximum(excess[row - 2 : row + 3, column - 2 : column + 3], spread / 10))
        drops = [2 * line[2] - line[0] - line[4] for line in (logs[2], logs[:, 2])]  # 4 / variance for a Gaussian
        variances.append(8 / max(sum(drops), 0.1))
    return FWHM * math.sqrt(max(float(np.quantile(variances, 0.25)) - 0.7**2, 0.3))


def psf_width(psf: Mixture) -> float:
    """The full width at half maximum, in pixels, of a Gaussian with this point spread function's peak."""
    peak = float(density(psf, np.zeros((1, 2), np.float32))[0])
    return FWHM / math.sqrt(2 * math.pi * peak)


def band_psf(field: Field, band: int) -> Mixture:
    """The point spread function of one band."""
    return Mixture(field.psf.weights[band], field.psf.means[band], field.psf.covariances[band])


def _filtered(field: Field, model: np.ndarray) -> Float[np.ndarray, "H W"]:
    """The sum over bands of the matched filter's signal to noise, in standard deviations under the model."""
    across, down = np.meshgrid(*(np.arange(-_HALF, _HALF + 1),) * 2)
    points = np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)
    total = np.zeros(field.counts.shape[1:])
    for b, image in enumerate(field.counts):
        kernel = np.asarray(density(band_psf(field, b), points), np.float64).reshape(across.shape)
        rate = np.pad(model[b], _HALF, mode="edge")
        noise = np.sqrt(signal.fftconvolve(rate, np.square(kernel[::-1, ::-1]), mode="valid"))
        total += signal.fftconvolve(image - model[b], kernel[::-1, ::-1], mode="same") / noise
    return total / math.sqrt(len(field.bands))


def _vertex(before: np.ndarray, at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where a parabola through three equidistant values has its peak, in steps from the middle, at most half a step."""
    bend = before - 2 * at + after
    return np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5)


def _measure(
    field: Field, excess: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fluxes [S, B], their errors [S, B], and which are stars [S], of an image whose sky is about 0."""
    bands = len(field.bands)
    fluxes, errors, cores = (np.zeros((len(x), bands)) for _ in range(3))
    for b in range(bands):
        psf, sky = band_psf(field, b), float(field.sky[b])
        fwhm = psf_width(psf)
        reach = math.ceil(_SKY[1] * fwhm) + 1
        image = np.pad(excess[b].astype(np.float64), reach)
        crowded = _near(image.shape, x + reach, y + reach, 1.5 * fwhm)
        for s in range(len(x)):
            column, row = round(x[s]), round(y[s])
            window = slice(row, row + 2 * reach + 1), slice(column, column + 2 * reach + 1)
            cut, (down, across) = image[window], np.mgrid[-reach : reach + 1, -reach : reach + 1]
            down, across = down + row - y[s], across + column - x[s]
            distance = np.hypot(across, down)
            ring = (distance > _SKY[0] * fwhm) & (distance < _SKY[1] * fwhm) & ~crowded[window]
            local = np.median(cut[ring]) if ring.sum() >= 20 else 0.0
            points = np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)
            profile = np.asarray(density(psf, points), np.float64).reshape(cut.shape)
            within, core = (_coverage(across, down, radius * fwhm) for radius in (APERTURE, _CORE))
            share = (profile * within).sum()
            fluxes[s, b] = ((cut - local) * within).sum() / share
            errors[s, b] = math.sqrt((np.maximum(cut + sky, 1.0) * np.square(within)).sum()) / share
            cores[s, b] = ((cut - local) * core).sum() / (profile * core).sum()
    weight = np.maximum(fluxes, 0) / np.square(errors)
    ratio = (weight * fluxes).sum(axis=1) / np.maximum((weight * cores).sum(axis=1), 1e-9)
    return fluxes, errors, ratio * _STAR_CONCENTRATION < 1


def _near(shape: tuple[int, ...], x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Which pixels are within `radius` of any source."""
    down, across = np.mgrid[: shape[0], : shape[1]]
    near = np.zeros(shape, bool)
    for one_x, one_y in zip(x, y, strict=True):
        near |= (down - one_y) ** 2 + (across - one_x) ** 2 < radius * radius
    return near


def _coverage(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """The share of each pixel that lies within a circle about the origin."""
    steps = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    inside = np.zeros(x.shape)
    for across in steps:
        for down in steps:
            inside += (x + across) ** 2 + (y + down) ** 2 < radius * radius
    return inside / _FINE**2
