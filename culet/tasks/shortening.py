"""A task with a metric for the experiments on imitation: to tell a long caption of a picture in few words.

What is learned from is the shortest caption that somebody else wrote of the same picture, and the metric is ROUGE-1
against the two shortest. Models begin with one that has only learned to restore captions of other pictures from which
words were left out. Pictures are those of `culet.tasks.captions`.

Axis letters: P points of a run, K temperatures, R completions, A places on a front.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import spearmanr

from culet.align.comparison import BestPolicy
from culet.align.experience import Method
from culet.align.judging import answers_of, sampled
from culet.align.loop import AlignRecipe, align
from culet.align.methods import Likelihood, token_rewards
from culet.align.prompts import PromptRow, PromptSet
from culet.align.rewards.answer import Answer
from culet.align.rewards.rouge import rouge_1, self_bleu
from culet.align.rollout import Rollout, log_probabilities
from culet.experiments.experiment import Scale
from culet.lm import Decoder
from culet.tasks.captions import Use, pictures

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

SLOTS, NEW_TOKENS = 24, 14  # for a long caption and a short one; pictures with longer ones are left out
END = " ."  # of a prompt
KEPT = 0.7  # of the words, to restore the others from
SAMPLED = 192  # prompts with several completions
SAMPLES = 4  # completions of each of the latter
TEMPERATURES = (0.25, 0.5, 0.75, 1.0)


class Sizes(NamedTuple):
    """Of the model, its training and the evaluation."""

    vocabulary: int
    layers: int
    width: int
    steps: int  # of the training that all runs share; 0: none
    stopping: int  # prompts that say when to stop
    judged: int | None  # at most as many are judged


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(512, 1, 16, 0, 8, 8),
    "laptop": Sizes(1024, 2, 64, 1000, 256, None),
}


@functools.cache
def tokenizer(scale: Scale) -> "Tokenizer":
    """A small vocabulary of words and their parts, from captions of the pictures that nothing else is learned of."""
    from culet.lm import train_tokenizer

    texts = [END.join(captions) for captions in pictures(scale, "training").half(1).captions[:4000]]
    return train_tokenizer(texts, SIZES[scale].vocabulary)


def _row(scale: Scale, long: str, short: str, references: Sequence[str] = ()) -> PromptRow | None:
    """A prompt with its completion, or nothing if either is empty or too long."""
    encode = tokenizer(scale).encode
    prompt, completion = encode(long + END, special=False), encode(short, bos=False, special=False)
    if not long or not short or len(prompt) > SLOTS or len(completion) >= NEW_TOKENS:
        return None
    return PromptRow(text=long, tokens=prompt, completions=(short,), columns={"references": references})


@functools.cache
def _pairs(scale: Scale, use: Use) -> Sequence[PromptRow]:
    """Of each picture the longest caption but one as a prompt, and the shortest as its completion."""
    seen = pictures(scale, use)
    rows = []
    for each in (seen.half(0) if use == "training" else seen).captions:
        references = each[(len(each) + 1) // 2 :]
        rows.append(_row(scale, each[len(each) // 3], references[-1], references))
    return [row for row in rows if row is not None]


def lessons(scale: Scale, seed: int, *, mixed_up: bool = False) -> PromptSet:
    """What a seed learns from, in an order of its own; `mixed_up` gives each prompt the next one's completion."""
    rows = _pairs(scale, "training")[: -SIZES[scale].stopping]
    rows = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    if mixed_up:
        given = [row.completions for row in rows[1:] + rows[:1]]
        rows = [dataclasses.replace(row, completions=other) for row, other in zip(rows, given, strict=True)]
    return PromptSet(rows, tokenizer(scale))


def count_of(scale: Scale, share: float) -> int:
    """How many pictures are a share of all that there are to train on."""
    return round(share * len(pictures(scale, "training").captions))


@functools.cache
def pretrained(scale: Scale) -> Decoder:
    """The model that every run of every seed begins with.

    Its logits have no cap, so that their size is free.
    """
    from culet.lm import scaled

    size, vocabulary = SIZES[scale], tokenizer(scale).vocabulary
    config = scaled("gemma-3-1b", layers=size.layers, width=size.width, vocabulary=vocabulary, window=64, context=64)
    model = eqx.filter_jit(config.init)(jax.random.key(0))
    if not size.steps:
        return model
    recipe = AlignRecipe(steps=size.steps, batch_size=64, new_tokens=NEW_TOKENS, learning_rate=6e-3, weight_decay=0.1)
    return align(model, Likelihood(), _damaged(scale), recipe, progress=False)


def _damaged(scale: Scale) -> PromptSet:
    """Captions from which words are left out, and what they were."""
    generator = np.random.default_rng(0)
    rows = []
    for captions in pictures(scale, "training").half(1).captions:
        for text in captions[1:4]:
            left = [word for word in text.split() if generator.random() < KEPT]
            rows.append(_row(scale, " ".join(left), text))
    rows = [row for row in rows if row is not None]
    return PromptSet(rows, tokenizer(scale))


