"""Language as inverse reinforcement learning (2409.01369): likelihood regularised by the reward that it implies.

Axis letters: N seeds, F shares of the data, P points of a run, K temperatures.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from culet.core.experiment import Arm, Claim, Experiment, Findings, Metric, Scale, one_by_one

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.align.experience import Method
    from culet.papers.captions import Use

LIKELIHOOD, REGULARISED, IRL, ONLINE, GAIL = (
    "likelihood",
    "likelihood, regularised",
    "IQLearn",
    "online IQLearn",
    "GAIL",
)
SHARES = (0.01, 0.05, 0.2)
PERCENT = tuple(f"{100 * share:g}" for share in SHARES)
STEPS: Mapping[Scale, int] = {"smoke": 2, "laptop": 200}
BATCH: Mapping[Scale, int] = {"smoke": 4, "laptop": 32}
POINTS: Mapping[Scale, int] = {"smoke": 1, "laptop": 5}  # of a run, after its start
TUNED: Mapping[str, Mapping[str, float]] = {  # see `different`
    LIKELIHOOD: {"rate": 1e-3},
    REGULARISED: {"rate": 1e-3, "weight_decay": 0.1, "smoothing": 0.1},
    IRL: {"rate": 1e-3, "strength": 0.03},
    ONLINE: {"rate": 1e-3, "strength": 0.03},
    GAIL: {"rate": 1e-3},
}


def run(
    name: str, seed: int, scale: Scale, use: "Use" = "judging", *, mixed_up: bool = False, tuned: Any = None
) -> dict[str, Any]:  # fmt: skip
    """An arm with each share of the data, [F, ...]; `mixed_up` learns from captions of other pictures.

    With "tuning" for `use` and other numbers in place of `TUNED` it is what those were chosen by.
    """
    from culet.align.loop import AlignRecipe
    from culet.papers.shortening import NEW_TOKENS, count_of, learned, lessons

    name = IRL if scale == "smoke" else name  # there one for all, so that little is compiled
    numbers = tuned or TUNED[name]
    recipe = AlignRecipe(
        steps=STEPS[scale], batch_size=BATCH[scale], new_tokens=NEW_TOKENS, learning_rate=numbers["rate"],
        weight_decay=numbers.get("weight_decay", 0.0), evaluate_every=STEPS[scale] // POINTS[scale], seed=seed,
    )  # fmt: skip
    method = _method(name, numbers)
    every = lessons(scale, seed, BATCH[scale], mixed_up=mixed_up)
    found = [
        learned(method, recipe, every.first(count_of(scale, share)), scale, use) for share in SHARES
    ]  # fmt: skip
    stacked = {key: np.stack([each[key] for each in found]) for key in found[0]}
    by_share = {f"rouge_{percent}": stacked["chosen"][place] for place, percent in enumerate(PERCENT)}
    return stacked | by_share | {"budget": len(SHARES) * STEPS[scale], **_summaries(stacked)}


def _method(name: str, numbers: Mapping[str, float]) -> "Method":
    from culet.align.methods import Adversarial, InverseQLearning, Likelihood

    if name == GAIL:
        return Adversarial()
    if name in (IRL, ONLINE):
        return InverseQLearning(strength=numbers.get("strength", 0.03), online=0.1 * (name == ONLINE))
    return Likelihood(smoothing=numbers.get("smoothing", 0.0))


def _summaries(stacked: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the table shows: how far the run on the least data fell, and means over shares."""
    return {
        "fall_1": stacked["fall"][0], "mean_correlation": stacked["correlation"].mean(),
        "mean_likeness": stacked["likeness"][:, -1].mean(), "mean_length": stacked["length"].mean(),
    }  # fmt: skip


def _arm(name: str, what: str, mixed_up: bool = False) -> Arm:
    return Arm(what=what, run=one_by_one(lambda seed, scale: run(name, seed, scale, mixed_up=mixed_up)))


def _over_best(gain: Callable[[Findings, str], Float[np.ndarray, "N"]]) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    """A gain of IQLearn over likelihood, plain or regularised: the lesser of both."""
    return lambda findings: np.minimum(gain(findings, LIKELIHOOD), gain(findings, REGULARISED))


def _front_gain(findings: Findings, over: str) -> Float[np.ndarray, "N"]:
    from culet.papers.shortening import gain_at_equal_likeness

    return gain_at_equal_likeness(findings[IRL], findings[over]).mean(axis=1)


def _gain(findings: Findings, over: str) -> Float[np.ndarray, "N F"]:
    return findings[IRL]["chosen"] - findings[over]["chosen"]


