"""RLAIF (2309.00267): reinforcement learning from a language model's preferences instead of people's, or its scores.

Axis letters: N seeds or pairs, B prompts, S completions of each, P points of a run.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed
from culet.tasks.captions import CAPTION_METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.align.rewards import Answer, Pair, Reward
    from culet.lm import Decoder
    from culet.papers.rlaif.labellers import Size
    from culet.tasks.captions import Use

RLHF, RLAIF, DIRECT, ONE_ORDER = "RLHF", "RLAIF", "direct RLAIF", "RLAIF, one order, hard labels"
LABELLER, WIDER = "labeller", "wider labeller"
BETAS = {RLHF: 0.2, RLAIF: 0.45, DIRECT: 0.3, ONE_ORDER: 0.2}  # strengths of the penalty; see `deviations`
RATE = 2e-3  # of all policies
MODEL_RATE = 4e-3  # of all reward models
MEASURED = 512  # answers by whose rewards the unit of each reward is found


class Sizes(NamedTuple):
    """Of policies and reward models."""

    steps: int
    prompts: int  # per step, with two completions each
    points: int  # of a run, after its start
    reward_steps: int  # steps of a reward model
    reward_batch: int  # pairs that it learns from in a step
    one_beta: bool  # for all variants, so that less is compiled


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 4, 1, 2, 4, True),
    "laptop": Sizes(60, 64, 5, 128, 64, False),
}


def run(
    name: str, seed: int, scale: Scale, use: "Use" = "judging", *, rate: float = RATE, beta: float | None = None,
    mixed_up: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One run of a variant, and where it ended; `mixed_up` gives each pair the label of another one.

    With "tuning" for `use` and other numbers it is what these were chosen by.
    """
    from culet.align.loop import AlignRecipe
    from culet.align.methods import Reinforce
    from culet.tasks.caption_policy import SIZES as CAPTIONS
    from culet.tasks.caption_policy import ends, trajectory

    size, judged = SIZES[scale], _reward(name, scale, seed, mixed_up)
    recipe = AlignRecipe(
        steps=size.steps, batch_size=size.prompts, new_tokens=CAPTIONS[scale].new_tokens, learning_rate=rate, seed=seed,
        evaluate_every=size.steps // size.points,
    )  # fmt: skip
    beta = BETAS[RLAIF if size.one_beta else name] if beta is None else beta
    measured, end = trajectory(Reinforce(samples=2, beta=beta), recipe, scale, use, judged)
    spent = size.steps * size.prompts * 2
    return measured | ends(measured) | _at_the_end(end, judged, scale, seed, use) | {"budget": spent}


def _reward(name: str, scale: Scale, seed: int, mixed_up: bool) -> "Reward":
    """What a run learns from: the labeller's scores, or a reward model of somebody's preferences."""
    from culet.align.rewards import labelled, standardised
    from culet.papers.rlaif.labellers import averaged, in_order, pairs, people, scoring

    written = pairs(scale, seed)
    if name == DIRECT:
        return standardised(reward=scoring(scale), answers=written[0][:MEASURED])
    learned = labelled({RLHF: people, RLAIF: averaged, ONE_ORDER: in_order}[name](scale, seed), *written)
    if name == ONE_ORDER:
        learned = [dataclasses.replace(pair, label=float(pair.label > 0.5)) for pair in learned]
    if mixed_up:
        labels = np.random.default_rng(seed).permutation([pair.label for pair in learned]).tolist()
        learned = [dataclasses.replace(pair, label=label) for pair, label in zip(learned, labels, strict=True)]
    return standardised(reward=_reward_model(scale, seed, learned), answers=written[0][:MEASURED])


def _reward_model(scale: Scale, seed: int, learned: "Sequence[Pair]") -> "Reward":
    """It begins as the supervised model, with a head of its own."""
    import jax

    from culet.align.rewards import RewardModel, learned_reward, preference_rows, train_reward_model
    from culet.lm import Recipe
    from culet.tasks.caption_policy import supervised, tokenizer

    size = SIZES[scale]
    recipe = Recipe(steps=size.reward_steps, batch_size=size.reward_batch, learning_rate=MODEL_RATE, seed=seed)
    model = RewardModel(supervised(scale, seed), key=jax.random.key(seed))
    trained = train_reward_model(model, preference_rows(learned, tokenizer(scale), 64), recipe, progress=False)
    return learned_reward(trained, tokenizer(scale), batch_size=SIZES[scale].reward_batch)


