"""Topics of Python's sources: the corpus, a loop that keeps a curve of scores, and the figure of such curves.

The corpus is the standard library's sources in chunks of 60 lines. A constant shuffle parts it: documents 0 to 999 are
scored on, 1,000 to 1,499 were used to choose priors and are not used here, the next ones are learned from. Seeds change
the first topics, the order of documents and the samples.

Axis letters: D documents, V vocabulary, P points of a curve, N seeds.
"""

import functools
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from culet.experiments.experiment import Findings, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#1f5a99", "#d1622b", "#2e8b57", "#8a4fa3", "#b8860b", "#555555", "#c23b6b")


class Sizes(NamedTuple):
    """Of the corpus and of a run."""

    passes: int
    documents: int  # to learn from
    batch_size: int
    sources: int | None  # the first so many, and documents of one width, so that each program is compiled once


SIZES: Mapping[Scale, Sizes] = {"smoke": Sizes(2, 64, 16, 600), "laptop": Sizes(3, 12_000, 256, None)}


@functools.cache
def corpus(scale: Scale) -> tuple[Any, Any]:
    """Counts to learn from and counts to score on, over one vocabulary."""
    from culet.inference import count_words, python_sources

    size = SIZES[scale]
    if size.sources is not None:
        counts = count_words(islice(python_sources(), size.sources)).counts
        words = np.diff(counts.indptr)
        counts = counts[(words > 32) & (words <= 48)]
        return counts[16 : 16 + size.documents], counts[:16]
    counts = count_words(python_sources()).counts
    order = np.random.default_rng(0).permutation(counts.shape[0])
    return counts[order[1500 : 1500 + size.documents]], counts[order[:1000]]


def follow(model: Any, scale: Scale, advance: Callable[[Any, Any, int], None] | None = None) -> dict[str, Any]:
    """Learns in minibatches and scores as it goes: at a quarter and a half of the first pass, and after every pass.

    `advance(model, minibatch, D)` makes a step, `partial_fit` by default. `seconds` do not count scoring, but
    compiling.
    """
    from culet.inference import Minibatches

    train, test = corpus(scale)
    documents = train.shape[0]
    marks = [documents // 4, documents // 2, *(documents * (done + 1) for done in range(model.passes))]
    spent, seen = 0.0, 0
    curve, seconds, places = [], [], []
    for minibatch in Minibatches(train, passes=model.passes, batch_size=model.batch_size, seed=model.seed):
        begun = time.perf_counter()
        if advance is None:
            model.partial_fit(minibatch, documents=documents)
        else:
            advance(model, minibatch, documents)
        np.asarray(model.share)  # waits
        spent += time.perf_counter() - begun
        before, seen = seen, seen + minibatch.shape[0]
        if any(before < mark <= seen for mark in marks):
            curve.append(model.score(test))
            seconds.append(spent)
            places.append(seen / documents)
    return {
        "budget": model.passes,
        "score": curve[-1],
        "first_pass": curve[-model.passes],
        "curve": np.array(curve),
        "places": np.array(places),
        "seconds": np.array(seconds),
        "topics_in_use": model.in_use(),
    }


def curves_figure(findings: Findings, title: str) -> "Figure":
    """Held-out score over passes and over seconds, each seed a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for (name, measured), colour in zip(findings.items(), _COLOURS, strict=False):
        for seed, curve in enumerate(measured["curve"]):
            label = name if seed == 0 else None
            left.plot(measured["places"][seed], curve, color=colour, label=label, marker=".", linewidth=1.4)
            right.plot(measured["seconds"][seed], curve, color=colour, marker=".", linewidth=1.4)
    left.set_xlabel("passes over the corpus")
    right.set_xlabel("seconds, with compiling")
    right.set_xscale("log")
    left.set_ylabel("held-out score, nats per word")
    left.set_title(title, loc="left", fontsize=11)
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    return figure
