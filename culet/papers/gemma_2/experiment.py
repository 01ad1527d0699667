"""Gemma 2 (2408.00118): a small model learns more from a teacher's distributions than from the tokens themselves.

Once in pre-training, and once in learning a task, there on texts of its own (`culet.papers.gemma_2.on_policy`).

Axis letters: N seeds.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.lm import Decoder
    from culet.objectives.teacher import Divergence

STUDENT, TWIN, TEACHER = "student, distilled", "twin, tokens alone", "teacher"
DIVERGENCES: Mapping[str, "Divergence"] = {
    "forward KL": "forward_kl", "reverse KL": "reverse_kl", "Jensen-Shannon": "jensen_shannon",
}  # fmt: skip
SUPERVISED, ON_POLICY = ({name: f"{way}, {name}" for name in DIVERGENCES} for way in ("supervised", "on-policy"))
SHARES = {f"{ON_POLICY['reverse KL']}, {percent}% of the data": percent / 100 for percent in (5, 25)}
SUMMARISER = "teacher of summaries"


class Sizes(NamedTuple):
    """Of the models that read Python's documentation, and of their training."""

    layers: int
    width: int  # of student and twin
    teacher_width: int
    course: tuple[int, int, int, float]  # steps, rows per step, tokens per row, learning rate
    teacher_steps: int


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 16, 16, (2, 4, 32, 4e-3), 2),  # one shape for all, so that little is compiled
    "laptop": Sizes(4, 64, 128, (64, 16, 128, 8e-3), 128),
}


def _model(scale: Scale, width: int, seed: int) -> "Decoder":
    import equinox as eqx
    import jax

    from culet.lm import scaled
    from culet.tasks import python_docs

    config = scaled(
        "gemma-2-2b", layers=SIZES[scale].layers, width=width, vocabulary=python_docs.SIZES[scale].vocabulary,
        window=64, context=128,
    )  # fmt: skip
    return eqx.filter_jit(config.init)(jax.random.key(seed))


@functools.cache
def _teacher(scale: Scale, trained: bool = True) -> "Decoder":
    """One teacher for all seeds, trained on the text that the students read, for twice as many steps."""
    from culet.tasks import python_docs

    size = SIZES[scale]
    model, course = _model(scale, size.teacher_width, 1000), python_docs.Course(*size.course)
    course = course._replace(steps=size.teacher_steps)
    return python_docs.trained(model, scale, course, 1000) if trained else model


def _reads(teacher: Callable[[Scale], "Decoder"] | None) -> Any:
    """Trains the student of a seed, with a teacher or without, and measures it on held-out text."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        from culet.lm import distil, stream_rows
        from culet.tasks.python_docs import Course, streams, trained

        course, model = Course(*SIZES[scale].course), _model(scale, SIZES[scale].width, seed)
        if teacher is None:
            model = trained(model, scale, course, seed)
        else:
            rows = stream_rows(streams(scale)[0], course.length)
            model = distil(model, teacher(scale), rows, course.recipe(seed), progress=False)
        return {"budget": course.steps, **_measured(model, scale)}

    return per_seed(run)


def _reference(seed: int, scale: Scale) -> dict[str, Any]:
    del seed
    return _measured(_teacher(scale), scale)


def _measured(model: "Decoder", scale: Scale) -> dict[str, Any]:
    from culet.lm import loss_by_position, sizes, stream_rows, token_losses
    from culet.tasks.python_docs import Course, by_position, streams

    length = Course(*SIZES[scale].course).length
    losses = token_losses(model, stream_rows(streams(scale)[1], length))
    parameters = sizes(model.config, length).parameters
    return {"held_out_loss": losses.mean(), "parameters": parameters, **by_position(loss_by_position(losses, 16))}


def _taught(name: str, own: bool, share: float = 1.0, trained: bool = True) -> Variant:
    """A summariser distilled on its `own` summaries or on people's, of a share of the pictures."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        from culet.papers.gemma_2 import on_policy

        divergence = on_policy.SIZES[scale].divergence or DIVERGENCES[name]
        taught_by = None if trained else on_policy.student(scale, 1000 + seed)
        measured = on_policy.run(divergence, own, share, seed, scale, taught_by=taught_by)
        ends = {"rouge_l": "greedy_rouge_l", "rouge_1": "greedy_rouge_1", "kl": "kl"}
        return measured | {f"final_{key}": measured[name][-1] for key, name in ends.items()}

    source = "on its own summaries" if own else "on people's summaries"
    part = f" of {100 * share:g}% of the pictures" if share < 1 else ""
    by = "its teacher" if trained else "one no better than itself"
    return Variant(description=f"a small summariser learns the {name} from {by} {source}{part}", run=per_seed(run))


