"""MusicRL (2402.04229): a maker of music tuned on rewards for its prompt and on what raters chose, one after the other.

Axis letters: N seeds, B prompts, S phrases of each, P points of a run.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.align.rewards.answer import Reward
    from culet.lm import Decoder
    from culet.tasks.tunes.phrases import Use

SUPERVISED, R, U, RU = "supervised", "R", "U", "RU"
STAGES: Mapping[str, str] = {R: "RR", U: "UU", RU: "RU"}  # what is learned from, stage by stage
BROKEN: Mapping[str, str] = {U: "GG", RU: "RG"}  # with raters who guess
BEST: Mapping[str, tuple[str, ...]] = {
    "best of 8 by R": ("reward_r",),
    "best of 8 by U": ("reward_u",),
    "best of 8 by R + U": ("reward_r", "reward_u"),
}
RATES: Mapping[str, float] = {"R": 3e-3, "U": 5e-3, "G": 5e-3}  # of the stages; see `deviations`
BETA = 0.2
MEASURED_ON: "Use" = "judging"
ENDS = ("win_rate", "wins_r", "wins_u", "kl", "conformity", "quality", "taste", "length")


class Sizes(NamedTuple):
    """Of the stages."""

    steps: int  # of a stage
    prompts: int  # per step
    each: int  # phrases of a prompt
    points: int  # of a stage, after its start


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 2, 2, 1),
    "laptop": Sizes(48, 32, 8, 2),
}


def _reward(letter: str, scale: Scale, seed: int) -> "Reward":
    from culet.tasks.tunes.training_rewards import reward_r, reward_u

    return reward_r(scale, seed) if letter == "R" else reward_u(scale, seed, guessed=letter == "G")


@functools.cache
def _after(scale: Scale, seed: int, stages: str) -> tuple["Decoder", list[dict[str, float]], dict[str, Any]]:
    """The policy after these stages, what was measured on the way to it, and what it wrote in the end.

    Each stage begins with the policy of the one before, which is its reference model, and has a schedule of its own.
    """
    from culet.align.loop import AlignRecipe, align
    from culet.align.methods import Reinforce
    from culet.tasks.tunes.evaluator import yardstick
    from culet.tasks.tunes.phrases import SIZES as TUNES
    from culet.tasks.tunes.phrases import prompts, supervised

    measure = yardstick(scale, seed, MEASURED_ON)
    if not stages:
        return supervised(scale, seed), [{"step": 0.0} | measure.start], measure.written_first
    policy, before, _ = _after(scale, seed, stages[:-1])
    size, points, stage = SIZES[scale], list(before), len(stages) - 1
    recipe = AlignRecipe(
        steps=size.steps, batch_size=size.prompts, new_tokens=TUNES[scale].new_tokens, seed=seed + 1000 * stage,
        learning_rate=RATES[stages[-1]], evaluate_every=size.steps // size.points,
    )  # fmt: skip

    def evaluate(policy: "Decoder", step: int) -> dict[str, float]:
        step += stage * size.steps
        points.append({"step": float(step)} | measure(policy, step))
        return points[-1]

    policy = align(
        policy, Reinforce(samples=SIZES[scale].each, beta=BETA),
        prompts(scale, "training"), recipe,
        reward=_reward(stages[-1], scale, seed), evaluate=evaluate, progress=False,
    )  # fmt: skip
    return policy, points, measure.written()


def _measured(stages: str) -> Any:
    def run(seed: int, scale: Scale) -> dict[str, Any]:
        _, points, written = _after(scale, seed, stages)
        curves = {name: np.array([point[name] for point in points]) for name in points[0]}
        spent = len(stages) * SIZES[scale].steps * SIZES[scale].prompts * SIZES[scale].each
        return curves | {f"final_{name}": curves[name][-1] for name in ENDS} | written | {"budget": spent}

    return per_seed(run)


def _best(*rewards: str) -> Any:
    def run(seed: int, scale: Scale) -> dict[str, Any]:
        from culet.tasks.tunes.evaluator import yardstick

        measured = yardstick(scale, seed, MEASURED_ON).best_of(*rewards)
        return {f"final_{name}": measured[name] for name in ENDS if name in measured} | {"budget": 0}

    return per_seed(run)


def _wins_over(findings: Findings, one: str, other: str) -> Float[np.ndarray, "N"]:
    """How often one variant's phrases beat another's for the same prompts, by the listener."""
    from culet.align import win_rates

    pairs = zip(findings[one]["scores"], findings[other]["scores"], strict=True)
    return np.array([win_rates(scores, others).mean() for scores, others in pairs])


def _won(name: str) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    return lambda findings: findings[name]["final_win_rate"]


def _figure(findings: Findings) -> "Figure":
    from culet.papers.musicrl.figure import music_figure

    return music_figure(findings, list(STAGES), [SUPERVISED, *STAGES, *BEST])


def _files(findings: Findings) -> Mapping[str, bytes]:
    from culet.papers.musicrl.figure import music_files

    return music_files(findings, [SUPERVISED, R, U, RU])


def _variant(name: str, description: str, stages: Mapping[str, str] = STAGES) -> Variant:
    return Variant(description=description, run=_measured(stages[name]))


_DEVIATIONS = (
    "The paper tunes MusicLM, which makes sound from a text, and asks people; here a decoder of 0.12 million "
    "parameters writes the notes of phrases of four bars (Nottingham; walks on scales at smoke scale) after a prompt "
    "of key, metre and three notes, and the listener is a program. R was the likeness of sound and text (MuLan) and a "
    "model of quality; here it is the share of notes in the key and of bars in the metre, and a model that tells "
    "phrases from the same with their pitches mixed up, each with the standard deviation 1. Raters like an end on the "
    "tonic (1), from a neighbour or the fifth (0.5), and steps of one or two semitones (2 times their share); they "
    "err in a fifth of 3,072 pairs where the paper has 300,000 from users. The models of R and U read phrases moved "
    "to C or A minor: on held-out pairs they are right in 72 and 74% there, and were in 63 to 66 and 57 to 65% when "
    "they read them as they are. The listener adds two scores of the same weight: key, metre and a quality that naive "
    "Bayes hears in moves, from tunes that nothing else has learned from; and the raters' taste without their noise. "
    "Key and metre can be checked but in one way, and so are judged as they were learned. Every variant has "
    "two stages of "
    "48 steps of 32 prompts with 8 phrases each (RLOO, beta 0.2), the second held to where the first one ended; RU's "
    "first stage is R's. In the paper R and U are one stage each; with two they have as many phrases as RU and the "
    "same freedom to move. Rewards are taken as they come: R, the sum of two, pulls more than U. At smoke scale one "
    "supervised model and one reward model stand for all. The rates are of the stages by R and by U, in either place, "
    "chosen by the listener in full runs of R and U on seed 100 and other prompts, among 2e-3, 3e-3, 5e-3 and, for U, "
    "8e-3: R won 84.2, 87.1 and 86.6%, U 80.5, 82.5, 83.8 and 83.2%. Before that 128 phrases a step were tried, with "
    "rates of 1e-3 to 3e-3, betas of 0.05 and 0.2, and GRPO: after one stage they won 57 to 66%, where 256 phrases "
    "won 69%, at 2 to 11 nats. The numbers in the claims on R and U are the paper's, by people; RU had 87% there, and "
    "66% over R."
)

experiment = Experiment(
    slug="musicrl",
    question="Does a maker of music please a listener more after learning from rewards for its prompt and for quality "
    "(R), from a model of what raters chose (U), and most after one and then the other (RU)?",
    metrics=[
        Metric(name="final_win_rate", unit="over the supervised model, by an unseen listener", better="higher"),
        Metric(name="final_wins_r", unit="the same by key, metre and unseen quality", better="higher"),
        Metric(name="final_wins_u", unit="the same by the raters' taste without noise", better="higher"),
        Metric(name="final_kl", unit="nats per phrase from the supervised model", better="lower"),
        Metric(name="final_conformity", unit="share of notes in the key and bars in the metre", better="higher"),
    ],
    budget_unit="phrases",
    variants={
        SUPERVISED: Variant(description="the model that has learned from tunes "
        "alone", run=_measured(""), equal_budget=False),
        R: _variant(R, "two stages, by conformity to key and metre and by a classifier of real phrases"),
        U: _variant(U, "two stages by a reward model of the raters' choices"),
        RU: _variant(RU, "the first stage by R, the second by U"),
        **{
            name: Variant(description="of eight phrases of the supervised "
            "model", run=_best(*rewards), equal_budget=False)
            for name, rewards in BEST.items()
        },
    },
    claims=[
        Claim(
            text="R wins over the supervised model at least 65% of the time, by a listener that no training saw.",
            margin=_won(R),
            at_least=0.65,
        ),
        Claim(text="So does U, at least 58.6% of the time.", margin=_won(U), at_least=0.586),
        Claim(
            text="RU wins over the supervised model more often than R and than U.",
            margin=lambda findings: _won(RU)(findings) - np.maximum(_won(R)(findings), _won(U)(findings)),
            at_least=0.0,
        ),
        Claim(
            text="On the same prompts RU wins over R more often than not.",
            margin=lambda findings: _wins_over(findings, RU, R),
            at_least=0.5,
        ),
        Claim(text="And over U.", margin=lambda findings: _wins_over(findings, RU, U), at_least=0.5),
    ],
    control={
        name: _variant(name, "the same with a reward model of raters who choose without looking", BROKEN)
        for name in BROKEN
    },
    figure=_figure,
    files=_files,
    deviations=_DEVIATIONS,
    usage="from culet.audio.tunes import in_key, read_tune, write_midi; from culet.tasks.tunes import tune_reward; "
    "liked = align(maker, Reinforce(samples=8), prompts, AlignRecipe(), reward=tune_reward(in_key)); "
    "write_midi('tune.mid', read_tune(text))",
)  # fmt: skip
