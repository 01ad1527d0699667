"""What online and offline preferences are made of: an annotator with an instruction, and labelled pairs.

Axis letters: N answers, B pairs.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from culet.align.judging import answers_of, compared, sampled
from culet.align.prompts import PromptRow, PromptSet
from culet.align.rewards.answer import Answer
from culet.align.rewards.preference import Preference, preferred_by
from culet.experiments.experiment import Scale
from culet.tasks.caption_policy import SIZES, prompts, supervised
from culet.tasks.captions import reward

QUALITY = "Which caption is better?"
SHORT = "Which caption is better? Prefer a short one."
VERY_SHORT = "Which caption is better? Prefer a very short one."
SHORTER = 0.1  # what "short" takes off for each word of a caption, in standard deviations of human ones
VERY = 3  # times that with "very"
TEMPERATURE = 0.9  # of the pairs, as in the paper


def annotator(scale: Scale, instruction: str) -> Preference:
    """Prefers captions by the learned reward, and by its instruction: "short" makes it take off for each word.

    It reads each caption for itself, so that their order cannot matter; equal ones are a tie.
    """
    words, learned = frozenset(instruction.lower().strip(".").split()), reward(scale)
    off = SHORTER * ("short" in words) * (VERY if "very" in words else 1)

    def worth(answers: Sequence[Answer]) -> Float[np.ndarray, "N"]:
        return learned(answers) - off * np.array([len(answer.text.split()) for answer in answers])

    return preferred_by(worth)


def guessing(seed: int) -> Preference:
    """An annotator that does not read."""
    generator = np.random.default_rng(seed)
    return lambda firsts, _: generator.random(len(firsts))


@functools.cache
def pairs(scale: Scale, seed: int, steps: int, batch_size: int) -> PromptSet:
    """Pairs that the supervised model wrote once, the better one first, for as many steps; ties are left out.

    The prompts are those of the same steps of an online run with this seed, and the labels those of its annotator.
    """
    asked = prompts(scale, "training")
    batches = asked.batches(batch_size, seed)
    rows = [row for step in range(steps) for row in _labelled(scale, seed, asked, batches[step]["row"], step)]
    return PromptSet(rows, asked.tokenizer)


def _labelled(scale: Scale, seed: int, asked: PromptSet, numbers: np.ndarray, step: int) -> list[PromptRow]:
    key = jax.random.fold_in(jax.random.key(seed), step)
    rollout = sampled(supervised(scale, seed), asked, numbers, 2, SIZES[scale].new_tokens, key, temperature=TEMPERATURE)
    rows = [asked.rows[number] for number in np.repeat(numbers, 2).tolist()]
    first, second = compared(annotator(scale, QUALITY), answers_of(rollout, rows, asked.tokenizer)).T
    tokens, lengths = np.asarray(rollout.completions), np.asarray(rollout.lengths)
    written = [ids[:length].tolist() for ids, length in zip(tokens, lengths, strict=True)]
    labelled = []
    for row, one, other, lead in zip(rows[::2], written[::2], written[1::2], first - second, strict=True):
        if lead != 0:
            labelled.append(dataclasses.replace(row, completions=(one, other) if lead > 0 else (other, one)))
    return labelled
