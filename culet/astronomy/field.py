"""A field: registered images of one piece of the sky in counts of photons; and the FITS files that images come in.

FITS needs astropy, an extra: `pip install 'culet[celeste]'`.

Axis letters: B bands, H rows, W columns, S sources, K components of a point spread function.
"""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from culet.astronomy.mixtures import Mixture
from culet.core.files import atomic_write


class Image(NamedTuple):
    """One image of a FITS file."""

    pixels: Float[np.ndarray, "H W"]  # in the file's own unit
    band: str  # the header's FILTER; without one, the file's name
    gain: float | None  # the header's GAIN, electrons per unit
    header: Any  # astropy's, with the world coordinates if the file has any


def fits_library() -> ModuleType:
    """`astropy.io.fits`. Raises `RuntimeError` that says what to install when it is not there."""
    try:
        from astropy.io import fits
    except ImportError as missing:
        raise RuntimeError("FITS files need astropy: pip install 'culet[celeste]'") from missing
    return fits


def read_image(path: str | Path) -> Image:
    """The first two-dimensional image in a FITS file, which may be gzipped or bzipped.

    Raises `OSError` for a file that is missing, not FITS or cut short, and `ValueError` for one without such an image.
    """
    fits = fits_library()
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers do not harm the pixels
        warnings.filterwarnings("error", message=".*truncated")  # astropy only warns of a file that ends too early
        try:
            with fits.open(path, memmap=False) as units:
                for unit in units:
                    if getattr(unit, "is_image", False) and unit.header.get("NAXIS") == 2:
                        return _image(unit, path)
        except (OSError, EOFError, TypeError, IndexError, Warning) as problem:
            raise OSError(f"{path}: not a whole FITS file ({problem})") from problem
    raise ValueError(f"{path}: no two-dimensional image in this FITS file")


def write_image(path: str | Path, pixels: Float[np.ndarray, "H W"], band: str, gain: float) -> None:
    """Writes an image that `read_image` reads, atomically."""
    fits = fits_library()
    unit = fits.PrimaryHDU(np.asarray(pixels, np.float32))
    unit.header["FILTER"], unit.header["GAIN"] = band, gain
    content = io.BytesIO()
    unit.writeto(content)
    atomic_write(path, content.getvalue())


def world(header: Any, x: Float[np.ndarray, "S"], y: Float[np.ndarray, "S"]) -> np.ndarray | None:
    """Right ascension and declination in degrees [S, 2] of pixels, where the header has celestial coordinates."""
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it repairs outdated keywords, and says so
        system = WCS(header)
        if not system.has_celestial:
            return None
        return np.asarray(system.all_pix2world(np.stack([x, y], axis=1), 0))


def _image(unit: Any, path: Path) -> Image:
    pixels = np.asarray(unit.data, np.float32)
    name = path.name.split(".")[0]
    gain = unit.header.get("GAIN")
    usable = isinstance(gain, int | float) and gain > 0
    return Image(pixels, str(unit.header.get("FILTER", name)).strip(), float(gain) if usable else None, unit.header)


