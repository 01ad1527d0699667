"""Python's documentation as text for small language models: tokens, the sizes of a run, and how loss is drawn.

Axis letters: S tokens of a text, N seeds, B bins.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Int

from culet.core.plot import COLOURS
from culet.core.text import Document
from culet.experiments.experiment import Findings, Scale
from culet.lm import Decoder, Recipe, train, train_tokenizer
from culet.lm.position_loss import PositionLoss, stream_rows
from culet.quickstart.corpus import documents

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sizes(NamedTuple):
    """Of the text."""

    vocabulary: int
    library: bool  # the library's docstrings too, or the chapters on the language alone


SIZES: Mapping[Scale, Sizes] = {"smoke": Sizes(512, False), "laptop": Sizes(1024, True)}


@functools.cache
def streams(scale: Scale) -> tuple[Int[np.ndarray, "S"], Int[np.ndarray, "S2"]]:
    """The tokens of Python's documentation, to train on and held out, whole documents one after the other.

    Of the chapters on the language alone, one in eight is held out.
    """
    size = SIZES[scale]
    held, training = _all_documents() if size.library else _chapters()
    tokenizer = train_tokenizer(training, size.vocabulary)
    first, second = (
        np.concatenate([np.asarray(tokenizer.encode(text, eos=True, special=False), np.int32) for text in texts])
        for texts in (training, held)
    )
    return first, second


def _all_documents() -> tuple[list[str], list[str]]:
    held = [document.text for document in documents() if document.held_out]
    return held, [document.text for document in documents() if not document.held_out]


def _chapters() -> tuple[list[str], list[str]]:
    from pydoc_data.topics import topics

    texts = [Document(title, text) for title, text in sorted(topics.items())]
    held = [document.text for document in texts[::8]]
    return held, [document.text for i, document in enumerate(texts) if i % 8]


class Course(NamedTuple):
    """How much a model reads and how fast it learns; AdamW, a warm-up over a tenth of the steps, then a cosine."""

    steps: int
    batch_size: int  # rows per step
    length: int  # tokens per row
    learning_rate: float  # its peak

    @property
    def tokens(self) -> int:
        """How many are read, counting those that are read again."""
        return self.steps * self.batch_size * self.length

    def recipe(self, seed: int) -> Recipe:
        """These numbers for `culet.lm.train`."""
        return Recipe(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate, warmup=0.1, seed=seed
        )


def trained(model: Decoder, scale: Scale, course: Course, seed: int) -> Decoder:
    """The model after it has learned the text's next tokens."""
    return train(model, stream_rows(streams(scale)[0], course.length), course.recipe(seed), progress=False)


def by_position(curve: PositionLoss) -> dict[str, np.ndarray]:
    """The curve as the measurements that `draw_positions` draws."""
    return {"places": curve.positions, "loss_by_place": curve.loss}


def position_figure(findings: Findings, title: str, beyond: bool = False) -> "Figure":
    """A figure with `draw_positions` alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    draw_positions(figure.add_subplot(), findings, title, beyond)
    return figure


def draw_positions(axes: Any, findings: Findings, title: str, beyond: bool = False) -> None:
    """Loss by position, a thin line for each seed; `beyond` marks an eighth of it, the length of the training rows."""
    for (name, measured), colour in zip(findings.items(), COLOURS, strict=False):
        axes.plot(measured["places"][0], measured["loss_by_place"].T, color=colour, alpha=0.35, linewidth=1)
        axes.plot(measured["places"][0], measured["loss_by_place"].mean(axis=0), color=colour, label=name)
    if beyond:
        places = next(iter(findings.values()))["places"][0]
        edge = (places[0] + places[-1]) / 8
        axes.axvline(edge, color="#999999", linestyle="--", linewidth=1, label="length of the training rows")
    axes.set(xlabel="tokens before this one", ylabel="held-out loss, nats per token")
    axes.set_title(title, loc="left", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
