"""The labellers of the experiment RLAIF: people who differ, and small language models that have read what people say.

What somebody hears in a caption is its worth by the learned reward and a noise of his own, so that of two captions the
better one wins with the probability of Bradley and Terry. A model reads questions about captions that people wrote,
with people's answers, and learns the answers: which of two is better, and how good one is from 1 to 10.

Axis letters: N captions or pairs.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from culet.align import completions
from culet.align.rewards import Answer, ModelJudge, ModelScore, Preference, agreement, both_orders, position_bias
from culet.core import pack
from culet.experiments.experiment import Scale
from culet.lm import Recipe, scaled, train, train_tokenizer
from culet.tasks.caption_policy import LONGEST, OPENING, prompts, supervised
from culet.tasks.caption_policy import SIZES as CAPTIONS
from culet.tasks.captions import pictures, reward

if TYPE_CHECKING:
    from culet.lm import Decoder, Tokenizer

Size = Literal["narrow", "wide"]
Remark = tuple[str, str]  # a question and its answer

NOISE = 0.5  # standard deviations of human captions: two people then agree about three pairs of four
PHRASE = 4  # words at most
PHRASES = 0.6  # share of the remarks that are about phrases
WHICH, PAIR = "Which is better?", "{instruction} {prompt}\n1:{first}\n2:{second}\nBetter: "
HOW, SCORE = "How good is it?", "{instruction} {prompt}{answer}\nScore: "
MARKS = " with {} to {}"  # what follows a verdict: the scores of both
SINGLES = 0.25  # share of the captions that are scored by themselves
MIDDLE, STEP = 5.5, 2.0  # of the scores: the mean caption's, and what a standard deviation makes
ROUNDS = 2  # in which all captions are talked about
SPELLED = 20  # of as many remarks, one makes the vocabulary
ROW = 64  # tokens
RATES: Mapping[Size, float] = {"narrow": 1e-2, "wide": 8e-3}
OTHERS = 1000  # what sets the seed of other people apart


class Sizes(NamedTuple):
    """Of the labellers, their training and what they label."""

    vocabulary: int
    read_at_once: int  # questions
    steps: int
    pairs: int  # that are labelled
    batch_size: int
    widths: Mapping[Size, int]


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(512, 16, 8, 4, 16, {"narrow": 16}),
    "laptop": Sizes(1024, 128, 1000, 2048, 32, {"narrow": 32, "wide": 64}),
}


def perceived_worth(scale: Scale, texts: Sequence[str], generator: np.random.Generator) -> Float[np.ndarray, "N"]:
    """What somebody hears in each caption: the difference of two such numbers has logistic noise."""
    return reward(scale).of_texts(texts) + NOISE * (generator.gumbel(size=len(texts)) - np.euler_gamma)


def remarks(scale: Scale) -> list[Remark]:
    """Questions about what people wrote, with people's answers: pairs of one beginning, and single ones.

    Most are about phrases, from which it is learned soonest which words count for how much.
    """
    generator = np.random.default_rng(0)
    alike, asked = _endings(scale), []
    for _ in range(ROUNDS):
        asked += _pairs(scale, alike, generator) + _singles(scale, alike, generator)
    return [asked[place] for place in generator.permutation(len(asked))]


def _endings(scale: Scale) -> dict[str, list[list[str]]]:
    """The words with which the shorter captions go on, by those with which they begin."""
    endings: defaultdict[str, list[list[str]]] = defaultdict(list)
    for captions in pictures(scale, "training").half(0).captions:
        for words in map(str.split, captions):
            if OPENING < len(words) <= LONGEST:
                endings[" ".join(words[:OPENING])].append(words[OPENING:])
    return endings


def _pairs(scale: Scale, alike: Mapping[str, list[list[str]]], generator: np.random.Generator) -> list[Remark]:
    """Which of two is better, either of them first by chance, and the scores of both."""
    asked = []
    for opening, endings in alike.items():
        order = generator.permutation(len(endings)).tolist()
        for places in zip(order[::2], order[1::2], strict=False):
            short = generator.random() < PHRASES
            asked.append((opening, *(_text(endings[place], short, generator) for place in places)))
    worths = perceived_worth(scale, [text for _, *pair in asked for text in pair], generator).reshape(-1, 2)
    questions = [PAIR.format(instruction=WHICH, prompt=opening, first=one, second=two) for opening, one, two in asked]
    verdicts = np.where(worths[:, 0] > worths[:, 1], "1", "2")
    marks = [MARKS.format(*scores) for scores in _scores(scale, worths)]
    return [(question, f"{verdict}{rest}") for question, verdict, rest in zip(questions, verdicts, marks, strict=True)]


def _singles(scale: Scale, alike: Mapping[str, list[list[str]]], generator: np.random.Generator) -> list[Remark]:
    """How good one is."""
    asked = [
        (opening, _text(words, generator.random() < PHRASES, generator))
        for opening, endings in alike.items() for words in endings if generator.random() < SINGLES
    ]  # fmt: skip
    worths = perceived_worth(scale, [text for _, text in asked], generator)
    return [
        (SCORE.format(instruction=HOW, prompt=opening, answer=text), str(score))
        for (opening, text), score in zip(asked, _scores(scale, worths), strict=True)
    ]


def _scores(scale: Scale, worths: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """From 1 to 10."""
    middle, deviation = _usual(scale)
    return np.clip(np.round(MIDDLE + STEP * (worths - middle) / deviation), 1, 10).astype(int)


@functools.cache
def _usual(scale: Scale) -> tuple[float, float]:
    """Mean and standard deviation of the worth of what people wrote."""
    worths = reward(scale).of_texts([" ".join(words) for endings in _endings(scale).values() for words in endings])
    return float(worths.mean()), float(worths.std())


def _text(words: Sequence[str], short: bool, generator: np.random.Generator) -> str:
    """The words, or a phrase of them, as they follow an opening."""
    if short:
        length = min(len(words), 1 + int(generator.integers(PHRASE)))
        start = int(generator.integers(len(words) - length + 1))
        words = words[start : start + length]
    return " " + " ".join(words)


@functools.cache
def labeller(scale: Scale, size: Size) -> "tuple[Decoder, Tokenizer]":
    """The model that has read the remarks, and its tokenizer: one for all seeds, and for both sizes if one width."""
    sizes = SIZES[scale]
    if size not in sizes.widths:
        return labeller(scale, "narrow")
    read = remarks(scale)
    tokenizer = train_tokenizer([question + answer for question, answer in read[::SPELLED]], SIZES[scale].vocabulary)
    learned = [learned_tokens(remark, tokenizer) for remark in read]
    rows = pack([tokens for tokens, _ in learned], ROW, [weights for _, weights in learned])
    config = scaled(
        "gemma-2-2b", layers=2, width=sizes.widths[size], vocabulary=tokenizer.vocabulary, window=ROW, context=4 * ROW
    )
    recipe = Recipe(steps=sizes.steps, batch_size=sizes.batch_size, learning_rate=RATES[size])
    return train(config.init(jax.random.key(0)), rows, recipe, progress=False), tokenizer


def learned_tokens(remark: Remark, tokenizer: "Tokenizer") -> tuple[list[int], list[float]]:
    """The tokens of a remark, and weights by which the answer and its end alone are learned."""
    question, answer = remark
    given = tokenizer.encode(question, special=False)
    said = tokenizer.encode(answer, bos=False, eos=True, special=False)
    return given + said, [0.0] * len(given) + [1.0] * len(said)


def scoring(scale: Scale, size: Size = "narrow") -> ModelScore:
    """The labeller, asked how good a caption is: the reward of direct RLAIF."""
    return ModelScore(*labeller(scale, size), instruction=HOW, template=SCORE, rows=SIZES[scale].read_at_once)


@functools.cache
def pairs(scale: Scale, seed: int) -> tuple[list[Answer], list[Answer]]:
    """The first and the second captions of pairs that the supervised model wrote to prompts of the training."""
    asked = prompts(scale, "training")
    chosen = asked.batches(SIZES[scale].pairs, seed)[0]["row"]
    answers = completions(supervised(scale, seed), asked, chosen, 2, CAPTIONS[scale].new_tokens, jax.random.key(seed))
    return answers[::2], answers[1::2]


def people(scale: Scale, seed: int) -> Preference:
    """A judge who is somebody else for each caption."""
    generator = np.random.default_rng(seed)

    def preference(firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "N"]:
        first, second = (perceived_worth(scale, [one.text for one in side], generator) for side in (firsts, seconds))
        return (first > second).astype(np.float32)

    return preference


@functools.cache
def _shown(scale: Scale, seed: int, size: Size, swapped: bool) -> Float[np.ndarray, "N"]:
    """How likely a labeller finds the first it is shown of each pair to be better; with `swapped` that is the second.

    Kept, so that no question is asked twice.
    """
    asked = ModelJudge(*labeller(scale, size), instruction=WHICH, template=PAIR, rows=SIZES[scale].read_at_once)
    firsts, seconds = pairs(scale, seed)
    return asked.shown(seconds, firsts) if swapped else asked.shown(firsts, seconds)


def in_order(scale: Scale, seed: int, size: Size = "narrow") -> Preference:
    """A labeller as a judge of a seed's pairs, as it reads them: in the one order in which they are given."""
    return lambda firsts, _: _shown(scale, seed, size, firsts is not pairs(scale, seed)[0])