def _summariser(seed: int, scale: Scale) -> dict[str, Any]:
    from culet.papers.gemma_2.on_policy import yardstick

    measurements = yardstick(scale, seed, "judging").of_start
    return {f"final_{key}": measurements[f"greedy_{key}"] for key in ("rouge_l", "rouge_1")}


def _gain_on_policy(findings: Findings) -> Float[np.ndarray, "N"]:
    """The least gain in ROUGE-L over supervised distillation with the same divergence."""
    gains = [
        findings[ON_POLICY[name]]["final_rouge_l"] - findings[SUPERVISED[name]]["final_rouge_l"] for name in ON_POLICY
    ]
    return np.min(gains, axis=0)


def _from_less(findings: Findings) -> Float[np.ndarray, "N"]:
    """What on-policy distillation has on 5% of the data more than the best supervised one on all of them."""
    best = np.max([findings[name]["final_rouge_l"] for name in SUPERVISED.values()], axis=0)
    return findings[min(SHARES, key=SHARES.__getitem__)]["final_rouge_l"] - best


def _nearer(findings: Findings) -> Float[np.ndarray, "N"]:
    """How much less of the divergence of a student's own summaries is left, the least over divergences."""
    own, other = (
        np.stack([findings[each[name]]["final_kl"] for name in DIVERGENCES]) for each in (ON_POLICY, SUPERVISED)
    )
    return (1 - own / other).min(axis=0)


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    from culet.papers.gemma_2.on_policy import draw_students
    from culet.tasks.python_docs import draw_positions

    figure = Figure(figsize=(16, 5), dpi=100, layout="constrained")
    panels: Any = figure.subplots(1, 3)
    read = {name: findings[name] for name in (STUDENT, TWIN, TEACHER)}
    draw_positions(panels[0], read, "Equal tokens: taught by a larger model, or by the text alone")
    draw_students(panels[1:], findings, [*ON_POLICY.values(), *SUPERVISED.values()], list(SHARES))
    return figure


_DEVIATIONS = (
    "The paper distils 2B and 9B models on trillions of tokens, 50 times what is optimal for them. Here the text is "
    "Python's own documentation, read less than once, the student has a quarter of a million parameters, and one "
    "teacher serves all seeds. Both have the rate that was best for the twin, of 4e-3 and 8e-3 in 160 steps. Student "
    "and twin spend equal tokens, not equal arithmetic: the teacher's forward passes and training come on top, as in "
    "the paper. On-policy distillation, of which the paper has one sentence, is put to the test of GKD (2306.13649), "
    "which has T5 of 77 million to 3 billion parameters and summaries of news: here four captions of a picture of "
    "Multi30k are summarised, with the fifth as the target (made-up captions at smoke scale, where all divergences are "
    "the reverse KL and nothing is trained before). The teacher, one for all seeds, has 0.23 million parameters and "
    "400 steps; the students have half its width and begin after 200 steps of supervised training, as GKD's do after "
    "some. Each goes on for 64 steps of 64 pictures, from the same teacher, on its own summaries at temperature 1 or "
    "on people's. Jensen-Shannon is GKD's with the weight 0.5. ROUGE is that of the likeliest summaries, as GKD takes "
    "them. A step on own summaries costs more than one on people's, for they are written first (3 seconds of 13 a "
    "run); the budget counts steps. Rates were chosen for each variant by ROUGE-L on seed 100 and the part "
    "val, in runs of "
    "full length, among 3e-3, 6e-3, 1.2e-2, 2.4e-2 and 4.8e-2: on own summaries reverse KL had 0.282, 0.299, 0.309 and "
    "0.304 (4.8e-2 was not tried), forward KL 0.289, 0.294, 0.305, 0.319 and 0.326, Jensen-Shannon 0.292, 0.301, "
    "0.305, 0.314 and 0.305; on people's 0.271, 0.293, 0.296, 0.298 and 0.292, 0.296, 0.311, 0.309, 0.324 and 0.333, "
    "0.283, 0.298, 0.296, 0.316 and 0.325. Forward KL, and Jensen-Shannon on people's, were best at the largest that "
    "was tried. The shares of the data have the rate of all of it."
)

