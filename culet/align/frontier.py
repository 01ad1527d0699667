"""The reward-KL frontier of a run: reward and win rate against the divergence from where it began, and their picture.

Axis letters: B prompts, S completions of each that are judged, M reference completions of each, P points.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Key

from culet.align.comparison import best_of, win_rates
from culet.align.experience import grouped, sequence_kl
from culet.align.judging import answers_of, judged, sampled
from culet.align.prompts import PromptSet
from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.preference import Preference, probabilities_of
from culet.align.rollout import Rollout
from culet.core.files import atomic_write
from culet.core.log import read_log
from culet.core.plot import COLOURS
from culet.lm import Decoder
from culet.objectives import best_of_n_kl_bound

SAMPLES = 4  # completions of each held-out prompt at each point
REFERENCES = 16  # completions of each by the model that the run began with
BEST_OF = (2, 4, 8, 16)
SHOWN = 6  # prompts whose completions are kept at each point
TAKEN = frozenset({"step", "kl", "length", "entropy", "reward", "win_rate"})  # names of what every point has


class Frontier:
    """Measures policies on held-out prompts, with completions drawn at temperature 1: points on the frontier.

    The evaluator is a reward, or a comparison of two answers, or both: the win rate is then the comparison's. It should
    not be what the run learns from. `measures` are further rewards by name: of each a point has the mean, as NAME, and
    the win rate over the start, as NAME_win_rate. Divergences are of whole completions from those of `start`, in nats:
    exact over the vocabulary at each token, on the policy's own completions.

    `rows` are the points so far, in the order of their steps; `answers` and `scores` [B S] by name are those of the
    policy that was measured last, and `references` and `reference_scores` [B M] those of the start.
    """

    def __init__(
        self, start: Decoder, prompts: PromptSet, new_tokens: int, *, reward: Reward | None = None,
        compare: Preference | None = None, measures: Mapping[str, Reward] | None = None, folder: Path | None = None,
        seed: int = 0,
    ):  # fmt: skip
        """Draws the reference completions and has them judged.

        Raises ValueError where there is neither a reward nor a comparison, and for a measure whose name is taken.
        """
        if reward is None and compare is None:
            raise ValueError("a frontier needs a reward or a judge that compares two answers")
        if taken := sorted(TAKEN & set(measures or ())):
            raise ValueError(f"the measure {taken[0]!r} needs another name: each point has a {taken[0]} already")
        self.start, self.prompts, self.new_tokens, self.folder = start, prompts, new_tokens, folder
        self.compare, self.rewards = compare, ({} if reward is None else {"reward": reward}) | dict(measures or {})
        self.key = jax.random.key(seed)
        self.references = self._answers(self._written(start, REFERENCES, jax.random.fold_in(self.key, 0)), REFERENCES)
        self.reference_scores = self._scores(self.references, REFERENCES)
        self.answers: list[Answer] = []
        self.scores: dict[str, Float[np.ndarray, "B S"]] = {}
        self.rows: list[dict[str, Any]] = [] if folder is None else read_log(folder / "front.jsonl")
        if not self.rows:
            self(start, 0)

    def best_of_n(self) -> list[dict[str, float | int]]:
        """What the best of n reference completions by the reward is worth, and the bound on its divergence."""
        if "reward" not in self.reference_scores:
            return []
        rewards = self.reference_scores["reward"]
        wins = win_rates(rewards, rewards)
        return [
            {"n": n, "kl": best_of_n_kl_bound(n), "reward": best_of(rewards, rewards, n),
             "win_rate": best_of(rewards, wins, n)}
            for n in (1, *BEST_OF)
        ]  # fmt: skip

    def columns(self) -> dict[str, Float[np.ndarray, "P"]]:
        """The points so far as arrays by name, as `gain_at_equal_kl` takes them."""
        return {name: np.array([row[name] for row in self.rows], np.float64) for name in self.rows[0]}

    def __call__(self, policy: Decoder, step: int) -> dict[str, float]:
        """The point of a policy: `reward`, `win_rate` over the start, `kl`, `length` in tokens and `entropy` in nats.

        Entropy is that of a token given those before. With a folder, completions of a few prompts go to
        `samples.jsonl` and the picture to `front.png`.
        """
        rollout = self._written(policy, SAMPLES, jax.random.fold_in(self.key, 1))
        self.answers = self._answers(rollout, SAMPLES)
        self.scores = self._scores(self.answers, SAMPLES)
        mask, logs = np.asarray(rollout.mask), np.asarray(rollout.log_probabilities)
        point = {
            "kl": float(_divergence(policy, self.start, grouped(rollout, SAMPLES))) / len(self.answers),
            "length": float(mask.sum() / len(self.answers)),
            "entropy": float(-(mask * logs).sum() / mask.sum()),
        }
        for name, scores in self.scores.items():
            point[name] = float(scores.mean())
            wins = "win_rate" if name == "reward" else f"{name}_win_rate"
            point[wins] = float(win_rates(scores, self.reference_scores[name]).mean())
        if self.compare is not None:
            against = [self.references[i // SAMPLES * REFERENCES + i % SAMPLES] for i in range(len(self.answers))]
            point["win_rate"] = float(probabilities_of(self.compare, self.answers, against).mean())
        self.rows = [row for row in self.rows if row["step"] < step] + [{"step": step, **point}]
        if self.folder is not None:
            self._keep(self.folder, step)
        return point

    def _scores(self, answers: Sequence[Answer], times: int) -> dict[str, Float[np.ndarray, "B _"]]:
        return {name: judged(reward, answers, times) for name, reward in self.rewards.items()}

    def _written(self, model: Decoder, times: int, key: Key[Any, ""]) -> Rollout:
        return sampled(model, self.prompts, np.arange(len(self.prompts.rows)), times, self.new_tokens, key)

    def _answers(self, rollout: Rollout, times: int) -> list[Answer]:
        rows = [row for row in self.prompts.rows for _ in range(times)]
        return answers_of(rollout, rows, self.prompts.tokenizer)

    def _keep(self, folder: Path, step: int) -> None:
        """Writes the points so far, their picture, and completions of a few prompts beside those of earlier steps."""
        samples = [row for row in read_log(folder / "samples.jsonl") if row["step"] < step]
        for number in range(min(SHOWN, len(self.prompts.rows))):
            answer = self.answers[number * SAMPLES]
            value = float(self.scores["reward"][number, 0]) if "reward" in self.scores else None
            samples.append({"step": step, "prompt": answer.prompt, "text": answer.text, "reward": value})
        _write_rows(folder / "samples.jsonl", samples)
        _write_rows(folder / "front.jsonl", self.rows)
        draw_frontier(folder / "front.png", self.rows, self.best_of_n(), folder.name)


def draw_frontier(
    path: str | Path, rows: Sequence[Mapping[str, float | int]], best: Sequence[Mapping[str, float | int]], title: str
) -> None:
    """Writes a PNG: reward and win rate against divergence, beside best-of-n; length and entropy over the steps.

    `rows` are points with their `step`, `best` is from `Frontier.best_of_n`. Without rewards they have no panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rewarded = any("reward" in row for row in rows)
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplot_mosaic("RW\nLE" if rewarded else "WW\nLE")
    if rewarded:
        _against_divergence(panels["R"], rows, best, "reward")
    _against_divergence(panels["W"], rows, best, "win_rate")
    for panel, name, unit in (("L", "length", "tokens"), ("E", "entropy", "nats per token")):
        steps, values = zip(*((row["step"], row[name]) for row in rows), strict=True)
        panels[panel].plot(steps, values, marker="o", markersize=3, color=COLOURS[0])
        panels[panel].set(xlabel="step", ylabel=unit, title=name.capitalize(), ylim=(0, None))
    for axes in panels.values():
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    figure.suptitle(title, x=0.01, ha="left")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    atomic_write(path, image.getvalue())