class Field(eqx.Module):
    """Images on one grid of pixels. All bands must be registered: a source has the same (x, y) in each.

    Raises `ValueError` for shapes that do not fit together, pixels that are NaN or infinite, negative counts, a sky
    that is not positive, and bands of the same name.
    """

    counts: Float[np.ndarray, "..."]  # [B H W]; shapes are checked below, with words for users
    sky: Float[np.ndarray, "..."]  # [B], expected counts per pixel without sources
    gain: Float[np.ndarray, "..."]  # [B], counts per unit of flux
    psf: Mixture  # of each band: leaves have the axis B in front
    bands: tuple[str, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        shape = np.shape(self.counts)
        if len(shape) != 3 or min(shape) == 0:
            raise ValueError(f"counts have shape {shape}; give [bands, rows, columns]")
        if len(self.bands) != shape[0] or len(set(self.bands)) != shape[0]:
            raise ValueError(f"{shape[0]} images have the bands {self.bands}; name each differently")
        for name in ("sky", "gain"):
            values = np.asarray(getattr(self, name))
            if values.shape != shape[:1] or not (np.isfinite(values) & (values > 0)).all():
                raise ValueError(f"{name} is {values}; give a positive number for each of the {shape[0]} bands")
        for leaf in jax.tree.leaves(self.psf):
            if leaf.shape[0] != shape[0]:
                raise ValueError(f"there are {shape[0]} bands but {leaf.shape[0]} point spread functions")
        for band, image in zip(self.bands, self.counts, strict=True):
            check_pixels(image, f"band {band}")
            if image.min() < 0:
                row, column = np.unravel_index(np.argmin(image), image.shape)
                raise ValueError(
                    f"band {band} has {int((image < 0).sum())} negative counts, {image.min():.4g} at row {row}, column "
                    f"{column}; if the sky was subtracted, let field_from_images put it back"
                )


def check_pixels(image: Float[np.ndarray, "H W"], where: str) -> None:
    """Raises `ValueError` when a pixel is NaN or infinite, saying how many and which is the first."""
    broken = ~np.isfinite(image)
    if broken.any():
        row, column = (int(i) for i in np.argwhere(broken)[0])
        raise ValueError(
            f"{where} has {int(broken.sum())} NaN or infinite pixels, the first at row {row}, column {column}; "
            "cut them out, or fill them"
        )


def stack_psfs(psfs: Sequence[Mixture]) -> Mixture:
    """Point spread functions of the bands with the axis B in front; all must have as many components."""
    if len({psf.weights.shape for psf in psfs}) != 1:
        raise ValueError(
            f"point spread functions have {[psf.weights.size for psf in psfs]} components; give equally many"
        )
    return jax.tree.map(lambda *leaves: np.stack(leaves), *psfs)


def sky_level(image: Float[np.ndarray, "H W"]) -> tuple[float, float]:
    """Level and standard deviation of the sky: pixels more than 3 deviations above or below the median are left out."""
    kept = image.ravel().astype(np.float64)
    level = spread = 0.0
    for _ in range(20):
        level, spread = np.median(kept), 1.4826 * np.median(np.abs(kept - np.median(kept)))
        inside = np.abs(kept - level) <= 3 * spread
        if inside.all() or spread == 0:
            break
        kept = kept[inside]
    return float(level), float(kept.std() / 0.9866)  # a normal cut at 3 deviations has 0.9866 of its own


def field_from_images(images: Sequence[Image], psfs: Sequence[Mixture], gains: Sequence[float | None]) -> Field:
    """A field from images in any linear unit.

    A gain is electrons per unit of the pixels. Where it is None, an image whose sky was not subtracted tells it: of
    counts the variance is the mean. With the gain known, the sky is set to the variance that the noise has, which
    holds for images whose sky was subtracted too, and takes the detector's own noise as more of it. What then still
    is below zero is noise beyond the model, and becomes zero.

    Raises `ValueError` for images of different shapes, an image without noise, or one that does not tell its gain.
    """
    if len({image.pixels.shape for image in images}) != 1:
        shapes = ", ".join(f"{image.band} {image.pixels.shape}" for image in images)
        raise ValueError(f"images have different shapes ({shapes}); register them on one grid first")
    counts, skies, kept = [], [], []
    for image, given in zip(images, gains, strict=True):
        check_pixels(image.pixels, image.band)
        level, spread = sky_level(image.pixels)
        if spread == 0:
            raise ValueError(f"{image.band}: the sky has no noise, so nothing says how many photons it is")
        gain = given or image.gain or (level / spread**2 if level > 3 * spread else None)
        if gain is None:
            raise ValueError(
                f"{image.band}: the sky is subtracted and the file has no GAIN; say --gain, electrons per unit"
            )
        sky = (gain * spread) ** 2
        counts.append(np.maximum(gain * (image.pixels - level) + sky, 0))
        skies.append(sky)
        kept.append(gain)
    return Field(
        np.asarray(counts, np.float32), np.asarray(skies, np.float32), np.asarray(kept, np.float32),
        stack_psfs(psfs), tuple(image.band for image in images),
    )  # fmt: skip
