"""What is learned beside TRL, whatever it takes: `python -m benchmarks.alignment_curves`, with CULET_DATA.

Both sides run as in `benchmarks.alignment`, from several seeds, and are measured by the same code on prompts that
neither learned from: RLOO and online DPO by win-rate over the start (by a judge that the training never saw) against
the divergence from it; distillation by KL(student || teacher) on the student's own completions. A lead is the win-rate
at equal divergence, mean over the points where the other side was measured, or how much less divergence is left.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.alignment import RATES, TOKENS, Evaluate, ours, trainer
from benchmarks.timing import report
from culet.align import gain_at_equal_kl
from culet.align.frontier import Frontier
from culet.lm import Decoder, load_model
from culet.tasks.caption_policy import prompts, supervised, yardstick
from culet.tasks.captions import reward

STEPS, EVERY = 60, 12  # of a run, and between points of its curve
SEEDS = 3
HELD_OUT = 192  # prompts
Points = list[dict[str, float]]


def measure(name: str, seed: int) -> Evaluate:
    """What both sides are measured by."""
    if name != "distillation":
        return yardstick("laptop", seed, "judging")
    held_out = prompts("laptop", "judging", count=HELD_OUT)
    return Frontier(supervised("laptop", seed), held_out, TOKENS, reward=reward("laptop"), seed=seed)


def curves(name: str, seed: int) -> Mapping[str, Points]:
    """Points of both sides' runs."""
    measured = measure(name, seed)
    found: dict[str, Points] = {"ours": [], "theirs": []}

    def keep(side: str) -> Evaluate:
        def evaluate(policy: Decoder, step: int) -> Mapping[str, float]:
            point = {"step": step, **measured(policy, step)}
            found[side].append({key: round(float(value), 4) for key, value in point.items()})
            return point

        return evaluate

    ours(name, seed, STEPS, keep("ours"), EVERY)()
    made = trainer(name, seed, STEPS)
    made.add_callback(_watching(keep("theirs")))
    made.train()
    return found


def _watching(evaluate: Evaluate) -> Any:
    """Measures TRL's policy where ours is measured."""
    from transformers import TrainerCallback

    class Watching(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step % EVERY == 0:
                with tempfile.TemporaryDirectory() as folder:
                    model.save_pretrained(folder)
                    evaluate(load_model(folder), state.global_step)

    return Watching()


def lead(name: str, runs: Sequence[Mapping[str, Points]]) -> list[float]:
    """How far ours is ahead, for each seed: see the head of this file."""
    start = {"kl": 0.0, "win_rate": 0.5}

    def columns(side: str, key: str) -> np.ndarray:
        before = [] if name == "distillation" else [start]
        return np.array([[point[key] for point in [*before, *run[side]]] for run in runs])

    if name == "distillation":
        return (columns("theirs", "kl") - columns("ours", "kl")).mean(axis=1).tolist()
    mine, other = ({key: columns(side, key) for key in start} for side in ("ours", "theirs"))
    return gain_at_equal_kl(mine, other).tolist()


def main() -> None:
    """One table: where the curves end, the mean over seeds, and the least and greatest lead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default {SEEDS})")
    seeds = parser.parse_args().seeds
    rows: list[list[Any]] = []
    result: dict[str, Any] = {}
    for name in RATES:
        runs = [curves(name, seed) for seed in range(seeds)]
        leads = lead(name, runs)
        result[name] = {"lead": leads, "runs": runs}
        for side in ("ours", "theirs"):
            ends = [float(np.mean([run[side][-1][key] for run in runs])) for key in ("kl", "win_rate", "length")]
            rows.append([name, side, *ends, *([min(leads), max(leads)] if side == "ours" else ["", ""])])
        print(name, leads, flush=True)
    columns = ["method", "side", "KL", "win-rate", "length", "least lead", "greatest lead"]
    report("alignment curves", columns, rows, result)


if __name__ == "__main__":
    main()
