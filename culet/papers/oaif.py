"""OAIF (2402.04792): direct alignment from preferences that an annotator gives on the policy's own pairs as it learns.

Axis letters: N seeds, P points of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = ("DPO", "IPO", "SLiC")
OFFLINE, ONLINE = ({form: f"{when} {form}" for form in FORMS} for when in ("offline", "online"))
SHORT, VERY_SHORT = "online DPO, short", "online DPO, very short"
TOLD = (ONLINE["DPO"], SHORT, VERY_SHORT)
BETAS = {"DPO": 0.1, "IPO": 0.1, "SLiC": 0.002}  # the paper's, but for IPO: see `deviations`
RATES = {
    "offline DPO": 8e-4, "online DPO": 5e-4, "offline IPO": 2e-3, "online IPO": 2e-3,
    "offline SLiC": 6.5e-4, "online SLiC": 5e-4,
}  # of the variants; see `deviations`  # fmt: skip


class Sizes(NamedTuple):
    """Of the runs."""

    steps: int
    pairs: int  # per step; many are ties at smoke scale
    points: int  # of a run, after its start
    one_form: bool  # DPO for all variants, so that little is compiled


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(2, 16, 1, True),
    "laptop": Sizes(60, 64, 5, False),
}


def run(
    name: str, seed: int, scale: Scale, use: Any = "judging", rate: float | None = None, guessed: bool = False
) -> dict[str, Any]:  # fmt: skip
    """One run of a variant, and where it ended; `guessed` has its pairs labelled at random.

    With "tuning" for `use` and other rates it is what the rates were chosen by.
    """
    from culet.align.loop import AlignRecipe
    from culet.align.methods import Preferences
    from culet.tasks import caption_annotator as annotator
    from culet.tasks.caption_policy import SIZES as CAPTIONS
    from culet.tasks.caption_policy import ends, trajectory

    when, form = name.partition(",")[0].split()
    online, steps, pairs = when == "online", SIZES[scale].steps, SIZES[scale].pairs
    if SIZES[scale].one_form:
        form = "DPO"
    loss: Any = form.lower()
    instruction = {SHORT: annotator.SHORT, VERY_SHORT: annotator.VERY_SHORT}.get(name, annotator.QUALITY)
    recipe = AlignRecipe(
        steps=steps, batch_size=pairs, new_tokens=CAPTIONS[scale].new_tokens, temperature=annotator.TEMPERATURE,
        learning_rate=rate or RATES[f"{when} {form}"], seed=seed, evaluate_every=steps // SIZES[scale].points,
    )  # fmt: skip
    measured, _ = trajectory(
        Preferences(form=loss, beta=BETAS[form], online=online), recipe, scale, use,
        compare=annotator.guessing(seed) if guessed else annotator.annotator(scale, instruction),
        training=None if online else annotator.pairs(scale, seed, steps, pairs),
    )  # fmt: skip
    return measured | ends(measured) | {"budget": steps * pairs}


def _variant(name: str, description: str, guessed: bool = False) -> Variant:
    return Variant(description=description, run=per_seed(lambda seed, scale: run(name, seed, scale, guessed=guessed)))


def _gain_online(form: str) -> Callable[[Findings], Float[np.ndarray, "N"]]:
    return lambda findings: findings[ONLINE[form]]["final_win_rate"] - findings[OFFLINE[form]]["final_win_rate"]


def _shortened(findings: Findings) -> Float[np.ndarray, "N"]:
    """The lesser share of length that "short" saves, and "very short" saves of what is left."""
    lengths = np.stack([findings[name]["final_length"] for name in TOLD])
    return (1 - lengths[1:] / lengths[:-1]).min(axis=0)


def _least_win_rate(findings: Findings) -> Float[np.ndarray, "N"]:
    return np.min([findings[name]["final_win_rate"] for name in TOLD], axis=0)


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), dpi=110, layout="constrained")
    panels: Any = figure.subplot_mosaic("WF\nKL")
    six = [*ONLINE.values(), *OFFLINE.values()]
    for panel, names, x, y, title in (
        ("W", six, "step", "win_rate", "Win-rate over the supervised model, by the unseen judge"),
        ("F", six, "kl", "win_rate", "The same against the divergence"),
        ("K", six, "step", "kl", "Divergence from the supervised model, nats per caption"),
        ("L", TOLD, "step", "length", "Length in tokens, by what the annotator is told"),
    ):
        _draw(panels[panel], findings, names, x, y)
        panels[panel].set_title(title, loc="left", fontsize=11)
        panels[panel].set_xlabel("nats per caption" if x == "kl" else "step")
    panels["L"].set_ylim(bottom=0)
    return figure


def _draw(axes: Any, findings: Findings, names: Sequence[str], x: str, y: str) -> None:
    """The mean over seeds of each variant with a thin line for each seed; offline ones in the colours of online."""
    from culet.core.plot import COLOURS

    for place, name in enumerate(names):
        measured, colour, dash = findings[name], COLOURS[place % 3], "--" if place > 2 else "-"
        axes.plot(measured[x].T, measured[y].T, dash, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(measured[x].mean(axis=0), measured[y].mean(axis=0), dash, color=colour, marker=".", label=name)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)


_DEVIATIONS = (
    "The paper trains PaLM 2-XS and asks PaLM 2-L which of two answers is better; here a decoder of 0.16 million "
    "parameters goes on from the first three words of captions of Multi30k (made-up ones at smoke scale, where all "
    "losses are DPO's). So small a model cannot follow an instruction: the annotator is a score that is linear in the "
    "words of a caption and learned, from the labels of half of the pictures, less 0.1 standard deviations a word when "
    'its instruction says "short" and 0.3 when it says "very short". It reads each caption for itself, so that both '
    "orders give the same, and labels are hard; ties teach nothing online and are left out offline. The judge is naive "
    "Bayes, from the other half, and is told nothing. The losses are of sums of log-probabilities at temperature 1, of "
    "pairs drawn at 0.9, as in the paper. So are the betas, but for IPO's: with the paper's 1.0 the pilot came to rest "
    "at 0.3 nats and a win-rate of 0.56, so DPO's 0.1 stands for both variants. Offline pairs are those of "
    "the supervised "
    "model for the prompts of the same steps, each learned from once (a few twice, in the place of ties). Rates are "
    "tuned on seed 100 and other prompts, in full runs, by the judge's win-rate there among those that ended within 5 "
    "nats: without that bound the largest rate is always ahead, as online DPO was with 0.97 at 12 nats and 3 tokens. "
    "Tried were 5e-4, 6.5e-4 and 8e-4 for DPO and SLiC (but not 8e-4 for online SLiC, where 6.5e-4 was beyond the "
    "bound), and 5e-4, 8e-4, 1.3e-3, 2e-3 and, beyond the bound, 3e-3 for IPO. Both instructions take the rate of "
    "online DPO. Online captions became shorter there, offline ones longer, under the same annotator; the claims on "
    "length compare online runs among themselves."
)

experiment = Experiment(
    slug="oaif",
    question="Do DPO, IPO and SLiC reach more when an annotator labels the policy's own pairs at each step than from "
    "pairs of the supervised model that the same annotator labelled once, and does telling it to like short texts "
    "make them shorter?",
    metrics=[
        Metric(name="final_win_rate", unit="over the supervised model, by a judge never trained on", better="higher"),
        Metric(name="final_kl", unit="nats per caption from the supervised model", better="lower"),
        Metric(name="final_reward_win_rate", unit="over the supervised model, by the annotator", better="higher"),
        Metric(name="final_length", unit="tokens", better="lower"),
    ],
    budget_unit="pairs",
    variants={
        **{
            name: _variant(name, f"{form} on pairs of the supervised model, sampled and labelled once")
            for form, name in OFFLINE.items()
        },
        **{
            name: _variant(name, f"{form} on pairs that the policy writes at each step, labelled at once")
            for form, name in ONLINE.items()
        },
        SHORT: _variant(SHORT, 'the same as online DPO, with an annotator told "Prefer a short one."'),
        VERY_SHORT: _variant(VERY_SHORT, 'the same, told "Prefer a very short one."'),
    },
    claims=[
        *(
            Claim(
                text=f"After as many steps and pairs, online {form} wins over the supervised model at least as often "
                f"as offline {form}, by a judge that the training never saw.",
                margin=_gain_online(form),
                at_least=0.0,
            )
            for form in FORMS
        ),
        Claim(
            text='An annotator told "short" makes captions at least 15% shorter, and "very short" as much again.',
            margin=_shortened,
            at_least=0.15,
        ),
        Claim(
            text="Whatever it is told, the policy wins over the supervised model more often than not, by the judge.",
            margin=_least_win_rate,
            at_least=0.5,
        ),
    ],
    control={ONLINE["DPO"]: _variant(ONLINE["DPO"], "the same, labelled at random", guessed=True)},
    figure=_figure,
    deviations=_DEVIATIONS,
    usage="from culet.align.methods import Preferences; "
    "align(policy, Preferences(form='dpo', beta=0.1, online=True), prompts, AlignRecipe(), compare=judge)",
)  # fmt: skip