def _at_the_end(end: "Decoder", judged: "Reward", scale: Scale, seed: int, use: "Use") -> dict[str, Any]:
    """What the judge gives to completions of held-out prompts [B S], and how well the reward orders such pairs.

    `before` is that of the supervised model's own completions.
    """
    import jax

    from culet.align import completions
    from culet.align.frontier import REFERENCES, SAMPLES
    from culet.tasks.caption_policy import SIZES as CAPTIONS
    from culet.tasks.caption_policy import prompts, yardstick
    from culet.tasks.captions import judge

    asked = prompts(scale, use, count=CAPTIONS[scale].held_out)
    everyone = np.arange(len(asked.rows))
    written = completions(end, asked, everyone, SAMPLES, CAPTIONS[scale].new_tokens, jax.random.key(seed))
    references = yardstick(scale, seed, use).front.references
    first = [answer for place, answer in enumerate(references) if place % REFERENCES < SAMPLES]
    return {
        "judged": judge(scale)(written).reshape(-1, SAMPLES),
        "before": accuracy(judged, first, scale),
        "after": accuracy(judged, written, scale),
    }


def accuracy(judged: "Reward", answers: "Sequence[Answer]", scale: Scale) -> float:
    """How often neighbours are ordered as by their true worth; ties count half."""
    from culet.tasks.captions import reward

    orders = [np.sign(scores[::2] - scores[1::2]) for scores in (reward(scale)(answers), judged(answers))]
    return float(0.5 * (1 + np.mean(orders[0] * orders[1])))


def _labeller(size: "Size", description: str) -> Variant:
    def run(seed: int, scale: Scale) -> dict[str, float]:
        from culet.papers.rlaif.labellers import examined

        return examined(scale, seed, size)

    return Variant(description=description, run=per_seed(run), equal_budget=False)


def _variant(name: str, description: str, mixed_up: bool = False) -> Variant:
    return Variant(description=description, run=per_seed(lambda seed, scale: run(name, seed, scale, mixed_up=mixed_up)))


def _win_rate(name: str) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    return lambda findings: findings[name]["final_win_rate"]


def _behind(findings: Findings) -> Float[np.ndarray, "N"]:
    return findings[RLAIF]["final_win_rate"] - findings[RLHF]["final_win_rate"]


def preferred(findings: Findings) -> Float[np.ndarray, "N"]:
    """How often direct RLAIF wins over RLAIF, by the judge, on the same prompts."""
    from culet.align import win_rates

    both = zip(findings[DIRECT]["judged"], findings[RLAIF]["judged"], strict=True)
    return np.array([win_rates(one, other).mean() for one, other in both])


def _gain_by_averaging(findings: Findings) -> Float[np.ndarray, "N"]:
    return findings[LABELLER]["agreement"] - findings[LABELLER]["single_agreement"]


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    from culet.papers.rlaif.figure import draw_accuracy, draw_labellers, draw_steps
    from culet.tasks.caption_policy import draw_fronts

    figure = Figure(figsize=(12, 8), dpi=110, layout="constrained")
    panels: Any = figure.subplot_mosaic("WF\nAT")
    variants = [RLHF, RLAIF, DIRECT, ONE_ORDER]
    draw_steps(panels["W"], findings, variants)
    draw_fronts(panels["F"], findings, variants, "win_rate")
    panels["F"].set_title("The same against the divergence", loc="left", fontsize=11)
    draw_accuracy(panels["A"], findings, variants)
    draw_labellers(panels["T"], findings, [LABELLER, WIDER])
    return figure