experiment = Experiment(
    slug="gemma-2",
    question="Does a small model that learns a larger one's distributions predict held-out text better than its twin, "
    "which starts from the same weights and reads the same tokens alone; and does it learn a task better from its "
    "teacher on texts of its own than on people's?",
    metrics=[
        Metric(name="held_out_loss", unit="nats per token", better="lower"),
        Metric(name="parameters", unit="numbers", better="lower"),
        Metric(name="final_rouge_l", unit="ROUGE-L of summaries", better="higher"),
        Metric(name="final_rouge_1", unit="ROUGE-1 of summaries", better="higher"),
        Metric(name="final_kl", unit="nats per summary of its own, from its teacher", better="lower"),
    ],
    budget_unit="training steps, of 2,048 tokens of text or 64 summaries",
    variants={
        STUDENT: Variant(
            description="learns the whole distribution of the teacher at each place", run=_reads(_teacher)
        ),
        TWIN: Variant(
            description="the same weights, rows, order, steps and rate; learns the tokens that came", run=_reads(None)
        ),
        TEACHER: Variant(
            description="twice as wide, trained on tokens for twice as many steps", run=per_seed(_reference),
            equal_budget=False,
        ),
        **{ON_POLICY[name]: _taught(name, True) for name in DIVERGENCES},
        **{SUPERVISED[name]: _taught(name, False) for name in DIVERGENCES},
        **{variant: _taught("reverse KL", True, share) for variant, share in SHARES.items()},
        SUMMARISER: Variant(
            description="twice as wide, trained on people's summaries for twice as many steps",
            run=per_seed(_summariser),
            equal_budget=False,
        ),
    },
    claims=[
        Claim(
            text="The distilled student's held-out loss is at least 0.01 nats per token below its twin's.",
            margin=lambda findings: findings[TWIN]["held_out_loss"] - findings[STUDENT]["held_out_loss"],
            at_least=0.01,
        ),
        Claim(
            text="A summariser that is distilled on its own summaries has at least the ROUGE-L of one that is on "
            "people's, by each of three divergences.",
            margin=_gain_on_policy,
            at_least=0.0,
        ),
        Claim(
            text="So it has with 5% of the pictures, against the best of those on people's with all of them.",
            margin=_from_less,
            at_least=0.0,
        ),
        Claim(
            text="On its own summaries it is nearer to its teacher, KL(student || teacher), by each divergence.",
            margin=_nearer,
            at_least=0.0,
        ),
    ],
    control={
        STUDENT: Variant(
            description="learns from a teacher that was never trained",
            run=_reads(lambda scale: _teacher(scale, False)),
        ),
        **{ON_POLICY[name]: _taught(name, True, trained=False) for name in DIVERGENCES},
    },
    figure=_figure,
    deviations=_DEVIATIONS,
    usage="culet distil TEACHER TEXTS --preset gemma-2-2b --scaled layers=4,width=64 --out STUDENT",
)  # fmt: skip