def _more_correlated(findings: Findings) -> Float[np.ndarray, "N"]:
    return findings[IRL]["mean_correlation"] - findings[LIKELIHOOD]["mean_correlation"]


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(17, 8), dpi=110, layout="constrained")
    panels: Any = figure.subplots(2, len(SHARES) + 1)
    for place, percent in enumerate(PERCENT):
        _draw(panels[0, place], findings, place, "step", "rouge")
        panels[0, place].set_title(f"{percent}% of the data: likeliest completions", loc="left", fontsize=11)
        panels[0, place].set(xlabel="step", ylabel="ROUGE-1")
        _draw(panels[1, place], findings, place, "likeness", "quality")
        panels[1, place].set_title(f"{percent}%: drawn at four temperatures", loc="left", fontsize=11)
        panels[1, place].set(xlabel="Self-BLEU (more diverse to the left)", ylabel="ROUGE-1")
    tenths = {name: {**found, "tenth": np.zeros((1, 1, 10)) + np.arange(1, 11)} for name, found in findings.items()}
    _draw(panels[0, -1], tenths, -1, "tenth", "by_reward")
    panels[0, -1].set_title(f"{PERCENT[-1]}%: by the reward of the policy itself", loc="left", fontsize=11)
    panels[0, -1].set(xlabel="tenth of the completions, from the least reward", ylabel="ROUGE-1")
    shares = {
        name: {"share": np.array([[SHARES]]) * 100, "correlation": found["correlation"][:, None]}
        for name, found in findings.items()
    }
    _draw(panels[1, -1], shares, 0, "share", "correlation")
    panels[1, -1].set_title("Spearman's correlation of reward and ROUGE-1", loc="left", fontsize=11)
    panels[1, -1].set(xlabel="% of the data", xscale="log", xticks=[100 * share for share in SHARES])
    panels[1, -1].set_xticklabels(PERCENT)
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def _draw(axes: Any, findings: Findings, place: int, x: str, y: str) -> None:
    """The mean over seeds of each arm with a thin line for each seed, with one of the shares of the data."""
    from culet.core.plot import COLOURS

    for (name, found), colour in zip(findings.items(), COLOURS, strict=False):
        across, up = found[x][:, place], found[y][:, place]
        axes.plot(np.broadcast_to(across, up.shape).T, up.T, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(across.mean(axis=0), up.mean(axis=0), color=colour, marker=".", label=name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)


_DIFFERENT = ""

experiment = Experiment(
    slug="language-irl",
    question="Does likelihood regularised by the reward that it implies write as well as likelihood alone, and more "
    "diversely, most of all from little data; and does that reward tell good texts from bad?",
    metrics=[
        Metric(name="rouge_1", unit="ROUGE-1 with 1% of the data, where it was best on other prompts", better="higher"),
        Metric(name="rouge_5", unit="the same with 5%", better="higher"),
        Metric(name="rouge_20", unit="the same with 20%", better="higher"),
        Metric(name="fall_1", unit="ROUGE-1 lost from the best point to the end, with 1%", better="lower"),
        Metric(name="mean_likeness", unit="Self-BLEU at temperature 1", better="lower"),
        Metric(name="mean_correlation", unit="of reward and ROUGE-1, Spearman's", better="higher"),
        Metric(name="mean_length", unit="tokens", better="higher"),
    ],
    budget_unit="gradient steps",
    arms={
        IRL: _arm(IRL, "likelihood and the squared reward that it implies, on the data"),
        ONLINE: _arm(ONLINE, "the same, a tenth of the regulariser on the policy's own completions"),
        LIKELIHOOD: _arm(LIKELIHOOD, "maximum likelihood"),
        REGULARISED: _arm(REGULARISED, "maximum likelihood with weight decay and label smoothing"),
        GAIL: _arm(GAIL, "policy gradient from a discriminator, with likelihood beside"),
    },
    claims=[
        Claim(
            text="Where both are as diverse (Self-BLEU), IQLearn's completions have on average at least the ROUGE-1 of "
            "those of likelihood, plain or regularised.",
            margin=_over_best(_front_gain),
            at_least=0.0,
        ),
        Claim(
            text="Stopped where it is best on other prompts, IQLearn has on average over the shares of the data at "
            "least the ROUGE-1 of likelihood, plain or regularised.",
            margin=_over_best(lambda findings, over: _gain(findings, over).mean(axis=1)),
            at_least=0.0,
        ),
        Claim(
            text="It gains more over plain likelihood with 1% of the data than with 20%.",
            margin=lambda findings: _gain(findings, LIKELIHOOD)[:, 0] - _gain(findings, LIKELIHOOD)[:, -1],
            at_least=0.0,
        ),
        Claim(
            text="With 1% of the data its ROUGE-1 falls less from its best point to the end than that of likelihood, "
            "plain or regularised.",
            margin=_over_best(lambda findings, over: findings[over]["fall_1"] - findings[IRL]["fall_1"]),
            at_least=0.0,
        ),
        Claim(
            text="The reward that IQLearn implies correlates with ROUGE-1 by at least 0.1 more (Spearman) than what "
            "plain likelihood's logits give if read in the same way.",
            margin=_more_correlated,
            at_least=0.1,
        ),
    ],
    control={IRL: _arm(IRL, "the same, taught with captions of other pictures", mixed_up=True)},
    figure=_figure,
    different=_DIFFERENT,
    usage="from culet.align.methods import InverseQLearning; "
    "align(policy, InverseQLearning(strength=0.03), prompts, AlignRecipe())",
)  # fmt: skip
