"""A picture of what the model made of a field: the image, the model and what is left, with the sources marked."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from culet.astronomy.field import Field
from culet.astronomy.fitting import Solution
from culet.core.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def field_figure(field: Field, solution: Solution) -> "Figure":
    """A row per band: counts, model, and the difference in standard deviations. Stars are dots, galaxies rings."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bands = len(field.bands)
    figure = Figure(figsize=(10, 3.4 * bands), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(bands, 3, squeeze=False)
    stars = solution.star_probability > 0.5
    for b, band in enumerate(field.bands):
        sky, counts, model = float(field.sky[b]), field.counts[b], solution.model[b]
        noise = np.sqrt(sky)
        for panel, image, title in ((0, counts, "image"), (1, model, "model")):
            stretched = np.arcsinh((image - sky) / (3 * noise))
            axes[b, panel].imshow(stretched, cmap="magma", origin="lower", vmin=-1, vmax=5)
            axes[b, panel].set_title(f"{band}: {title}", loc="left", fontsize=10)
        residual = axes[b, 2].imshow((counts - model) / np.sqrt(model), cmap="RdBu_r", origin="lower", vmin=-5, vmax=5)
        axes[b, 2].set_title("residual, standard deviations", loc="left", fontsize=10)
        figure.colorbar(residual, ax=axes[b, 2], shrink=0.8)
        marked = axes[b, 0]
        marked.plot(*solution.position[stars].T, ".", color="#7fd4ff", markersize=3, label="star")
        marked.plot(*solution.position[~stars].T, "o", color="#9dff9d", markersize=9, fillstyle="none", label="galaxy")
        marked.set(xlim=(-0.5, counts.shape[1] - 0.5), ylim=(-0.5, counts.shape[0] - 0.5))
    axes[0, 0].legend(fontsize=7, loc="upper right")
    return figure


def draw_field(path: str | Path, field: Field, solution: Solution) -> None:
    """Writes the picture as PNG, atomically."""
    image = io.BytesIO()
    field_figure(field, solution).savefig(image, format="png")
    atomic_write(path, image.getvalue())
