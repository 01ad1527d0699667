"""Catalogues: columns of numbers, one row per source; as CSV and FITS; and matching one with another.

Axis letters: S sources, R reference sources, N pairs.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from culet.astronomy.field import Field, fits_library, world
from culet.astronomy.fitting import Solution
from culet.astronomy.mixtures import describe_shape
from culet.core.files import atomic_write

Z90 = 1.6448536  # half the width of a normal's central 90%, in standard deviations
_MAGNITUDE = 2.5 / np.log(10)  # magnitudes in a natural logarithm


def catalogue_columns(solution: Solution, field: Field, header: Any = None) -> dict[str, np.ndarray]:
    """The columns of a catalogue, brightest source first.

    Positions in pixels from 0 and, with a header that has world coordinates, in degrees; fluxes in the images'
    units, the median and the bounds of the central 90%; colours in magnitudes; shapes for what is rather a galaxy,
    else empty.
    """
    order = np.argsort(-solution.log_flux.sum(axis=1))
    x, y = solution.position[order].T
    table: dict[str, np.ndarray] = {"x": x, "y": y}
    table["x_error"], table["y_error"] = solution.position_sd[order].T
    celestial = None if header is None else world(header, x, y)
    if celestial is not None:
        table["ra"], table["dec"] = celestial.T
    star = solution.star_probability[order]
    table["star_probability"] = star
    logs, covariance = solution.log_flux[order], solution.log_flux_covariance[order]
    sd = np.sqrt(np.einsum("sbb->sb", covariance))
    for b, band in enumerate(field.bands):
        for name, shift in (("", 0.0), ("_low", -Z90), ("_high", Z90)):
            table[f"flux_{band}{name}"] = np.exp(logs[:, b] + shift * sd[:, b]) / field.gain[b]
    for b, (one, two) in enumerate(zip(field.bands, field.bands[1:], strict=False)):
        gain = np.log(field.gain[b + 1] / field.gain[b])
        table[f"{one}-{two}"] = _MAGNITUDE * (logs[:, b + 1] - logs[:, b] - gain)
        variance = covariance[:, b, b] + covariance[:, b + 1, b + 1] - 2 * covariance[:, b, b + 1]
        table[f"{one}-{two}_error"] = _MAGNITUDE * np.sqrt(variance)
    shapes = np.array([describe_shape(shape) for shape in solution.shape[order]])
    names = ("de_vaucouleurs_share", "half_light_radius", "axis_ratio", "angle")
    return table | {name: np.where(star > 0.5, np.nan, shapes[:, i]) for i, name in enumerate(names)}


def check_ending(path: str | Path) -> None:
    """Raises `ValueError` unless a catalogue can be written to a file of this name."""
    if Path(path).suffix not in (".csv", ".fits", ".fit"):
        raise ValueError(f"{path}: a catalogue is written as .csv or .fits")


def write_catalogue(path: str | Path, columns: Mapping[str, np.ndarray]) -> None:
    """Writes columns of equal length as `.csv` or `.fits`, atomically; what is not a number stays empty in CSV.

    Raises `ValueError` for another ending.
    """
    path = Path(path)
    check_ending(path)
    if path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if np.isnan(value) else f"{value:.8g}" for value in row])
        atomic_write(path, text.getvalue())
    else:
        fits = fits_library()
        table = [fits.Column(name=name, format="D", array=values) for name, values in columns.items()]
        content = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(table)]).writeto(content)
        atomic_write(path, content.getvalue())


def read_catalogue(path: str | Path) -> dict[str, np.ndarray]:
    """The columns that `write_catalogue` wrote. Raises `OSError` or `ValueError` for what it cannot read."""
    path = Path(path)
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
        table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows]).reshape(-1, len(names))
        return dict(zip(names, table.T, strict=True))
    with fits_library().open(path, memmap=False) as units:
        data = units[1].data
        return {name: np.asarray(data[name], np.float64) for name in data.names}


def match(
    positions: Float[np.ndarray, "S 2"], reference: Float[np.ndarray, "R 2"], radius: float
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Pairs of rows (of `positions`, of `reference`) within `radius`, each in one at most, of least distance in all."""
    distance = np.linalg.norm(positions[:, None] - reference[None], axis=2)
    capped = np.minimum(distance, 2 * radius)  # a pair beyond the radius is worth no more than none
    rows, others = linear_sum_assignment(capped)
    near = distance[rows, others] <= radius
    return rows[near], others[near]
