"""RLAIF (2309.00267): reinforcement learning from a language model's preferences instead of people's, or its scores.

Axis letters: N seeds or pairs, B prompts, S completions of each, P points of a run.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from culet.core.experiment import Arm, Claim, Experiment, Findings, Metric, Scale, one_by_one
from culet.papers.captions import CAPTION_METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.align.rewards import Answer, Pair, Reward
    from culet.lm import Decoder
    from culet.papers.captions import Use
    from culet.papers.labelling import Size

RLHF, RLAIF, DIRECT, ONE_ORDER = "RLHF", "RLAIF", "direct RLAIF", "RLAIF, one order, hard labels"
LARGE, SMALL = "labeller", "smaller labeller"
BETA = 0.5
RATES = {RLHF: 1e-3, RLAIF: 1e-3, DIRECT: 1e-3, ONE_ORDER: 1e-3}  # of the policy; see `different`
STEPS: Mapping[Scale, int] = {"smoke": 2, "laptop": 60}
PROMPTS: Mapping[Scale, int] = {"smoke": 4, "laptop": 64}  # per step, with two completions each
POINTS: Mapping[Scale, int] = {"smoke": 1, "laptop": 5}  # of a run, after its start
LEARNING: Mapping[Scale, int] = {"smoke": 2, "laptop": 128}  # steps of a reward model
AT_ONCE: Mapping[Scale, int] = {"smoke": 4, "laptop": 64}  # pairs that it learns from in a step
MODEL_RATE = 2e-3  # of all reward models
MEASURED = 512  # answers by whose rewards the unit of each reward is found


def run(
    name: str, seed: int, scale: Scale, use: "Use" = "judging", rate: float | None = None, mixed_up: bool = False
) -> dict[str, Any]:  # fmt: skip
    """One run of an arm, and where it ended; `mixed_up` gives each pair the label of another one.

    With "tuning" for `use` and other rates it is what the rates were chosen by.
    """
    from culet.align.loop import AlignRecipe
    from culet.align.methods import Reinforce
    from culet.papers.aligning import NEW_TOKENS, ends, trajectory

    steps, judged = STEPS[scale], _reward(name, scale, seed, mixed_up)
    recipe = AlignRecipe(
        steps=steps, batch_size=PROMPTS[scale], new_tokens=NEW_TOKENS[scale], learning_rate=rate or RATES[name],
        seed=seed, evaluate_every=steps // POINTS[scale],
    )  # fmt: skip
    found, end = trajectory(Reinforce(samples=2, beta=BETA), recipe, scale, use, judged)
    spent = steps * PROMPTS[scale] * 2
    return found | ends(found) | _at_the_end(end, judged, scale, seed, use) | {"budget": spent}


def _reward(name: str, scale: Scale, seed: int, mixed_up: bool) -> "Reward":
    """What a run learns from: the labeller's scores, or a reward model of somebody's preferences."""
    from culet.align.rewards import labelled
    from culet.papers.labelling import averaged, in_order, pairs, people, scoring

    written = pairs(scale, seed)
    if name == DIRECT:
        return in_deviations(scoring(scale), written[0])
    learned = labelled({RLHF: people, RLAIF: averaged, ONE_ORDER: in_order}[name](scale, seed), *written)
    if name == ONE_ORDER:
        learned = [dataclasses.replace(pair, label=float(pair.label > 0.5)) for pair in learned]
    if mixed_up:
        labels = np.random.default_rng(seed).permutation([pair.label for pair in learned]).tolist()
        learned = [dataclasses.replace(pair, label=label) for pair, label in zip(learned, labels, strict=True)]
    return in_deviations(_reward_model(scale, seed, learned), written[0])


def _reward_model(scale: Scale, seed: int, learned: "Sequence[Pair]") -> "Reward":
    """It begins as the supervised model, with a head of its own."""
    import jax

    from culet.align.rewards import RewardModel, learned_reward, preference_rows, train_reward_model
    from culet.lm import Recipe
    from culet.papers.aligning import supervised, tokenizer

    words = tokenizer(scale)
    recipe = Recipe(steps=LEARNING[scale], batch_size=AT_ONCE[scale], learning_rate=MODEL_RATE, seed=seed)
    model = RewardModel(supervised(scale, seed), key=jax.random.key(seed))
    trained = train_reward_model(model, preference_rows(learned, words, 64), recipe, progress=False)
    return learned_reward(trained, words, batch_size=AT_ONCE[scale])


def in_deviations(reward: "Reward", answers: "Sequence[Answer]") -> "Reward":
    """The reward in units of its standard deviation over these answers, found once, before a run.

    Rewards of any scale then go with one strength of the penalty, and no batch changes it.
    """
    unit = max(float(np.std(reward(answers[:MEASURED]))), 1e-6)
    return lambda given: reward(given) / np.float32(unit)


def _at_the_end(end: "Decoder", judged: "Reward", scale: Scale, seed: int, use: "Use") -> dict[str, Any]:
    """What the judge gives to completions of held-out prompts [B S], and how well the reward orders such pairs.

    `before` is that of the supervised model's own completions.
    """
    import jax

    from culet.align import completions
    from culet.align.front import REFERENCES, SAMPLES
    from culet.papers.aligning import HELD_OUT, NEW_TOKENS, prompts, yardstick
    from culet.papers.captions import judge

    asked = prompts(scale, use, count=HELD_OUT[scale])
    everyone = np.arange(len(asked.rows))
    written = completions(end, asked, everyone, SAMPLES, NEW_TOKENS[scale], jax.random.key(seed))
    references = yardstick(scale, seed, use).front.references
    first = [answer for place, answer in enumerate(references) if place % REFERENCES < SAMPLES]
    return {
        "judged": judge(scale)(written).reshape(-1, SAMPLES),
        "before": accuracy(judged, first, scale),
        "after": accuracy(judged, written, scale),
    }


def accuracy(judged: "Reward", answers: "Sequence[Answer]", scale: Scale) -> float:
    """How often neighbours are ordered as by their true worth; ties count half."""
    from culet.papers.captions import reward

    orders = [np.sign(found[::2] - found[1::2]) for found in (reward(scale)(answers), judged(answers))]
    return float(0.5 * (1 + np.mean(orders[0] * orders[1])))


def _labeller(size: "Size", what: str) -> Arm:
    def run(seed: int, scale: Scale) -> dict[str, float]:
        from culet.papers.labelling import examined

        return examined(scale, seed, size)

    return Arm(what=what, run=one_by_one(run), equal_budget=False)


def _arm(name: str, what: str, mixed_up: bool = False) -> Arm:
    return Arm(what=what, run=one_by_one(lambda seed, scale: run(name, seed, scale, mixed_up=mixed_up)))


def _win_rate(name: str) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    return lambda findings: findings[name]["final_win_rate"]


def _behind(findings: Findings) -> Float[np.ndarray, "N"]:
    return findings[RLAIF]["final_win_rate"] - findings[RLHF]["final_win_rate"]


def preferred(findings: Findings) -> Float[np.ndarray, "N"]:
    """How often direct RLAIF wins over RLAIF, by the judge, on the same prompts."""
    from culet.align.front import win_rates

    both = zip(findings[DIRECT]["judged"], findings[RLAIF]["judged"], strict=True)
    return np.array([win_rates(one, other).mean() for one, other in both])


def _gain_by_averaging(findings: Findings) -> Float[np.ndarray, "N"]:
    return findings[LARGE]["agreement"] - findings[LARGE]["single_agreement"]


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    from culet.papers.aligning import draw_fronts
    from culet.papers.rlaif_picture import draw_accuracy, draw_labellers, draw_steps

    figure = Figure(figsize=(12, 8), dpi=110, layout="constrained")
    panels: Any = figure.subplot_mosaic("WF\nAT")
    arms = [RLHF, RLAIF, DIRECT, ONE_ORDER]
    draw_steps(panels["W"], findings, arms)
    draw_fronts(panels["F"], findings, arms, "win_rate")
    panels["F"].set_title("The same against the divergence", loc="left", fontsize=11)
    draw_accuracy(panels["A"], findings, arms)
    draw_labellers(panels["T"], findings, [LARGE, SMALL])
    return figure


_DIFFERENT = "TO BE WRITTEN"

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
    arms={
        RLHF: _arm(RLHF, "a reward model of people's preferences between the supervised model's pairs"),
        RLAIF: _arm(RLAIF, "a reward model of the labeller's probabilities for the same pairs, both orders averaged"),
        DIRECT: _arm(DIRECT, "no reward model: the labeller's score of each completion, from 1 to 10"),
        ONE_ORDER: _arm(ONE_ORDER, "a reward model of the labeller's bare verdicts on these pairs, asked once"),
        LARGE: _labeller("large", "the labeller itself, asked about the pairs"),
        SMALL: _labeller("small", "one of half its width, asked the same"),
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
        RLAIF: _arm(RLAIF, "the labeller's probabilities go to the wrong pairs", mixed_up=True),
    },
    figure=_figure,
    different=_DIFFERENT,
    usage="from culet.align.rewards import ModelJudge, ModelScore; "
    "align(policy, Reinforce(beta=0.1), prompts, AlignRecipe(), reward=ModelScore(labeller, tokenizer))",
)  # fmt: skip
