"""WARP: runs from one start are merged on the sphere, and the next ones begin interpolated towards the merge.

Ramé and others (2024), "WARP: On the Benefits of Weight Averaged Rewarded Policies", 2406.16768, algorithm 1.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from culet.align.experience import Method
from culet.align.loop import AlignRecipe, align, check_run, current_names
from culet.align.merging import interpolate, slerp
from culet.align.prompts import PromptSet
from culet.align.rewards.answer import Reward
from culet.align.rewards.preference import Preference
from culet.core.files import atomic_write
from culet.lm import Decoder

REFERENCE_RATE = 0.01  # the paper's
FILE = "warp.json"  # in the folder of the loop


@dataclasses.dataclass(frozen=True)
class WarpIteration:
    """Runs from one start, and their merge."""

    start: Decoder
    seeds: tuple[int, ...]  # of the runs: each of its prompt order and its sampling
    ends: tuple[Decoder, ...]
    merged: Decoder  # the start and, layer by layer, the spherical merge of what the runs have learned


def warp(
    policy: Decoder,
    method: Method,
    prompts: PromptSet,
    recipe: AlignRecipe,
    *,
    runs: int = 2,
    iterations: int = 2,
    rate: float = 0.3,
    reward: Reward | None = None,
    compare: Preference | None = None,
    teachers: tuple[Decoder, ...] = (),
    folder: str | Path | None = None,
    progress: bool = True,
) -> list[WarpIteration]:
    """Aligns a policy by merging independent runs, again and again; returns every iteration, the last one last.

    An iteration makes `runs` runs of `align` by the recipe, which differ in prompt order and sampling, and merges what
    they have learned with `slerp`. The next iteration begins `rate` (the paper's eta) of the way from its start to that
    merge. All of the policy learns. If the recipe does not say how the reference model follows, it is a moving average
    of the policy, by the method's rate or by the paper's 0.01.

    `interpolate(policy, iterations[-1].merged, at)` for `at` from 0 to 1 is the frontier that the loop yields: from
    little divergence to much reward. Every model of every iteration stays in memory.

    With a `folder`, each run has its own folder there, and a stopped loop goes on bit for bit. Raises ValueError for
    numbers below 1, a rate outside 0 to 1, and a folder that holds a loop with other numbers (`iterations` may grow);
    else as `align` does.
    """
    if runs < 1 or iterations < 1:
        raise ValueError(f"{runs} runs and {iterations} iterations: there must be at least one of each")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}; it must be from 0 to 1")
    if recipe.reference_rate is None and not recipe.reference_every:
        recipe = dataclasses.replace(recipe, reference_rate=method.reference_rate or REFERENCE_RATE)
    check_run(policy, method, prompts, recipe, reward=reward, compare=compare, teachers=len(teachers))
    folder = None if folder is None else Path(folder)
    if folder is not None:
        _keep(folder, {"runs": runs, "rate": rate, "recipe": dataclasses.asdict(recipe)})
    done: list[WarpIteration] = []
    for number in range(1, iterations + 1):
        start = interpolate(done[-1].start, done[-1].merged, rate) if done else policy
        seeds = tuple(_seed(recipe.seed, number, run) for run in range(1, runs + 1))
        ends = tuple(
            align(
                start, method, prompts, dataclasses.replace(recipe, seed=seed), reward=reward,
                compare=compare, teachers=teachers, progress=progress, name=f"iteration {number}, run {run}",
                folder=None if folder is None else folder / f"iteration-{number}" / f"run-{run}",
            ) for run, seed in enumerate(seeds, 1)
        )  # fmt: skip
        done.append(WarpIteration(start, seeds, ends, slerp(start, ends)))
    return done


def _seed(seed: int, iteration: int, run: int) -> int:
    """Different for all runs, also for those of loops with other seeds."""
    return int(np.random.SeedSequence([seed, iteration, run]).generate_state(1)[0] >> 1)


def _keep(folder: Path, numbers: dict[str, Any]) -> None:
    """Writes what the loop is made with. Raises ValueError if a loop made otherwise is there."""
    path = folder / FILE
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept = {"rate": kept.pop("share", None)} | kept | {"recipe": current_names(kept["recipe"])}  # older names
        if kept != json.loads(json.dumps(numbers)):
            raise ValueError(
                f"{folder} holds a loop with other numbers ({FILE}); go on with those, or take another folder"
            )
    atomic_write(path, json.dumps(numbers, indent=2) + "\n")
