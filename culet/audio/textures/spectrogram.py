"""From sound to a log-magnitude spectrogram and back, by Griffin and Lim; spectrograms as pictures.

Axis letters: N samples, T frames, F frequencies.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.signal
from jaxtyping import Float
from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-3
"""Magnitudes are measured in units of this share of the loudest one, so that silence is 0 and not minus infinity."""


def log_magnitude(samples: Float[np.ndarray, "N"], window: int) -> tuple[Float[np.ndarray, "T F"], float]:
    """`log(1 + |STFT| / unit)` with Hann windows of `window` samples, four to an overlap, and its `unit`.

    The unit is `FLOOR` of the loudest magnitude. Raises ValueError for a sound shorter than four windows, silent, or
    not finite.
    """
    if len(samples) < 4 * window:
        raise ValueError(f"the sound has {len(samples)} samples; a texture needs at least {4 * window}")
    if not np.isfinite(samples).all():
        raise ValueError("the sound has samples that are not finite")
    magnitudes = _magnitudes(samples, window)
    unit = FLOOR * float(magnitudes.max())
    if unit < 1e-12:
        raise ValueError("the sound is silent; there is no texture to copy")
    return np.log1p(magnitudes / unit).T.astype(np.float32), unit


def in_units(samples: Float[np.ndarray, "N"], unit: float, window: int) -> Float[np.ndarray, "T F"]:
    """As `log_magnitude`, but in another sound's unit, so that the two can be compared."""
    return np.log1p(_magnitudes(samples, window) / unit).T.astype(np.float32)


def frames_of(samples: int, window: int) -> int:
    """How many frames a sound of so many samples has."""
    return _transform(window).p_num(samples)


def sound(
    spectrogram: Float[np.ndarray, "T F"],
    unit: float,
    window: int,
    samples: int,
    iterations: int,
    seed: int,
    *,
    progress: bool = False,
) -> Float[np.ndarray, "N"]:
    """A sound of `samples` samples whose `log_magnitude` is close to `spectrogram`, from random phases.

    Griffin and Lim (1984): the phases of the sound are kept and its magnitudes put right, again and again; with the
    momentum 0.99 of Perraudin, Balazs and Sondergaard (2013), which comes nearer in as many iterations.
    """
    transform = _transform(window)
    magnitudes = unit * np.expm1(np.maximum(spectrogram, 0).T.astype(np.float64))
    phases = np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitudes.shape))
    before = np.zeros_like(phases)
    for _ in track(range(iterations), "phase", console=Console(stderr=True), disable=not progress):
        consistent = transform.stft(transform.istft(magnitudes * phases, k1=samples))
        ahead = consistent + 0.99 * (consistent - before)
        before = consistent
        phases = ahead / np.maximum(np.abs(ahead), 1e-12)
    return transform.istft(magnitudes * phases, k1=samples).astype(np.float32)


def _magnitudes(samples: np.ndarray, window: int) -> np.ndarray:
    return np.abs(_transform(window).stft(np.asarray(samples, np.float64)))


def _transform(window: int) -> scipy.signal.ShortTimeFFT:
    return scipy.signal.ShortTimeFFT(np.hanning(window + 1)[:-1], window // 4, fs=1.0)


def spectrogram_picture(spectrograms: Mapping[str, Float[np.ndarray, "_ _"]], rate: int, window: int) -> "Figure":
    """Log-magnitude spectrograms [T, F] by title, one above the other, with axes in seconds and kHz."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.2 * len(spectrograms) + 0.4), dpi=130, layout="constrained")
    loudest = max(float(one.max()) for one in spectrograms.values())
    rows: Any = figure.subplots(len(spectrograms), 1, squeeze=False)[:, 0]
    for axes, (title, one) in zip(rows, spectrograms.items(), strict=True):
        extent = (0, len(one) * (window // 4) / rate, 0, rate / 2000)
        axes.imshow(one.T, origin="lower", aspect="auto", cmap="magma", extent=extent, vmin=0, vmax=loudest)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylabel("kHz")
    rows[-1].set_xlabel("seconds")
    return figure