_DEVIATIONS = (
    "The paper trains PaLM 2-XS, has people and PaLM 2-L label, and people judge; here a decoder of 0.16 million "
    "parameters goes on from the first three words of captions of Multi30k (made-up ones at smoke scale). People are "
    "made up: what they hear in a caption is a score that is linear in its words, learned from the labels of half of "
    "the pictures, with noise of 0.5 standard deviations, so that two of them agree about three pairs of four. The "
    "judge of win-rates is naive Bayes, from the other half. So small a labeller knows nothing by itself: it has read "
    "what such people say of 58,000 pairs and single captions that were written by people, or phrases of them, once, "
    "and no caption of a model; it gives no reasons. There is one for all seeds, a third as large as the policy. "
    "Another of the policy's width stands beside it in the table, with no claim: in as many steps it learned less well "
    "to compare, though no worse to score, which says nothing about size. Pairs are 2,048 of the supervised model, the "
    "same for all reward models, which begin as that model and learn for 128 steps of 64 pairs. Every reward, the "
    "labeller's score too, is divided by its standard deviation over 512 captions of the supervised model, once, "
    "before the run. Tuned on seed 100 and other prompts: the rate of the reward models (2e-3 or 4e-3, for 64 or 128 "
    "steps, and 1e-3 for 64: one choice, the best for people's labels and for the labeller's, on other captions of the "
    "supervised model), then, in full runs, the policy's rate (1e-3 or 2e-3) and each variant's penalty, by "
    "the judge's "
    "win-rate among the runs that ended within 5 nats. Penalties tried were 0.5, 0.25, 0.2 and, beyond that bound, "
    "0.15 for RLHF; 0.5, 0.45 and, beyond it, 0.4 and 0.25 for RLAIF; 0.5, 0.3 and, beyond it, 0.25 for direct RLAIF; "
    "0.4, 0.25 and 0.2 for one order. The labeller was chosen by its agreement with people on seed 100's pairs, among "
    "widths of 32, 64 and 128, with one to three rates each; with 0.5 for all, the win-rates on tuning prompts were "
    "0.71 for RLHF at 1.9 nats, 0.87 for RLAIF at 3.6 and 0.80 for direct RLAIF at 2.6, so that penalties had to be "
    "chosen by variant. A reward model is read at the end on pairs of the policy that it made, beside pairs of the "
    "supervised model; no claim is made of that."
)

experiment = Experiment(
    slug="rlaif",
    question="Do preferences that a language model gives align a policy as well as people's, does averaging both "
    "orders mend what the model makes of their order, and can its scores do without a reward model?",
    metrics=[
        *CAPTION_METRICS,
        Metric(name="before", unit="of the supervised model's pairs ordered rightly by the reward", better="higher"),
        Metric(name="after", unit="of the policy's pairs ordered rightly by the reward", better="higher"),
        Metric(name="agreement", unit="of people's preferences, both orders averaged", better="higher"),
        Metric(name="single_agreement", unit="of people's preferences, in one order", better="higher"),
        Metric(name="changed", unit="of verdicts that turn with the order", better="lower"),
        Metric(name="averaged_changed", unit="of averaged verdicts that turn with the order", better="lower"),
    ],
    budget_unit="completions",
    variants={
        RLHF: _variant(RLHF, "a reward model of people's preferences between the supervised model's pairs"),
        RLAIF: _variant(RLAIF, "a reward model of the labeller's probabilities for these pairs, both orders averaged"),
        DIRECT: _variant(DIRECT, "no reward model: the labeller's score of each completion, from 1 to 10"),
        ONE_ORDER: _variant(ONE_ORDER, "a reward model of the labeller's bare verdicts on these pairs, asked once"),
        LABELLER: _labeller("narrow", "the labeller itself, asked about the pairs"),
        WIDER: _labeller("wide", "one of twice its width, that of the policy, asked the same"),
    },
    claims=[
        *(
            Claim(
                text=f"By a judge that the training never saw, {name} wins over the supervised model in at least 60% "
                "of comparisons.",
                margin=_win_rate(name),
                at_least=0.6,
            )
            for name in (RLHF, RLAIF)
        ),
        Claim(
            text="RLAIF's win-rate is at most 5 points behind RLHF's.",
            margin=_behind,
            at_least=-0.05,
        ),
        Claim(
            text="Direct RLAIF, by the same labeller, wins over RLAIF at least as often as not.",
            margin=preferred,
            at_least=0.5,
        ),
        Claim(
            text="The labeller agrees with people more often when both orders are averaged than when asked in one.",
            margin=_gain_by_averaging,
            at_least=0.0,
        ),
    ],
    control={
        RLAIF: _variant(RLAIF, "the labeller's probabilities go to the wrong pairs", mixed_up=True),
    },
    figure=_figure,
    deviations=_DEVIATIONS,
    usage="from culet.align.rewards import ModelJudge, ModelScore; "
    "align(policy, Reinforce(beta=0.1), prompts, AlignRecipe(), reward=ModelScore(labeller, tokenizer))",
)  # fmt: skip
