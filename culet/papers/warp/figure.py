"""Two panels of WARP's picture: runs beside their merges, and the angles between runs.

Axis letters: N seeds, I iterations, M runs of an iteration, L layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from culet.core.plot import COLOURS

SHAPES = "osD^v"  # of the iterations
ROOM = 0.8  # of the bars of a layer


def draw_merges(
    axes: Any,
    alone: tuple[Float[np.ndarray, "N I M"], Float[np.ndarray, "N I M"]],
    merged: Mapping[str, tuple[Float[np.ndarray, "N I"], Float[np.ndarray, "N I"]]],
) -> None:
    """Divergence and reward of single runs and of each way to merge them; pale for a seed, full for the mean."""
    points = {"a run": alone} | {name: (kl[..., None], reward[..., None]) for name, (kl, reward) in merged.items()}
    for (name, (kl, reward)), colour in zip(points.items(), ("#999999", *COLOURS), strict=False):
        for number, shape in zip(range(kl.shape[1]), SHAPES, strict=False):
            style = {"color": colour, "marker": shape, "linestyle": "none"}
            axes.plot(kl[:, number].ravel(), reward[:, number].ravel(), alpha=0.25, markersize=4, **style)
            label = f"{name}, iteration {number + 1}"
            axes.plot(kl[:, number].mean(axis=0), reward[:, number].mean(axis=0), label=label, **style)
    axes.set(xlabel="KL from the supervised model, nats per caption")
    axes.set_title("The reward of each iteration's runs and of their merges", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=7)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)


def draw_angles(axes: Any, measured: Mapping[str, Float[np.ndarray, "N I L"]], layers: Sequence[str]) -> None:
    """Bars by layer, in degrees, one for each iteration; a dot for each seed."""
    bars = [(f"{what}, iteration {n + 1}", each[:, n]) for what, each in measured.items() for n in range(each.shape[1])]
    width = ROOM / len(bars)
    for number, ((label, values), colour) in enumerate(zip(bars, COLOURS, strict=False)):
        places = np.arange(len(layers)) + (number - (len(bars) - 1) / 2) * width
        axes.bar(places, values.mean(axis=0), width, color=colour, label=label)
        axes.plot(np.tile(places, len(values)), values.ravel(), "k.", markersize=3)
    axes.axhline(90, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xticks=np.arange(len(layers)), ylim=(0, 120), ylabel="degrees")
    axes.set_xticklabels(layers)
    axes.set_title("Angles between the two runs of an iteration, by layer", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=7, ncols=2)
