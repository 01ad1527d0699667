"""Language as inverse reinforcement learning (2409.01369): likelihood regularised by the reward that it implies.

Axis letters: N seeds, F shares of the data, P points of a run, K temperatures.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.align.experience import Method
    from culet.tasks.captions import Use

IRL, ONLINE, GAIL = "IQLearn", "online IQLearn", "GAIL"
LIKELIHOOD, REGULARISED, SAME_RATE = "likelihood", "likelihood, regularised", "likelihood, IQLearn's rate"
SHARES = (0.01, 0.05, 0.2)
LEAST: Mapping[str, int] = {ONLINE: 1, GAIL: 1}  # of which a variant has so many, as its steps are slow
PERCENT = tuple(f"{100 * share:g}" for share in SHARES)
TUNED: Mapping[str, Mapping[str, float]] = {  # see `deviations`
    LIKELIHOOD: {"rate": 2e-3},
    REGULARISED: {"rate": 2e-3, "weight_decay": 3.0, "smoothing": 0.2},
    IRL: {"rate": 1e-3, "strength": 0.03},
    ONLINE: {"rate": 1e-3, "strength": 0.03},
    SAME_RATE: {"rate": 1e-3, "strength": 0.0},
    GAIL: {"rate": 1e-3},
}


class Sizes(NamedTuple):
    """Of the runs."""

    steps: int
    batch_size: int
    points: int  # of a run, after its start
    one_method: bool  # IQLearn for all variants, so that little is compiled


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 4, 1, True),
    "laptop": Sizes(200, 32, 5, False),
}


def run(
    name: str, seed: int, scale: Scale, use: "Use" = "judging", *, mixed_up: bool = False, tuned: Any = None
) -> dict[str, Any]:  # fmt: skip
    """A variant with each share of the data, [F, ...]; `mixed_up` learns from captions of other pictures.

    With "tuning" for `use` and other numbers in place of `TUNED` it is what those were chosen by.
    """
    from culet.align.loop import AlignRecipe
    from culet.tasks.shortening import NEW_TOKENS, count_of, learned, lessons

    shares = SHARES[: LEAST.get(name)]
    name = IRL if SIZES[scale].one_method else name
    numbers, size = tuned or TUNED[name], SIZES[scale]
    recipe = AlignRecipe(
        steps=size.steps, batch_size=size.batch_size, new_tokens=NEW_TOKENS, learning_rate=numbers["rate"],
        weight_decay=numbers.get("weight_decay", 0.0), evaluate_every=size.steps // size.points, seed=seed,
    )  # fmt: skip
    method = _method(name, numbers)
    every = lessons(scale, seed, mixed_up=mixed_up)
    measured = [learned(method, recipe, every.first(count_of(scale, share)), scale, use) for share in shares]
    stacked = {key: np.stack([each[key] for each in measured]) for key in measured[0]}
    by_share = {f"rouge_{percent}": value for percent, value in zip(PERCENT, stacked["chosen"], strict=False)}
    return stacked | by_share | {"budget": SIZES[scale].steps, **_summaries(stacked)}


def _method(name: str, numbers: Mapping[str, float]) -> "Method":
    from culet.align.methods import Adversarial, InverseQLearning, Likelihood

    if name == GAIL:
        return Adversarial()
    if "strength" in numbers:
        return InverseQLearning(strength=numbers["strength"], online=0.1 * (name == ONLINE))
    return Likelihood(smoothing=numbers.get("smoothing", 0.0))


def _summaries(stacked: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the table shows: how far the run on the least data fell, and means over shares."""
    return {
        "fall_1": stacked["fall"][0], "mean_correlation": stacked["correlation"].mean(),
        "mean_likeness": stacked["likeness"][:, -1].mean(), "mean_length": stacked["length"].mean(),
    }  # fmt: skip


