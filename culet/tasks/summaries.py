"""Summaries for the experiments on post-training: four captions of a picture are the source, the fifth the target.

The policy learns from one half of the pictures and the scorer of entailment from the other. What else a summary is
measured by asks no model: the share of its content words that one of the five people said too, ROUGE against the fifth
caption, length, and the share of what two of the four said that it says as well.

Axis letters: N summaries, P points of a run.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import numpy as np

from culet.align.experience import grouped, sequence_kl
from culet.align.judging import answers_of, sampled
from culet.align.prompts import PromptRow, PromptSet
from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.captions import statements_about
from culet.align.rewards.lexical import LexicalScorer, train_lexical_scorer
from culet.align.rewards.overlap import coverage, word_precision
from culet.align.rewards.reward_model import entailed
from culet.align.rewards.rouge import rouge_1, rouge_l
from culet.align.rollout import Rollout
from culet.experiments.experiment import Scale
from culet.lm import Decoder, Recipe, scaled, text_rows, train, train_tokenizer
from culet.tasks.captions import Use, pictures

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

SOURCES = 4  # captions that are summarised
CUE = " =>"  # what follows them
MEASURES = ("entailment", "precision", "rouge_1", "rouge_l", "coverage", "length")
_SEEDS: Mapping[Use, int] = {"training": 0, "tuning": 1, "judging": 2}


class Sizes(NamedTuple):
    """Of the data, the model, its training and the evaluation."""

    made_up: Mapping[Use, int] | None  # how many pictures are made up for each use; None: real ones
    longest: int  # tokens of a prompt
    new_tokens: int
    held_out: int  # summaries that a policy is measured by
    vocabulary: int
    layers: int
    width: int
    steps: int
    batch_size: int
    row: int  # tokens of a row that is learned from
    one_model: bool  # for all seeds, as each training is compiled for itself


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes({"training": 240, "tuning": 40, "judging": 40}, 48, 8, 4, 512, 1, 16, 8, 4, 64, True),
    "laptop": Sizes(None, 64, 16, 256, 2048, 2, 64, 400, 16, 160, False),
}


@functools.cache
def captions(scale: Scale, use: Use) -> Sequence[Sequence[str]]:
    """The five captions of each picture, lower-case words, the longest first; real ones or made up.

    Raises OSError for real captions that are not there.
    """
    made_up = SIZES[scale].made_up
    return pictures(scale, use).captions if made_up is None else list(_made_up(_SEEDS[use], made_up[use]))


def _made_up(seed: int, count: int) -> Iterable[Sequence[str]]:
    generator = np.random.default_rng(seed)

    def pick(options: str) -> str:
        return str(generator.choice(options.split()))

    for _ in range(count):
        who, colour, what = pick("man woman boy girl"), pick("red blue green black"), pick("shirt jacket coat dress")
        does, place = pick("runs walks sits sings"), pick("beach street forest kitchen")
        yield (
            f"a {who} in a {colour} {what} {does} in the {place}", f"the {who} {does} and wears a {colour} {what}",
            f"in the {place} a {who} {does}", f"a {colour} {what} on a {who}", f"a {who} {does}",
        )  # fmt: skip


@functools.cache
def scorer(scale: Scale) -> LexicalScorer:
    """Has learned what follows from what on the pictures that the policy does not see."""
    return train_lexical_scorer(statements_about(captions(scale, "training")[1::2]))


def reward(scale: Scale, *, shuffled: bool = False) -> Reward:
    """The log-probability that a summary follows from its source, or if `shuffled` from another picture's."""
    return entailed(scorer(scale), premise="other" if shuffled else "source")


@functools.cache
def tokenizer(scale: Scale) -> "Tokenizer":
    """A vocabulary of the words of captions that the policy may learn from, and of their parts."""
    texts = [text for five in captions(scale, "training")[::2][:5000] for text in five]
    return train_tokenizer(texts, SIZES[scale].vocabulary)


@functools.cache
def lessons(scale: Scale, use: Use) -> Sequence[PromptRow]:
    """Sources and their fifth captions, of those pictures for which both are short enough.

    The columns hold the "source", the "captions", and as "other" the source of the next picture.
    """
    encode, own, size = tokenizer(scale).encode, captions(scale, use), SIZES[scale]
    kept = []
    for five in own[::2] if use == "training" else own:
        source = " . ".join(five[:SOURCES])
        asked = encode(source + CUE, special=False)
        length = len(encode(_after(five[SOURCES]), bos=False, special=False))
        if len(asked) <= size.longest and 0 < length < size.new_tokens:
            kept.append((source, asked, five))
    sources = [source for source, _, _ in kept]
    return [
        PromptRow(
            text=source + CUE, tokens=asked, completions=(_after(five[SOURCES]),),
            columns={"source": source, "other": other, "captions": five},
        )
        for (source, asked, five), other in zip(kept, [*sources[1:], *sources[:1]], strict=True)
    ]  # fmt: skip


