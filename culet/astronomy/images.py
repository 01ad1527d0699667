"""Images from and to FITS files, through astropy, an extra: `pip install 'culet[celeste]'`.

Axis letters: H rows, W columns.
"""

import io
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

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
