"""What the experiments on post-training share: a small model that writes captions, and what a run is measured by.

The model goes on from the first words of a caption. Data, reward and judge are those of `culet.tasks.captions`.

Axis letters: N seeds, P points of a run, B prompts, M reference completions of each.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.align.comparison import best_of, win_rates
from culet.align.experience import Method
from culet.align.frontier import BEST_OF, REFERENCES, SAMPLES, Frontier
from culet.align.loop import AlignRecipe, align
from culet.align.prompts import PromptRow, PromptSet
from culet.align.rewards.answer import Answer
from culet.align.rewards.preference import Preference
from culet.core.plot import COLOURS
from culet.experiments.experiment import Findings, Scale
from culet.lm import Decoder
from culet.objectives import best_of_n_kl_bound
from culet.tasks.captions import CAPTION_METRICS, Use, judge, pictures, reward

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

OPENING = 3  # words of a caption that are its prompt
LONGEST = 13  # words of a caption that is learned from


class Sizes(NamedTuple):
    """Of the model, its training and the evaluation."""

    new_tokens: int
    held_out: int  # prompts that a run is measured on
    vocabulary: int
    width: int
    steps: int
    batch_size: int
    one_model: bool  # for all seeds, as each training is compiled for itself


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(8, 2, 512, 16, 8, 16, True),
    "laptop": Sizes(16, 192, 1024, 64, 400, 32, False),
}


@functools.cache
def tokenizer(scale: Scale) -> "Tokenizer":
    """A small vocabulary of the captions' words and their parts."""
    from culet.lm import train_tokenizer

    return train_tokenizer(_lessons(scale), SIZES[scale].vocabulary)


def _lessons(scale: Scale) -> list[str]:
    """The shorter captions of the pictures that the reward has seen too."""
    seen = pictures(scale, "training").half(0).captions
    return [text for captions in seen for text in captions[2:] or captions if OPENING < len(text.split()) <= LONGEST]


@functools.cache
def supervised(scale: Scale, seed: int) -> "Decoder":
    """The model that every run begins with: it has learned to write captions. One for all variants of a seed."""
    size = SIZES[scale]
    if size.one_model and seed:
        return supervised(scale, 0)
    import jax

    from culet.lm import Recipe, scaled, text_rows, train

    vocabulary = tokenizer(scale).vocabulary
    config = scaled("gemma-2-2b", layers=2, width=size.width, vocabulary=vocabulary, window=32, context=64)
    rows = text_rows(_lessons(scale), tokenizer(scale), 64)
    recipe = Recipe(steps=size.steps, batch_size=size.batch_size, learning_rate=8e-3, seed=seed)
    return train(config.init(jax.random.key(seed)), rows, recipe, progress=False)


def prompts(scale: Scale, use: Use, *, count: int | None = None) -> "PromptSet":
    """The first words of captions as prompts; with `count`, that many different ones, the first that there are."""
    seen = pictures(scale, use)
    captions = (seen.half(0) if use == "training" else seen).captions
    texts = [text for each in captions for text in each[-2:-1] if len(text.split()) > OPENING]
    openings = [" ".join(text.split()[:OPENING]) for text in texts]
    if count is not None:
        openings = list(dict.fromkeys(openings))[:count]
    encode = tokenizer(scale).encode
    rows = [PromptRow(text=text, tokens=encode(text, special=False)) for text in openings]
    return PromptSet(rows, tokenizer(scale))


class _Both:
    """The judge, who keeps what the reward makes of the same completions."""

    def __init__(self, scale: Scale):
        self.judge, self.reward = judge(scale), reward(scale)
        self.rewards: Float[np.ndarray, "..."] = np.zeros(0)

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "..."]:
        self.rewards = self.reward(answers)
        return self.judge(answers)


