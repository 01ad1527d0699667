"""What a topic model found, as a picture: the words of its largest topics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from culet.inference.topics.models import TopicModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS, _MOST, _WORDS = 4, 16, 8


def topic_figure(model: TopicModel, vocabulary: Sequence[str]) -> "Figure":
    """Bars of the eight most probable words of up to sixteen topics, those that explain most tokens first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    largest = np.argsort(-model.share, kind="stable")[:_MOST]
    rows = -(-len(largest) // _COLUMNS)
    figure = Figure(figsize=(3 * _COLUMNS, 2.1 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for place, topic in enumerate(largest):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        words = np.argsort(-model.beta[topic], kind="stable")[:_WORDS][::-1].tolist()
        axes.barh(range(len(words)), model.beta[topic][words], color="#1f5a99")
        axes.set_yticks(range(len(words)), [vocabulary[int(word)] for word in words], fontsize=8)
        axes.tick_params(axis="x", labelsize=6)
        axes.set_title(f"topic {topic}: {model.share[topic]:.1%} of tokens", loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
