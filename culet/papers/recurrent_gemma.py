"""RecurrentGemma (2404.07839): as good as a Gemma of its size, with a state that does not grow.

Axis letters: N seeds.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.lm import DecoderConfig

RECURRENT, GEMMA = "RecurrentGemma", "Gemma"
SHORT, LONG = 1024, 16 * 1024  # tokens whose state is measured


class Sizes(NamedTuple):
    """Of models and training."""

    layers: int
    width: int
    window: int
    course: tuple[int, int, int, float]  # steps, rows per step, tokens per row, learning rate


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 16, 8, (4, 4, 32, 4e-3)),
    "laptop": Sizes(3, 96, 64, (160, 16, 128, 8e-3)),  # of 2, 4 and 8e-3, Gemma's best
}


def _config(scale: Scale, preset: str, pattern: str) -> "DecoderConfig":
    """Layers of either kind, the MLPs of Gemma a little wider, so that both have equally many parameters."""
    from culet.lm import scaled
    from culet.tasks import python_docs

    size = SIZES[scale]
    hidden = 3 * size.width + (round(2 * size.width / 9) if pattern == "G" else 0)
    config = scaled(
        preset, layers=size.layers, width=size.width, heads=2, kv_heads=1, hidden=hidden, window=size.window,
        vocabulary=python_docs.SIZES[scale].vocabulary,
    )  # fmt: skip
    return dataclasses.replace(config, pattern=pattern[-size.layers :])


def _run(preset: str, pattern: str) -> Any:
    """Trains a model on short rows and measures its loss inside and beyond their length, and the size of its state."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        import jax

        from culet.lm import loss_beyond, sizes
        from culet.tasks.python_docs import Course, by_position, streams, trained

        course, config = Course(*SIZES[scale].course), _config(scale, preset, pattern)
        model = trained(config.init(jax.random.key(seed)), scale, course, seed)
        measured = loss_beyond(model, streams(scale)[1], course.length)
        return {
            "budget": course.tokens,
            "parameters": sizes(config, SHORT).parameters,
            "state_bytes": sizes(config, SHORT).cache_bytes,
            "long_state_bytes": sizes(config, LONG).cache_bytes,
            "inside_loss": measured.inside,
            "beyond_loss": measured.beyond,
            **by_position(measured.by_position),
        }

    return per_seed(run)


def _figure(findings: Findings) -> "Figure":
    from culet.tasks.python_docs import position_figure

    return position_figure(findings, "Equal size and tokens, rows of eight times the training length", beyond=True)


experiment = Experiment(
    slug="recurrent-gemma",
    question="Does a Gemma whose global attention is replaced by gated linear recurrences and local attention learn as "
    "much from the same tokens, while what it keeps of a text stays the same size?",
    metrics=[
        Metric(name="inside_loss", unit="nats per token within the training length", better="lower"),
        Metric(name="beyond_loss", unit="the same tokens, 4 to 8 training lengths before them", better="lower"),
        Metric(name="state_bytes", unit="bytes after 1,024 tokens, bfloat16", better="lower"),
        Metric(name="long_state_bytes", unit="bytes after 16,384 tokens", better="lower"),
        Metric(name="parameters", unit="numbers", better="lower"),
    ],
    budget_unit="tokens read",
    variants={
        RECURRENT: Variant(
            description="recurrences, attention to the last 64 tokens", run=_run("recurrent-gemma-2b", "RRL")
        ),
        GEMMA: Variant(description="three layers of attention to all tokens", run=_run("gemma-2b", "G")),
    },
    claims=[
        Claim(
            text="Within the training length, RecurrentGemma's held-out loss is at most 0.05 nats per token above "
            "Gemma's.",
            margin=lambda findings: findings[GEMMA]["inside_loss"] - findings[RECURRENT]["inside_loss"],
            at_least=-0.05,
        ),
        Claim(
            text="On the same tokens, its loss with 4 to 8 training lengths before them is at most 0.02 nats above "
            "that with at most one.",
            margin=lambda findings: findings[RECURRENT]["inside_loss"] - findings[RECURRENT]["beyond_loss"],
            at_least=-0.02,
        ),
        Claim(
            text="Its state has the same size after 16,384 tokens as after 1,024.",
            margin=lambda findings: 1.0 - findings[RECURRENT]["long_state_bytes"] / findings[RECURRENT]["state_bytes"],
            at_least=0.0,
        ),
        Claim(
            text="After 16,384 tokens, Gemma's cache is at least ten times as large as its state.",
            margin=lambda findings: findings[GEMMA]["long_state_bytes"] / findings[RECURRENT]["long_state_bytes"],
            at_least=10.0,
        ),
    ],
    control={
        RECURRENT: Variant(description="its local attention made global", run=_run("recurrent-gemma-2b", "RRG")),
    },
    figure=_figure,
    deviations="The paper trains 2B and 9B models on two trillion tokens and compares them with Gemmas trained on "
    "more, by benchmarks of skills. Here both have 0.5 million parameters, read the same tokens of Python's "
    "own documentation, and are compared by held-out loss, on rows of 128 tokens in training and 1,024 at most later.",
    usage="culet train TEXTS --preset recurrent-gemma-2b --scaled layers=3,width=96,heads=2,window=64 --out MODEL",
)  # fmt: skip