def averaged(scale: Scale, seed: int, size: Size = "narrow") -> Preference:
    """The same, asked in both orders, as RLAIF does."""
    return functools.partial(both_orders, in_order(scale, seed, size), tie_margin=0.0)


def examined(scale: Scale, seed: int, size: Size) -> dict[str, float]:
    """How a labeller agrees with people about a seed's pairs, and what it makes of their order.

    `agreement` is that with both orders averaged, `single_agreement` that in one order, on average over the two, and
    `people_agree` that of other people. `changed` is the share of verdicts that turn with the order, `averaged_changed`
    what averaging leaves of it, and `first` the mean probability of what is shown first.
    """
    firsts, seconds = pairs(scale, seed)
    preferred = people(scale, seed)(firsts, seconds)
    one, both = in_order(scale, seed, size), averaged(scale, seed, size)
    alone, together = position_bias(one, firsts, seconds), position_bias(both, firsts, seconds)
    single = [agreement(preferred, likely) for likely in (one(firsts, seconds), 1 - one(seconds, firsts))]
    return {
        "agreement": agreement(preferred, both(firsts, seconds)),
        "single_agreement": float(np.mean(single)),
        "people_agree": agreement(preferred, people(scale, seed + OTHERS)(firsts, seconds)),
        "changed": alone.changed,
        "averaged_changed": together.changed,
        "first": alone.shown_first,
    }