def _against_divergence(
    axes: Any, rows: Sequence[Mapping[str, float | int]], best: Sequence[Mapping[str, float | int]], name: str
) -> None:
    points = [(row["kl"], row[name], row["step"]) for row in rows if row.get(name) is not None]
    axes.plot([kl for kl, _, _ in points], [y for _, y, _ in points], marker="o", markersize=4, color=COLOURS[0],
              label="the run")  # fmt: skip
    for kl, y, step in (points[0], points[-1]):
        axes.annotate(f"step {step}", (kl, y), textcoords="offset points", xytext=(5, -10), fontsize=8)
    if best:
        axes.plot([one["kl"] for one in best], [one[name] for one in best], marker="D", markersize=4, linestyle=":",
                  color=COLOURS[1], label="best of n of the start (bound on KL)")  # fmt: skip
        for one in best[1:]:
            axes.annotate(
                f"{one['n']:g}", (one["kl"], one[name]), textcoords="offset points", xytext=(4, 4), fontsize=8
            )
    label = {"reward": "reward", "win_rate": "win rate over the start"}[name]
    axes.set(xlabel="KL from the start, nats per completion", ylabel=label, title=label.capitalize())
    axes.legend(frameon=False, fontsize=8)


_divergence = eqx.filter_jit(sequence_kl)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    atomic_write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