class Yardstick:
    """Measures policies of one seed against the supervised model, by the judge and by the reward itself."""

    def __init__(self, scale: Scale, seed: int, use: Use):
        self.both = _Both(scale)
        held_out = prompts(scale, use, count=SIZES[scale].held_out)
        self.front = Frontier(supervised(scale, seed), held_out, SIZES[scale].new_tokens, reward=self.both, seed=seed)
        self.references = reward(scale)(self.front.references).reshape(-1, REFERENCES)
        self.start = self.front.rows[0] | self._by_reward()

    def __call__(self, policy: Decoder, step: int) -> dict[str, float]:
        """`kl`, `length`, `entropy`; `win_rate` by the judge; `reward` and `reward_win_rate` by the reward."""
        return self.front(policy, step) | self._by_reward()

    def _by_reward(self) -> dict[str, float]:
        rewards = self.both.rewards.reshape(-1, SAMPLES)
        wins = win_rates(rewards, self.references)
        return {"reward": float(rewards.mean()), "reward_win_rate": float(wins.mean())}

    def best_of_n(self) -> dict[str, list[float]]:
        """The same of the best of n reference completions by the reward, with the bound on its divergence."""
        judged = self.front.reference_scores["reward"]
        parts = {
            "win_rate": win_rates(judged, judged), "reward": self.references,
            "reward_win_rate": win_rates(self.references, self.references),
        }  # fmt: skip
        points = {name: [best_of(self.references, part, n) for n in BEST_OF] for name, part in parts.items()}
        return points | {"kl": [best_of_n_kl_bound(n) for n in BEST_OF]}


@functools.cache
def yardstick(scale: Scale, seed: int, use: Use) -> Yardstick:
    """One for all variants of a seed."""
    return Yardstick(scale, seed, use)


def trajectory(
    method: Method, recipe: AlignRecipe, scale: Scale, use: Use, judged: Any = None, *,
    compare: Preference | None = None, training: PromptSet | None = None,
) -> tuple[dict[str, Any], Decoder]:  # fmt: skip
    """Aligns the supervised model of the recipe's seed; gives what was measured on the way, each [P], and the end.

    `judged`, by default the reward, is what is learned from, unless `compare` says which of two is better. `training`
    is by default all prompts of that name.
    """
    measure = yardstick(scale, recipe.seed, use)
    points = [measure.start | {"step": 0.0}]

    def evaluate(policy: Decoder, step: int) -> dict[str, float]:
        points.append({"step": float(step)} | measure(policy, step))
        return points[-1]

    training = training or prompts(scale, "training")
    end = align(
        supervised(scale, recipe.seed), method, training, recipe, compare=compare,
        reward=None if compare else judged or reward(scale), evaluate=evaluate, progress=False,
    )  # fmt: skip
    return _columns(points), end


def ends(measurements: Mapping[str, Any]) -> dict[str, Any]:
    """What `CAPTION_METRICS` name: the last points of a run."""
    return {metric.name: measurements[metric.name.removeprefix("final_")][-1] for metric in CAPTION_METRICS}


def measured(policies: Sequence[Decoder], scale: Scale, seed: int, use: Use) -> dict[str, Any]:
    """The points of these policies, each [P]."""
    measure = yardstick(scale, seed, use)
    return _columns([measure(policy, step) for step, policy in enumerate(policies, 1)])


def _columns(points: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: np.array([point[name] for point in points]) for name in points[0]}


def draw_fronts(axes: Any, findings: Findings, names: Sequence[str], measure: str, points: str | None = None) -> None:
    """Curves of a measure against the divergence, a thin line for each seed; `points`, a variant, is drawn as dots."""
    for name, colour in zip(names, COLOURS * 2, strict=False):
        measurements = findings[name]
        axes.plot(measurements["kl"].T, measurements[measure].T, color=colour, alpha=0.3, linewidth=0.8)
        axes.plot(
            measurements["kl"].mean(axis=0), measurements[measure].mean(axis=0), color=colour, label=name, marker="."
        )
    if points is not None:
        measurements = findings[points]
        axes.plot(
            measurements["kl"].mean(axis=0), measurements[measure].mean(axis=0), "D:", color="#999999", label=points
        )
    axes.set(xlabel="KL from the supervised model, nats per caption")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
