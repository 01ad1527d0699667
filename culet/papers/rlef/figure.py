"""The panels of the figure of RLEF.

Axis letters: N seeds, P points of a run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from culet.core.plot import COLOURS
from culet.experiments.experiment import Findings, Measurements


def draw_runs(axes: Any, findings: Findings, names: Sequence[str], x: str, y: str, point: str | None) -> None:
    """One measure of runs against another [N, P], a thin line for each seed; `point`, a variant, as a diamond."""
    for name, colour in zip(names, COLOURS, strict=False):
        measured = findings[name]
        axes.plot(measured[x].T, measured[y].T, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(measured[x].mean(axis=0), measured[y].mean(axis=0), color=colour, marker=".", label=name)
    if point is not None:
        axes.plot(findings[point][x], findings[point][y], "D", color="#999999", label=point, markersize=4)
    _plain(axes)


def draw_areas(axes: Any, scorers: Mapping[str, Measurements], sets: Sequence[str]) -> None:
    """Bars of the areas under the curve that scorers reach on sets of labels; chance is a line."""
    kept = [name for name in sets if all(name in measured for measured in scorers.values())]
    for place, ((scorer, measured), colour) in enumerate(zip(scorers.items(), COLOURS, strict=False)):
        heights = [float(np.mean(measured[name])) for name in kept]
        axes.bar(np.arange(len(kept)) + 0.4 * place - 0.2, heights, width=0.38, color=colour, label=scorer)
    labels = [name.removeprefix("auc_").replace("_", " ") for name in kept]
    axes.set_xticks(range(len(kept)), labels, rotation=25, ha="right", fontsize=9)
    axes.axhline(0.5, color="#333333", linewidth=0.8, linestyle=":")
    axes.set(ylim=(0, 1), ylabel="area under the curve")
    axes.set_title("The scorer on labels it has not seen", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