def _variant(name: str, description: str, mixed_up: bool = False) -> Variant:
    return Variant(description=description, run=per_seed(lambda seed, scale: run(name, seed, scale, mixed_up=mixed_up)))


def _over(
    gain: Callable[[Findings, str], Float[np.ndarray, "N"]], *variants: str
) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    """The least gain of IQLearn over some variants."""
    return lambda findings: np.min([gain(findings, variant) for variant in variants], axis=0)


def _front_gain(findings: Findings, over: str) -> Float[np.ndarray, "N"]:
    from culet.tasks.shortening import gain_at_equal_likeness

    return gain_at_equal_likeness(findings[IRL], findings[over]).mean(axis=1)


def _gain(findings: Findings, over: str) -> Float[np.ndarray, "N F"]:
    return findings[IRL]["chosen"] - findings[over]["chosen"]


def _mean_gain(findings: Findings, over: str) -> Float[np.ndarray, "N"]:
    return _gain(findings, over).mean(axis=1)


def _falls_less(findings: Findings, over: str) -> Float[np.ndarray, "N"]:
    return findings[over]["fall_1"] - findings[IRL]["fall_1"]


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
    every = np.tile(np.arange(1, 11), (1, len(SHARES), 1))
    tenths = {name: {"tenth": every, "by_reward": measured["by_reward"]} for name, measured in findings.items()}
    _draw(panels[0, -1], tenths, len(SHARES) - 1, "tenth", "by_reward")
    panels[0, -1].set_title(f"{PERCENT[-1]}%: by the reward of the policy itself", loc="left", fontsize=11)
    panels[0, -1].set(xlabel="tenth of the completions, from the least reward", ylabel="ROUGE-1")
    shares = {
        name: {"share": 100 * np.array([[SHARES[: LEAST.get(name)]]]), "correlation": measured["correlation"][:, None]}
        for name, measured in findings.items()
    }
    _draw(panels[1, -1], shares, 0, "share", "correlation")
    panels[1, -1].set_title("Correlation of reward and ROUGE-1", loc="left", fontsize=11)
    panels[1, -1].set(
        xlabel="% of the data", ylabel="Spearman's", xscale="log", xticks=[100 * share for share in SHARES]
    )
    panels[1, -1].set_xticklabels(PERCENT)
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def _draw(axes: Any, findings: Findings, place: int, x: str, y: str) -> None:
    """The mean over seeds of each variant with a thin line for each seed, with one of the shares of the data."""
    from culet.core.plot import COLOURS

    for (name, measured), colour in zip(findings.items(), COLOURS, strict=True):
        if place >= measured[y].shape[1]:
            continue  # a variant with fewer shares
        across, up = measured[x][:, place], measured[y][:, place]
        axes.plot(np.broadcast_to(across, up.shape).T, up.T, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(across.mean(axis=0), up.mean(axis=0), color=colour, marker=".", label=name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)


_DEVIATIONS = (
    "The paper fine-tunes T5 and PaLM 2 on summaries, translations and sums; here a decoder of 0.16 million parameters "
    "tells a caption of Multi30k in the words of the shortest one of the same picture (made-up ones at smoke scale, "
    "where all variants are IQLearn and nothing is pre-trained). ROUGE-1 is against the two shortest "
    "captions, the better "
    "counts. The decoder is pre-trained once, by likelihood, to restore captions of other pictures from 70% of their "
    "words; it has no cap on its logits, whose sum the method gives a meaning, and no warm-up of the strength: the "
    "values begin at 11 nats and were no trouble. Seeds choose the pictures and their order, the decoder being one for "
    "all as in the paper. Shares are of the 29,000 training pictures, drawn from half of them. All runs have 200 steps "
    "of 32, a cosine and 6 points; one stops early by its likeliest completions for 256 pictures of which nothing is "
    "learned, and diversity and rewards are those of that policy. The reward is added up over a completion, without "
    "discount, as the paper does for online IQLearn, and completions are each variant's own at temperature 1. "
    "GAIL begins "
    "with the pre-trained decoder too, with likelihood beside. It and online IQLearn have 1% of the data alone, as "
    "they write completions at each step and take up to three times as long. A pilot on seed 100 and the validation "
    "pictures chose by the mean of early stopped ROUGE-1 over shares. Likelihood had 0.422, 0.425 and 0.416 with the "
    "rates 1e-3, 2e-3 and 4e-3; with weight decay and smoothing of 0.1 each 0.426, 0.426 and 0.415 there, and at 2e-3 "
    "0.424 with 1 and 0.1, 0.429 with 1 and 0.2, 0.431 with 3 and 0.2 and 0.409 with 10 and 0.2; IQLearn with the "
    "strengths 0.01, 0.03 and 0.1 0.423, 0.423 and 0.413 at 1e-3, and the former two 0.421 and 0.420 at 2e-3; online "
    "IQLearn with 0.03 0.424 and 0.421; GAIL 0.422 at 1e-3, where nothing else was tried. A larger rate falls deeper "
    "from the best point, so likelihood is run at IQLearn's rate too; IQLearn was not tried with weight decay or "
    "smoothing, with which the paper has no variant."
)

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
    budget_unit="gradient steps with each share of the data",
    variants={
        IRL: _variant(IRL, "likelihood and the squared reward that it implies, on the data"),
        ONLINE: _variant(ONLINE, "the same, a tenth of the regulariser on what the policy writes; 1% of the data"),
        LIKELIHOOD: _variant(LIKELIHOOD, "maximum likelihood"),
        REGULARISED: _variant(REGULARISED, "maximum likelihood with weight decay and label smoothing"),
        SAME_RATE: _variant(SAME_RATE, "IQLearn with the strength 0, which is maximum likelihood"),
        GAIL: _variant(GAIL, "policy gradient from a discriminator, with likelihood beside; 1% of the data alone"),
    },
    claims=[
        Claim(
            text="Where both are as diverse (Self-BLEU), IQLearn's completions have on average at least the ROUGE-1 of "
            "those of likelihood, at its best rate and at IQLearn's.",
            margin=_over(_front_gain, LIKELIHOOD, SAME_RATE),
            at_least=0.0,
        ),
        Claim(
            text="Stopped where it is best on other prompts, IQLearn has on average over the shares of the data at "
            "least the ROUGE-1 of likelihood, at its best rate and at IQLearn's.",
            margin=_over(_mean_gain, LIKELIHOOD, SAME_RATE),
            at_least=0.0,
        ),
        Claim(
            text="It has at least that of likelihood with weight decay and label smoothing.",
            margin=_over(_mean_gain, REGULARISED),
            at_least=0.0,
        ),
        Claim(
            text="It gains more over likelihood with 1% of the data than with 20%.",
            margin=lambda findings: _gain(findings, LIKELIHOOD)[:, 0] - _gain(findings, LIKELIHOOD)[:, -1],
            at_least=0.0,
        ),
        Claim(
            text="With 1% of the data its ROUGE-1 falls less from its best point to the end than that of likelihood, "
            "at its best rate, at IQLearn's, and regularised.",
            margin=_over(_falls_less, LIKELIHOOD, SAME_RATE, REGULARISED),
            at_least=0.0,
        ),
        Claim(
            text="The reward that IQLearn implies correlates with ROUGE-1 by at least 0.1 more (Spearman) than what "
            "likelihood's logits give if read in the same way.",
            margin=_more_correlated,
            at_least=0.1,
        ),
    ],
    control={IRL: _variant(IRL, "the same, taught with captions of other pictures", mixed_up=True)},
    figure=_figure,
    deviations=_DEVIATIONS,
    usage="from culet.align.methods import InverseQLearning; "
    "align(policy, InverseQLearning(strength=0.03), prompts, AlignRecipe())",
)  # fmt: skip
