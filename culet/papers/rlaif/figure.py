"""Panels of RLAIF's picture: win-rates as runs go on, how rewards age, and the table of labellers.

Axis letters: N seeds, P points of a run.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from culet.core.plot import COLOURS
from culet.experiments.experiment import Findings

COLUMNS = {
    "agreement": "agrees with\npeople",
    "single_agreement": "in one\norder",
    "changed": "verdict turns\nwith the order",
    "averaged_changed": "after\naveraging",
    "first": "probability of\nthe first shown",
}


def draw_steps(axes: Any, findings: Findings, names: Sequence[str]) -> None:
    """Win-rates [N P] over steps, the mean with a thin line for each seed."""
    for name, colour in zip(names, COLOURS, strict=False):
        step, rate = findings[name]["step"], findings[name]["win_rate"]
        axes.plot(step.T, rate.T, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(step.mean(axis=0), rate.mean(axis=0), color=colour, marker=".", label=name)
    axes.set(xlabel="step", ylabel="win-rate")
    axes.set_title("Win-rate over the supervised model, by the unseen judge", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)


def draw_accuracy(axes: Any, findings: Findings, names: Sequence[str]) -> None:
    """How well each reward orders pairs of the supervised model and of the policy it made; a dot for each seed."""
    for side, (moment, label) in enumerate((("before", "pairs of the supervised model"), ("after", "of the policy"))):
        places = np.arange(len(names)) + 0.4 * side - 0.2
        values = np.stack([findings[name][moment] for name in names])
        axes.bar(places, values.mean(axis=1), 0.38, color=COLOURS[side], label=label)
        axes.plot(np.repeat(places, values.shape[1]), values.ravel(), "k.", markersize=4)
    axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xticks=np.arange(len(names)), ylim=(0.4, 1), ylabel="share of pairs")
    axes.set_xticklabels([name.replace(", one", ",\none") for name in names], fontsize=8)
    axes.set_title("Pairs that the reward orders as they are worth", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw_labellers(axes: Any, findings: Findings, names: Sequence[str]) -> None:
    """A table of what labellers say of the same pairs: means over seeds, with the least and the greatest."""
    cells = [[_cell(findings[name][column]) for column in COLUMNS] for name in names]
    table = axes.table(cells, rowLabels=list(names), colLabels=list(COLUMNS.values()), loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 2.6)
    axes.axis("off")
    people = findings[names[0]]["people_agree"].mean()
    axes.set_title(f"Labellers about pairs (two people agree in {people:.3f})", loc="left", fontsize=11)


def _cell(values: np.ndarray) -> str:
    return f"{values.mean():.3f}\n{values.min():.3f} to {values.max():.3f}"
