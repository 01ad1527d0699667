"""Gemma 2 (2408.00118): a small model learns more from a teacher's distributions than from the tokens themselves.

Axis letters: N seeds.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from culet.core.experiment import Arm, Claim, Experiment, Findings, Metric, Scale, one_by_one

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.lm import Decoder, DecoderConfig
    from culet.papers.language import Course

STUDENT, TWIN, TEACHER = "student, distilled", "twin, tokens alone", "teacher"


def _course(scale: Scale) -> "Course":
    from culet.papers.language import Course

    if scale == "smoke":
        return Course(steps=8, batch_size=4, length=32, rate=4e-3)
    return Course(steps=160, batch_size=16, length=128, rate=8e-3)  # of 4 and 8e-3, the twin's best


def _config(scale: Scale, width: int, layers: int) -> "DecoderConfig":
    from culet.lm import scaled
    from culet.papers.language import VOCABULARY

    if scale == "smoke":  # one shape for all, so that little is compiled
        width, layers = 16, 2
    return scaled("gemma-2-2b", layers=layers, width=width, vocabulary=VOCABULARY[scale], window=64, context=128)


def _student(scale: Scale, seed: int) -> "Decoder":
    import jax

    return _config(scale, 64, 4).init(jax.random.key(seed))


@functools.cache
def _teacher(scale: Scale, trained: bool = True) -> "Decoder":
    """One teacher for all seeds, trained on the text that the students read, for twice as many steps."""
    import jax

    from culet.papers.language import learn, stream_rows, streams

    model, course = _config(scale, 128, 4).init(jax.random.key(1000)), _course(scale)
    if scale == "laptop":
        course = dataclasses.replace(course, steps=2 * course.steps)
    return learn(model, stream_rows(streams(scale)[0], course.length), course, 1000) if trained else model


def _arm(teacher: Callable[[Scale], "Decoder"] | None) -> Any:
    """Trains the student of a seed, with a teacher or without, and measures it on held-out text."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        from culet.papers.language import learn, stream_rows, streams

        course = _course(scale)
        rows = stream_rows(streams(scale)[0], course.length)
        model = learn(_student(scale, seed), rows, course, seed, teacher and teacher(scale))
        return {"budget": course.tokens, **_measured(model, scale)}

    return one_by_one(run)


def _reference(seed: int, scale: Scale) -> dict[str, Any]:
    del seed
    return _measured(_teacher(scale), scale)


def _measured(model: "Decoder", scale: Scale) -> dict[str, Any]:
    from culet.papers.language import curve, parameters, stream_rows, streams, token_losses

    losses = token_losses(model, stream_rows(streams(scale)[1], _course(scale).length))
    return {"held_out_loss": losses.mean(), "parameters": parameters(model), **curve(losses, bins=16)}


def _figure(findings: Findings) -> "Figure":
    from culet.papers.language import place_figure

    return place_figure(findings, "Equal tokens: taught by a larger model, or by the text alone")


experiment = Experiment(
    slug="gemma-2",
    question="Does a small model that learns a larger one's distributions predict held-out text better than its twin, "
    "which starts from the same weights and reads the same tokens alone?",
    metrics=[
        Metric(name="held_out_loss", unit="nats per token", better="lower"),
        Metric(name="parameters", unit="numbers", better="lower"),
    ],
    budget_unit="tokens read",
    arms={
        STUDENT: Arm(what="learns the whole distribution of the teacher at each place", run=_arm(_teacher)),
        TWIN: Arm(what="the same weights, rows, order, steps and rate; learns the tokens that came", run=_arm(None)),
        TEACHER: Arm(
            what="twice as wide, trained on tokens for twice as many steps", run=one_by_one(_reference),
            equal_budget=False,
        ),
    },
    claims=[
        Claim(
            text="The distilled student's held-out loss is at least 0.01 nats per token below its twin's.",
            margin=lambda findings: findings[TWIN]["held_out_loss"] - findings[STUDENT]["held_out_loss"],
            at_least=0.01,
        )
    ],
    control={
        STUDENT: Arm(what="learns from a teacher that was never trained", run=_arm(lambda s: _teacher(s, False)))
    },
    figure=_figure,
    different="The paper distils 2B and 9B models on trillions of tokens, 50 times what is optimal for them. Here "
    "the text is Python's own documentation, read less than once, the student has a quarter of a million parameters, "
    "and one teacher serves all seeds. Student and twin spend equal tokens, not equal arithmetic: the teacher's "
    "forward passes and training come on top, as in the paper.",
    usage="culet distil TEACHER TEXTS --preset gemma-2-2b --scaled layers=4,width=64 --out STUDENT",
)  # fmt: skip
