"""Spectrograms as pictures.

Axis letters: T frames, F frequencies.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
