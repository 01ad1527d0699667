"""WARP: runs from one start are merged on the sphere, and the next ones begin on the way to what came of it.

Ramé and others (2024), "WARP: On the Benefits of Weight Averaged Rewarded Policies", 2406.16768, algorithm 1.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from culet.align.experience import Method
from culet.align.loop import AlignRecipe, align, check_run
from culet.align.merging import interpolate, slerp
from culet.align.prompts import PromptSet
from culet.align.rewards.answer import Reward
from culet.align.rewards.preference import Preference
from culet.core.files import atomic_write
from culet.lm import Decoder

ANCHOR_RATE = 0.01  # the paper's
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
    share: float = 0.3,
    reward: Reward | None = None,
    compare: Preference | None = None,
    teachers: tuple[Decoder, ...] = (),
    folder: str | Path | None = None,
    progress: bool = True,
) -> list[WarpIteration]:
    """Aligns a policy by merging independent runs, again and again; returns every iteration, the last one last.

    An iteration makes `runs` runs of `align` by the recipe, which differ in prompt order and sampling, and merges what
    they have learned with `slerp`. The next iteration begins at `share` (the paper's eta) of the way from its start to
    that merge. All of the policy learns. If the recipe names no anchor, the policy is held to its moving average, by
    the method's rate or by the paper's 0.01.

    `interpolate(policy, found[-1].merged, at)` for `at` from 0 to 1 is the front that the loop yields: from little
    divergence to much reward. Every model of every iteration stays in memory.

    With a `folder`, each run has its own folder there, and a stopped loop goes on bit for bit. Raises ValueError for
    numbers below 1, a share that is none, and a folder that holds a loop with other numbers (`iterations` may grow);
    else as `align` does.
    """
    if runs < 1 or iterations < 1:
        raise ValueError(f"{runs} runs and {iterations} iterations: there must be at least one of each")
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it must be from 0 to 1")
    if recipe.anchor_rate is None and not recipe.anchor_every:
        recipe = dataclasses.replace(recipe, anchor_rate=method.anchor_rate or ANCHOR_RATE)
    check_run(policy, method, prompts, recipe, reward=reward, compare=compare, teachers=len(teachers))
    folder = None if folder is None else Path(folder)
    if folder is not None:
        _keep(folder, {"runs": runs, "share": share, "recipe": dataclasses.asdict(recipe)})
    found: list[WarpIteration] = []
    for number in range(1, iterations + 1):
        start = interpolate(found[-1].start, found[-1].merged, share) if found else policy
        seeds = tuple(_seed(recipe.seed, number, run) for run in range(1, runs + 1))
        ends = tuple(
            align(
                start, method, prompts.reordered(seed), dataclasses.replace(recipe, seed=seed), reward=reward,
                compare=compare, teachers=teachers, progress=progress, name=f"iteration {number}, run {run}",
                folder=None if folder is None else folder / f"iteration-{number}" / f"run-{run}",
            ) for run, seed in enumerate(seeds, 1)
        )  # fmt: skip
        found.append(WarpIteration(start, seeds, ends, slerp(start, ends)))
    return found


def _seed(seed: int, iteration: int, run: int) -> int:
    """Different for all runs, also for those of loops with other seeds."""
    return int(np.random.SeedSequence([seed, iteration, run]).generate_state(1)[0] >> 1)


def _keep(folder: Path, numbers: dict[str, Any]) -> None:
    """Writes what the loop is made with. Raises ValueError if a loop made otherwise is there."""
    path, mine = folder / FILE, json.dumps(numbers, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != mine:
        raise ValueError(f"{folder} holds a loop with other numbers ({FILE}); go on with those, or take another folder")
    atomic_write(path, mine)
