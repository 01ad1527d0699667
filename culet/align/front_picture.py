"""The picture of a front."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from culet.core.files import atomic_write
from culet.core.plot import COLOURS


def draw_front(
    path: str | Path, rows: Sequence[Mapping[str, float | int]], best: Sequence[Mapping[str, float | int]], title: str
) -> None:
    """Writes a PNG: reward and win-rate against divergence, beside best-of-n; length and entropy over the steps.

    `rows` are points with their `step`, `best` what `Frontier.best_of_n` gives. Without rewards that panel stays away.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rewarded = any("reward" in row for row in rows)
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplot_mosaic("RW\nLE" if rewarded else "WW\nLE")
    if rewarded:
        _against_divergence(panels["R"], rows, best, "reward")
    _against_divergence(panels["W"], rows, best, "win_rate")
    for panel, name, unit in (("L", "length", "tokens"), ("E", "entropy", "nats per token")):
        steps, values = zip(*((row["step"], row[name]) for row in rows), strict=True)
        panels[panel].plot(steps, values, marker="o", markersize=3, color=COLOURS[0])
        panels[panel].set(xlabel="step", ylabel=unit, title=name.capitalize(), ylim=(0, None))
    for axes in panels.values():
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    figure.suptitle(title, x=0.01, ha="left")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    atomic_write(path, image.getvalue())


def _against_divergence(
    axes: Any, rows: Sequence[Mapping[str, float | int]], best: Sequence[Mapping[str, float | int]], name: str
) -> None:
    points = [(row["kl"], row[name], row["step"]) for row in rows if row.get(name) is not None]
    axes.plot([kl for kl, _, _ in points], [y for _, y, _ in points], marker="o", markersize=4, color=COLOURS[0],
              label="the run")  # fmt: skip
    for kl, y, step in (points[0], points[-1]):
        axes.annotate(f"step {step}", (kl, y), textcoords="offset points", xytext=(5, -10), fontsize=8)
    if best:
        axes.plot([one["kl"] for one in best], [one[name] for one in best], marker="D", markersize=4, linestyle=":",
                  color=COLOURS[1], label="best of n of the start (bound on KL)")  # fmt: skip
        for one in best[1:]:
            axes.annotate(
                f"{one['n']:g}", (one["kl"], one[name]), textcoords="offset points", xytext=(4, 4), fontsize=8
            )
    told = {"reward": "reward", "win_rate": "win-rate over the start"}[name]
    axes.set(xlabel="KL from the start, nats per completion", ylabel=told, title=told.capitalize())
    axes.legend(frameon=False, fontsize=8)
