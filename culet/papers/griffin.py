"""Griffin (2402.19427): gated linear recurrences with local attention go on where global attention breaks down.

Axis letters: N seeds.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from culet.experiments.experiment import Claim, Experiment, Findings, Measurements, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.lm import DecoderConfig

GRIFFIN, ROPE, NOPE = "Griffin", "global attention, RoPE", "global attention, no positions"


class Sizes(NamedTuple):
    """Of models, training and timing."""

    layers: int
    width: int
    window: int
    course: tuple[int, int, int, float]  # steps, rows per step, tokens per row, learning rate
    contexts: tuple[int, int]  # tokens after which the cost of a token is measured
    repeats: int


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 16, 8, (4, 4, 32, 4e-3), (64, 64), 1),
    "laptop": Sizes(3, 96, 64, (160, 16, 128, 8e-3), (1024, 16 * 1024), 25),  # of 2, 4 and 8e-3, the best for each
}


def _config(scale: Scale, pattern: str, rope_fraction: float = 0.5) -> "DecoderConfig":
    """Layers of Griffin's kinds; the MLPs of global attention make up for its fewer parameters."""
    from culet.lm import scaled
    from culet.tasks import python_docs

    size = SIZES[scale]
    base = scaled(
        "griffin-100m", layers=size.layers, width=size.width, heads=2, window=size.window,
        vocabulary=python_docs.SIZES[scale].vocabulary,
    )  # fmt: skip
    hidden = base.hidden + (round(2 * size.width / 9) if pattern == "G" else 0)
    return dataclasses.replace(base, pattern=pattern[-size.layers :], rope_fraction=rope_fraction, hidden=hidden)


def _run(pattern: str, rope_fraction: float = 0.5) -> Any:
    """Trains a model on short rows, then measures it on rows eight times as long, and what a further token costs."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        import jax

        from culet.lm import decode_speed, loss_beyond, sizes
        from culet.tasks.python_docs import Course, by_position, streams, trained

        size, config = SIZES[scale], _config(scale, pattern, rope_fraction)
        course = Course(*size.course)
        model = trained(config.init(jax.random.key(seed)), scale, course, seed)
        short, long = 1 / decode_speed(model, size.contexts, repeats=size.repeats)
        measured = loss_beyond(model, streams(scale)[1], course.length)
        return {
            "budget": course.tokens,
            "parameters": sizes(config, 1).parameters,
            "cost_ratio": long / short,
            "microseconds": np.array([short, long]) * 1e6,
            "inside_loss": measured.inside,
            "beyond_loss": measured.beyond,
            **by_position(measured.by_position),
        }

    return per_seed(run)


def _figure(findings: Findings) -> "Figure":
    from culet.tasks.python_docs import position_figure

    return position_figure(findings, "Rows of eight times the training length", beyond=True)


def _attention_less_griffin(findings: Findings) -> np.ndarray:
    best = np.minimum(findings[ROPE]["beyond_loss"], findings[NOPE]["beyond_loss"])
    return best - findings[GRIFFIN]["beyond_loss"]


def _rise(measurements: Measurements) -> np.ndarray:
    return measurements["beyond_loss"] - measurements["inside_loss"]


experiment = Experiment(
    slug="griffin",
    question="Does a mixture of gated linear recurrences and local attention keep its loss on texts far longer than "
    "those it was trained on, where global attention of equal size does not, and at the same cost per token?",
    metrics=[
        Metric(name="beyond_loss", unit="nats per token at 4 to 8 training lengths", better="lower"),
        Metric(name="inside_loss", unit="the same tokens, at most one training length before them", better="lower"),
        Metric(name="cost_ratio", unit="of a token after 16,384 over one after 1,024", better="lower"),
        Metric(name="parameters", unit="numbers", better="lower"),
    ],
    budget_unit="tokens read",
    variants={
        GRIFFIN: Variant(description="recurrence, recurrence, attention to the last 64 tokens", run=_run("RRL")),
        ROPE: Variant(description="attention to all tokens, rotary positions", run=_run("G", rope_fraction=1.0)),
        NOPE: Variant(description="the same without positions", run=_run("G", rope_fraction=0.0)),
    },
    claims=[
        Claim(
            text="From 4 to 8 times the training length, Griffin's loss is at least 0.1 nats per token below that of "
            "the better of the two attention models.",
            margin=_attention_less_griffin,
            at_least=0.1,
        ),
        Claim(
            text="On the same tokens, the loss of either attention model rises by at least 0.03 nats per token more "
            "than Griffin's from at most one training length before them to 4 to 8.",
            margin=lambda findings: np.minimum(_rise(findings[ROPE]), _rise(findings[NOPE])) - _rise(findings[GRIFFIN]),
            at_least=0.03,
        ),
        Claim(
            text="On the same tokens, Griffin's loss with 4 to 8 training lengths before them is at most 0.02 nats "
            "above that with at most one.",
            margin=lambda findings: -_rise(findings[GRIFFIN]),
            at_least=-0.02,
        ),
        Claim(
            text="A token after 16,384 others costs Griffin at most 5% more time than one after 1,024.",
            margin=lambda findings: 1.05 - findings[GRIFFIN]["cost_ratio"],
            at_least=0.0,
        ),
    ],
    control={GRIFFIN: Variant(description="its local attention made global", run=_run("RRG"))},
    figure=_figure,
    deviations="The paper's models have at least 100M parameters, here they have 0.5 million; they read rows of 2,048 "
    "tokens and more, here of 128 in training and up to 1,024 in the evaluation; and the text is Python's own "
    "documentation. The cost is that of one sequence on a CPU, where the paper times batches on a TPU.",
    usage="culet train TEXTS --preset griffin-100m --scaled layers=3,width=96,heads=2,window=64 --out MODEL",
)  # fmt: skip
