"""On-policy distillation (GKD, 2306.13649; Gemma 2, 2408.00118, section 4), for the experiment on Gemma 2.

A small summariser has learned its task from people's summaries and goes on with a larger one as its teacher: on those
summaries, or on its own, which it will have to go on from when nobody helps it.

Axis letters: B summaries, T tokens of a summary, P points of a run.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from culet.align.loop import AlignRecipe, align
from culet.align.methods import Distil
from culet.align.rollout import Rollout, hidden
from culet.core.plot import COLOURS
from culet.experiments.experiment import Findings, Scale
from culet.lm import Decoder, Recipe, scaled, text_rows, train
from culet.objectives import exact_kl
from culet.objectives.teacher import Divergence
from culet.tasks import summaries
from culet.tasks.captions import Use


class Sizes(NamedTuple):
    """Of students and their training."""

    steps: int
    summaries: int  # per step
    points: int  # of a run, after its start
    layers: int
    width: int
    steps_before: int  # of supervised training, of the student; 0: neither student nor teacher is trained
    divergence: Divergence | None  # one for all variants, so that little is compiled


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 4, 1, 1, 16, 0, "reverse_kl"),
    "laptop": Sizes(64, 64, 2, 2, 32, 200, None),
}
RATES: Mapping[tuple[Divergence, bool], float] = {  # on the student's own summaries or not; see `deviations`
    ("reverse_kl", True): 1.2e-2, ("reverse_kl", False): 2.4e-2,
    ("forward_kl", True): 4.8e-2, ("forward_kl", False): 4.8e-2,
    ("jensen_shannon", True): 2.4e-2, ("jensen_shannon", False): 4.8e-2,
}  # fmt: skip
MANY = 1000  # the seed of the teacher


@functools.cache
def teacher(scale: Scale) -> Decoder:
    """One for all seeds."""
    return summaries.supervised(scale, MANY) if SIZES[scale].steps_before else student(scale, MANY)


@functools.cache
def student(scale: Scale, seed: int) -> Decoder:
    """Of half the teacher's width, trained on the same summaries, less long."""
    size, tokenizer = SIZES[scale], summaries.tokenizer(scale)
    config = scaled(
        "gemma-2-2b", layers=size.layers, width=size.width, vocabulary=tokenizer.vocabulary, window=96, context=160
    )
    fresh = eqx.filter_jit(config.init)(jax.random.key(seed))
    if not size.steps_before:
        return fresh
    texts = [row.text + str(row.completions[0]) for row in summaries.lessons(scale, "training")]
    recipe = Recipe(steps=size.steps_before, batch_size=16, learning_rate=8e-3, seed=seed)
    return train(fresh, text_rows(texts, tokenizer, 160), recipe, progress=False)


def run(
    divergence: Divergence, own: bool, share: float, seed: int, scale: Scale, use: Use = "judging",
    rate: float | None = None, taught_by: Decoder | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Distils on the student's `own` summaries or on people's, of a share of the pictures; what was measured, [P].

    With "tuning" for `use` and other rates it is what the rates were chosen by.
    """
    size, measure = SIZES[scale], yardstick(scale, seed, use)
    points = [measure.of_student | {"step": 0.0}]

    def evaluate(policy: Decoder, step: int) -> dict[str, float]:
        points.append(measure(policy) | {"step": float(step)})
        return points[-1]

    rows = summaries.lessons(scale, "training")
    asked = summaries.prompts(scale, rows).first(int(share * len(rows)))
    recipe = AlignRecipe(
        steps=size.steps, batch_size=size.summaries, new_tokens=summaries.SIZES[scale].new_tokens, seed=seed,
        learning_rate=rate or RATES[divergence, own], evaluate_every=size.steps // size.points,
    )  # fmt: skip
    end = align(
        student(scale, seed), Distil(divergence=divergence, on_policy=float(own)), asked, recipe,
        teachers=(taught_by or teacher(scale),), evaluate=evaluate, progress=False,
    )  # fmt: skip
    measured = {name: np.array([point[name] for point in points]) for name in points[0]}
    return measured | {"apart_by_place": measure.apart(end), "budget": size.steps}


class Yardstick(summaries.Measure):
    """Measures students of one seed: their likeliest summaries, and how far their own samples are from the teacher."""

    def __init__(self, scale: Scale, seed: int, use: Use):
        super().__init__(scale, seed, use, teacher(scale))
        self.of_student = self(student(scale, seed))  # before it is distilled

    def apart(self, policy: Decoder) -> Float[np.ndarray, "T"]:
        """KL(teacher || student) at each token of what the student writes, in nats, mean over summaries that long."""
        rollout = self.written(policy, 1.0, 0)
        measured = np.asarray(_apart(policy, self.start, rollout))
        mask = np.asarray(rollout.mask)
        return (measured * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)


@functools.cache
def yardstick(scale: Scale, seed: int, use: Use) -> Yardstick:
    """One for all variants of a seed."""
    return Yardstick(scale, seed, use)


@eqx.filter_jit
def _apart(student: Decoder, teacher: Decoder, rollout: Rollout) -> Float[Array, "B T"]:
    logits = (jax.vmap(model.logits)(hidden(model, rollout)) for model in (student, teacher))
    return exact_kl(*logits, direction="forward")


def draw_students(panels: Any, findings: Findings, names: Sequence[str], of_less: Sequence[str]) -> None:
    """ROUGE-L by step, and how far students are from their teacher at each place of their own summaries."""
    for place, name in enumerate([*names, *of_less]):
        measured, colour = findings[name], COLOURS[place % (len(names) // 2)]
        dash = ":" if name in of_less else "--" if place >= len(names) // 2 else "-"
        panels[0].plot(
            measured["step"].mean(axis=0), measured["greedy_rouge_l"].mean(axis=0), dash, color=colour, label=name
        )
        apart = measured["apart_by_place"]
        panels[1].plot(np.arange(1, apart.shape[1] + 1), apart.mean(axis=0), dash, color=colour)
    panels[0].set_title("ROUGE-L of the likeliest summaries", loc="left", fontsize=11)
    panels[1].set_title("KL(teacher || student) on the student's own summaries, nats", loc="left", fontsize=11)
    for panel, x in zip(panels, ("step", "token of the summary"), strict=True):
        panel.set(xlabel=x)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
