"""Line plots in one plain style, without pyplot's global state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from culet.core.files import atomic_write

Numbers = Sequence[float | int] | np.ndarray

COLOURS = (
    "#1f5a99",
    "#d1622b",
    "#2e8b57",
    "#8a4fa3",
    "#b8860b",
    "#555555",
)  # distinct in print and to the colour-blind
DASHES = ("-", "--", ":", "-.")  # of the first six curves, of the next six, ...


def line_plot(
    path: str | Path,
    curves: Mapping[str, tuple[Numbers, Numbers]],
    xlabel: str,
    ylabel: str,
    title: str,
    logy: bool = False,
) -> None:
    """Draws `{label: (x, y)}` as lines and writes a PNG of 1200 x 750 pixels, atomically.

    Each x is [N] and each y [N], or [N, S] for S runs: these are drawn as their mean within a band from the least to
    the greatest, in which NaN is left out. A curve of a single point is drawn as a dot. Raises `ValueError` when the x
    and y of a curve differ in length.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    for i, (label, (x, y)) in enumerate(curves.items()):
        if len(x) != len(y):
            raise ValueError(f"Curve {label!r} has {len(x)} x values but {len(y)} y values.")
        marker = "o" if len(x) == 1 else None
        style: Any = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i // len(COLOURS) % len(DASHES)]}
        if np.ndim(y) == 2:
            y = np.ma.masked_invalid(y)
            axes.fill_between(x, y.min(axis=1), y.max(axis=1), color=style["color"], alpha=0.2, linewidth=0)
            y = y.mean(axis=1)
        axes.plot(x, y, label=label, linewidth=1.6, marker=marker, **style)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title, loc="left", fontsize=12)
    if logy:
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    if len(curves) > 1:
        axes.legend(frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    atomic_write(path, image.getvalue())