class Examination:
    """Measures policies on prompts that they have not learned from."""

    def __init__(self, scale: Scale, use: Use):
        self.tokenizer = tokenizer(scale)
        stopping, judged = _pairs(scale, "training")[-SIZES[scale].stopping :], _pairs(scale, use)
        judged = judged[: SIZES[scale].judged]
        self.judged = np.arange(len(stopping), len(stopping) + len(judged))
        self.prompts = PromptSet([*stopping, *judged], self.tokenizer)
        self.sampled = PromptSet(judged[:SAMPLED], self.tokenizer)
        self.start = self(pretrained(scale))

    def __call__(self, policy: Decoder) -> dict[str, float]:
        """`rouge` of the likeliest completions and `surprise`, nats per token of the data's, of the judged prompts.

        `stopping` is `rouge` of the prompts that say when to stop.
        """
        answers = self._answers(self.prompts, self._written(policy, self.prompts, 0.0, 1))
        scores, first = rouges(answers), self.judged[0]
        surprise = _surprise(policy, self.prompts.data(self.judged, 1, NEW_TOKENS))
        return {
            "rouge": float(scores[first:].mean()), "stopping": float(scores[:first].mean()), "surprise": float(surprise)
        }  # fmt: skip

    def sampled_at(self, policy: Decoder) -> dict[str, Any]:
        """ROUGE-1 and Self-BLEU of a prompt's completions by temperature, [K] each, and of the last temperature more.

        `correlation` is Spearman's, over completions, of ROUGE-1 and the reward that the policy implies, added up over
        the tokens, and `by_reward` the mean ROUGE-1 of each tenth from the least reward to the most. `length` is in
        tokens.
        """
        rollouts = [self._written(policy, self.sampled, temperature, SAMPLES) for temperature in TEMPERATURES]
        answers = [self._answers(self.sampled, rollout) for rollout in rollouts]
        scores = np.stack([rouges(each) for each in answers])
        rewards = np.asarray(_rewards(policy, rollouts[-1])).sum(axis=1)
        related: Any = spearmanr(rewards, scores[-1])
        return {
            "quality": scores.mean(axis=1), "likeness": np.array([_likeness(each) for each in answers]),
            "correlation": float(np.nan_to_num(related.statistic)),  # NaN where all are equal
            "by_reward": np.array([part.mean() for part in np.array_split(scores[-1][rewards.argsort()], 10)]),
            "length": float(rollouts[-1].mask.sum() / len(rewards)),
        }  # fmt: skip

    def _written(self, policy: Decoder, prompts: PromptSet, temperature: float, times: int) -> Rollout:
        everyone = np.arange(len(prompts.rows))
        return sampled(policy, prompts, everyone, times, NEW_TOKENS, jax.random.key(0), temperature=temperature)

    def _answers(self, prompts: PromptSet, rollout: Rollout) -> list[Answer]:
        times = len(rollout.mask) // len(prompts.rows)
        return answers_of(rollout, [row for row in prompts.rows for _ in range(times)], self.tokenizer)


@functools.cache
def examination(scale: Scale, use: Use) -> Examination:
    """One for all runs."""
    return Examination(scale, use)


def rouges(answers: Sequence[Answer]) -> Float[np.ndarray, "R"]:
    """ROUGE-1 of each answer against its prompt's references."""
    return np.array([rouge_1(answer.text, answer.columns["references"]) for answer in answers])


def _likeness(answers: Sequence[Answer]) -> float:
    """Self-BLEU among the completions of each prompt, on average."""
    texts = [answer.text for answer in answers]
    return float(np.mean([self_bleu(texts[at : at + SAMPLES]) for at in range(0, len(texts), SAMPLES)]))


@eqx.filter_jit
def _surprise(policy: Decoder, rollout: Rollout) -> Float[Array, ""]:
    return -log_probabilities(policy, rollout).sum() / rollout.mask.sum()


_rewards = eqx.filter_jit(token_rewards)


def learned(method: Method, recipe: AlignRecipe, training: PromptSet, scale: Scale, use: Use) -> dict[str, Any]:
    """What was measured on the way from the pre-trained model, [P] each, and its end.

    `chosen` is the ROUGE-1 where it was best on the prompts that say when to stop, and that policy is what
    `Examination.sampled_at` measures. `fall` is by how much the run ends below the best that it had.
    """
    measure = examination(scale, use)
    run = BestPolicy(lambda policy, step: measure(policy), by="stopping")
    align(pretrained(scale), method, training, recipe, evaluate=run, progress=False)
    assert run.policy is not None  # the last step is evaluated
    measured = {name: np.array([point[name] for point in run.points]) for name in run.points[0]}
    curve = {name: np.concatenate([[start], measured[name]]) for name, start in ({"step": 0.0} | measure.start).items()}
    return curve | measure.sampled_at(run.policy) | {
        "chosen": measured["rouge"][measured["stopping"].argmax()],
        "fall": measured["rouge"].max() - measured["rouge"][-1],
    }  # fmt: skip


def gain_at_equal_likeness(
    measurements: Mapping[str, Float[np.ndarray, "... K"]], other: Mapping[str, Float[np.ndarray, "... K"]]
) -> Float[np.ndarray, "..."]:
    """How much more ROUGE-1 one front has than another where both are as diverse by Self-BLEU, on average.

    Both are straight between temperatures, and compared over the Self-BLEU that both have.
    """
    parts = [
        each[name].reshape(-1, len(TEMPERATURES)) for each in (measurements, other) for name in ("likeness", "quality")
    ]
    gains = []
    for likeness, quality, other_likeness, other_quality in zip(*parts, strict=True):
        low, high = max(likeness.min(), other_likeness.min()), min(likeness.max(), other_likeness.max())
        at = np.linspace(low, high, 33)
        gains.append(np.mean(_between(at, likeness, quality) - _between(at, other_likeness, other_quality)))
    return np.reshape(gains, measurements["quality"].shape[:-1])


def _between(at: Float[np.ndarray, "A"], x: Float[np.ndarray, "K"], y: Float[np.ndarray, "K"]) -> np.ndarray:
    order = np.argsort(x)
    return np.interp(at, x[order], y[order])