def _after(text: str) -> str:
    return f" {text}"  # so that it has the tokens that it has behind the cue


def prompts(scale: Scale, rows: Sequence[PromptRow]) -> PromptSet:
    """Lessons as what a run learns from, or is measured on."""
    return PromptSet(rows, tokenizer(scale))


@functools.cache
def supervised(scale: Scale, seed: int) -> Decoder:
    """The model that every run begins with: it has learned to write all five captions one after the other."""
    size = SIZES[scale]
    if size.one_model and seed:
        return supervised(scale, 0)
    config = scaled(
        "gemma-2-2b", layers=size.layers, width=size.width, vocabulary=tokenizer(scale).vocabulary, window=96,
        context=160,
    )  # fmt: skip
    texts = [row.text + str(row.completions[0]) for row in lessons(scale, "training")]
    recipe = Recipe(steps=size.steps, batch_size=size.batch_size, learning_rate=8e-3, seed=seed)
    start = eqx.filter_jit(config.init)(jax.random.key(seed))
    return train(start, text_rows(texts, tokenizer(scale), size.row), recipe, progress=False)


def measures(scale: Scale, answers: Sequence[Answer]) -> dict[str, float]:
    """`MEASURES` of summaries, whose entailment is their mean log-probability by the scorer, in nats."""
    columns = [reward(scale)(answers), *zip(*map(_compared, answers), strict=True)]
    return {name: float(np.mean(values)) for name, values in zip(MEASURES, columns, strict=True)}


def _compared(answer: Answer) -> tuple[float, ...]:
    """What `MEASURES` name, without the entailment."""
    text, five = answer.text, answer.columns["captions"]
    target = [five[SOURCES]]
    return (
        word_precision(text, five), rouge_1(text, target), rouge_l(text, target), coverage(text, five[:SOURCES]),
        float(len(text.split())),
    )  # fmt: skip


class Measure:
    """Measures policies of one seed on held-out sources, and how far they are from the model that they `start` as."""

    def __init__(self, scale: Scale, seed: int, use: Use, start: Decoder):
        self.scale: Scale = scale
        self.reward = reward(scale)
        self.start, self.prompts = start, prompts(scale, lessons(scale, use)[: SIZES[scale].held_out])
        self.key = jax.random.key(seed)
        self.of_start = self(self.start)

    def __call__(self, policy: Decoder) -> dict[str, float]:
        """`MEASURES` of samples, and with "greedy_" before the name of the likeliest summaries, word by word; and `kl`.

        The latter is that of whole summaries from the start, in nats, exact over the vocabulary.
        """
        rollout, likeliest = self.written(policy, 1.0, 0), self.written(policy, 0.0, 0)
        greedy = measures(self.scale, self._answers(likeliest))
        return (
            measures(self.scale, self._answers(rollout))
            | {f"greedy_{name}": value for name, value in greedy.items()}
            | {"kl": float(_divergence(policy, self.start, grouped(rollout, 1))) / len(rollout.mask)}
        )

    def best_of(self, count: int, temperature: float) -> dict[str, float]:
        """`MEASURES` of the best of so many samples of the supervised model, by the reward."""
        drawn = [self._answers(self.written(self.start, temperature, number)) for number in range(count)]
        best = np.argmax([self.reward(answers) for answers in drawn], axis=0)
        return measures(self.scale, [drawn[number][place] for place, number in enumerate(best)])

    def written(self, policy: Decoder, temperature: float, number: int) -> Rollout:
        """A summary of each source, the same at each call with the same number."""
        everyone, key = np.arange(len(self.prompts.rows)), jax.random.fold_in(self.key, number)
        return sampled(policy, self.prompts, everyone, 1, SIZES[self.scale].new_tokens, key, temperature=temperature)

    def _answers(self, rollout: Rollout) -> list[Answer]:
        return answers_of(rollout, self.prompts.rows, self.prompts.tokenizer)


_divergence = eqx.filter_jit(sequence_kl)


@functools.cache
def measure(scale: Scale, seed: int, use: Use) -> Measure:
    """One for all variants of a seed."""
    return Measure(scale, seed, use, supervised(scale, seed))


@functools.cache
def most_entailed(scale: Scale, share: float) -> Sequence[PromptRow]:
    """The lessons whose target is likeliest, by the scorer, to follow from its source."""
    rows = lessons(scale, "training")
    answers = [
        Answer(prompt=row.text, text=str(row.completions[0]), tokens=1, columns=row.columns) for row in rows
    ]  # fmt: skip
    order = np.argsort(-reward(scale)(answers), kind="stable")
    return [rows[number] for number in sorted(order[: int(share * len(rows))])]
