"""Stochastic variational inference (1206.7051): minibatches learn topics sooner, and the HDP finds how many.

Axis letters: N seeds.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed
from culet.tasks.python_topics import SIZES as CORPUS
from culet.tasks.python_topics import corpus, curves_figure, follow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVI, BATCH_VB, HDP = "SVI, 50 topics", "batch VB, 50 topics", "SVI, HDP"
OTHERS = (25, 100, 200, 300)
MOST = 500  # topics of the HDP
# Chosen on the documents set apart for that, from two to five values each, one at a time.
_HDP_PRIORS = {"alpha": 3.0, "gamma": 10.0, "eta": 0.05, "tables": 20}


class Sizes(NamedTuple):
    """Of the models."""

    topics: int | None  # of all variants of LDA, so that little is compiled; None: as many as a variant says
    hdp: Mapping[str, Any]  # the arguments of the HDP
    hdp_iterations: int  # of a document, at most


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(4, {"topics": 16, "eta": 0.1}, 100),
    "laptop": Sizes(None, {"topics": MOST, **_HDP_PRIORS}, 200),
}


def _other(topics: int) -> str:
    return f"SVI, {topics} topics"


def _fitting(seed: int, scale: Scale, **changed: Any) -> dict[str, Any]:
    return {"passes": CORPUS[scale].passes, "batch_size": CORPUS[scale].batch_size, "seed": seed} | changed


def _lda(topics: int, rate_1: bool = False, whole: bool = False) -> Any:
    """LDA by steps on minibatches, or on the `whole` corpus; with the rates of the theory or always `rate_1`."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        from culet.inference import LDA

        changed: dict[str, Any] = {"delay": 1.0} if rate_1 else {}
        if whole:
            changed["batch_size"] = corpus(scale)[0].shape[0]
        model = LDA(SIZES[scale].topics or topics, eta=0.1, **_fitting(seed, scale, **changed))
        return follow(model, scale, _at_rate_1 if rate_1 else None)

    return per_seed(run)


def _hdp(seed: int, scale: Scale) -> dict[str, Any]:
    from culet.inference import HDP as Model

    size = SIZES[scale]
    return follow(Model(**size.hdp, **_fitting(seed, scale, iterations=size.hdp_iterations)), scale)


def _at_rate_1(model: Any, minibatch: Any, documents: int) -> None:
    """A step that keeps nothing of what was learned before: right for the whole corpus, wrong for a minibatch."""
    model.steps = 0  # where a delay of 1 gives the rate 1
    model.partial_fit(minibatch, documents=documents)


def _hdp_less_best(findings: Findings) -> np.ndarray:
    rivals = (SVI, *map(_other, OTHERS))
    return findings[HDP]["score"] - np.max([findings[name]["score"] for name in rivals], axis=0)


def _figure(findings: Findings) -> "Figure":
    return curves_figure(findings, "Topics of Python's standard library")


experiment = Experiment(
    slug="svi",
    question="Do noisy natural gradients from minibatches learn topics in fewer passes over a corpus than batch "
    "variational inference, and does the hierarchical Dirichlet process do as well as the best number of topics "
    "without being told?",
    metrics=[
        Metric(name="score", unit="nats per held-out word, after all passes", better="higher"),
        Metric(name="first_pass", unit="nats per held-out word, after one pass", better="higher"),
        Metric(name="topics_in_use", unit="topics with 1 token in 1,000 or more", better="lower"),
    ],
    budget_unit="passes over the corpus",
    variants={
        SVI: Variant(description="minibatches of 256, rates (10 + t)^-0.7", run=_lda(50)),
        BATCH_VB: Variant(description="all documents in each step", run=_lda(50, rate_1=True, whole=True)),
        **{_other(k): Variant(description=f"the first with {k} topics", run=_lda(k)) for k in OTHERS},
        HDP: Variant(description=f"at most {MOST} topics, 20 in a document", run=per_seed(_hdp)),
    },
    claims=[
        Claim(
            text="After one pass SVI scores at least as high as batch variational inference after three.",
            margin=lambda findings: findings[SVI]["first_pass"] - findings[BATCH_VB]["score"],
            at_least=0.0,
        ),
        Claim(
            text="The HDP scores at most 0.05 nats per word below the best of LDA with 25, 50, 100, 200 and 300 "
            "topics.",
            margin=_hdp_less_best,
            at_least=-0.05,
        ),
        Claim(
            text="The HDP uses fewer topics than the most it may have.",
            margin=lambda findings: MOST - findings[HDP]["topics_in_use"],
            at_least=1.0,
        ),
    ],
    control={
        SVI: Variant(description="rate 1 at every step: each minibatch forgets all before it", run=_lda(50, True))
    },
    figure=_figure,
    deviations="The paper learns from 350,000 articles of Nature, 1.8 million of the New York Times and 3.8 million of "
    "Wikipedia; here it is 12,000 chunks of Python's sources. Words are scored as there, by document "
    "completion. Tables of the HDP begin at the topics that explain most of a document, and a document gets 200 "
    "iterations at most. LDA's priors are 0.1 and 1 / topics; those of the HDP were chosen on other documents.",
    usage="culet topics TEXTS --topics 50; culet topics TEXTS --model hdp",
)
