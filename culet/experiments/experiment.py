"""What an experiment is: variants, seeds, measurements, claims about paired seeds, and a control that must fail.

An experiment is data and small functions; `run_experiment` runs it. The sizes of a run at each `Scale` are data too:
one mapping at the top of the experiment's file, so that no code asks for the scale.

Axis letters: N seeds.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["smoke", "laptop"]
Verdict = Literal["reproduced", "not reproduced", "undecided"]
Measurements = Mapping[str, np.ndarray]
"""What a variant measured: each array has the seeds as its first axis, N. Scalars per seed are metrics; longer arrays
(curves, pictures, sounds) are for the figure. "budget" is what the variant spent, in the experiment's `budget_unit`."""

Findings = Mapping[str, Measurements]
"""The measurements of each variant, by its name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to do the task: the method, a baseline, an ablation or a reference.

    `run(seeds, scale)` returns `Measurements` with `len(seeds)` rows. A variant that is `vmapped` gets all seeds at
    once; others get one seed per call, and each finished call is kept, so that a stopped experiment goes on after it.
    """

    description: str  # a line for people: what is done, and with what
    run: Callable[[Sequence[int], Scale], Mapping[str, Any]]
    vmapped: bool = False
    equal_budget: bool = True  # False for references that are not compared, such as a ceiling or an untrained model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement about each seed: `margin(findings)`, one number per seed [N], is at least `at_least` on average.

    Margins pair the variants by seed: for example baseline error minus method error. The verdict comes from a bootstrap
    interval over seeds of the mean margin (`claim_verdict`).
    """

    text: str  # a sentence that says what is claimed, with the number
    margin: Callable[[Findings], np.ndarray]
    at_least: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A number per seed that the table shows for every variant that has it."""

    name: str  # its key in the measurements
    unit: str
    better: Literal["lower", "higher"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A paper's claim as something that runs."""

    slug: str
    question: str  # what is asked, in a sentence or two
    metrics: Sequence[Metric]  # the first is the main one
    budget_unit: str  # of what variants may spend equally: "gradient steps", "passes over the corpus"
    variants: Mapping[str, Variant]
    claims: Sequence[Claim]
    control: Mapping[str, Variant]  # broken variants, in place of those of the same names: a claim must then fail
    figure: Callable[[Findings], "Figure"]
    deviations: str  # from the paper: data, scale, anything left out
    usage: str  # a command or two lines of Python by which a user runs the system itself
    seeds: int = 3
    computes_at_smoke: bool = False  # longer than it compiles, so that XLA's optimisations pay at smoke scale too
    files: Callable[[Findings], Mapping[str, bytes]] | None = None  # what to keep beside the result, by file name


def per_seed(run: Callable[[int, Scale], Mapping[str, Any]]) -> Callable[[Sequence[int], Scale], Mapping[str, Any]]:
    """A variant's `run` from a function of a single seed, whose arrays have no seed axis."""

    def run_all(seeds: Sequence[int], scale: Scale) -> Mapping[str, Any]:
        measured = [run(seed, scale) for seed in seeds]
        return {name: np.stack([np.asarray(one[name]) for one in measured]) for name in measured[0]}

    return run_all
