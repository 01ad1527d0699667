"""A policy so small that a test can train it: letters in, letters out."""

import dataclasses
from functools import cache
from typing import Any

import jax
import numpy as np

from culet.align.loop import AlignRecipe
from culet.align.prompts import PromptRow, PromptSet
from culet.lm import Decoder, scaled
from tests.lm.small import Letters

WORDS = Letters(9)  # padding, end, beginning, a, b, c, ab, ca and a space
TEXTS = ["a", "bc", "cab", "b"]


@cache
def policy(seed: int = 0, pattern: str = "L") -> Decoder:
    config = scaled("gemma-3-1b", width=16, vocabulary=9, context=32)
    config = dataclasses.replace(config, layers=1, window=32, pattern=pattern, embedding_scale=0.2)
    return config.init(jax.random.key(seed))


def prompts(completions: tuple[str, ...] = (), **columns: Any) -> PromptSet:
    rows = [PromptRow(text=text, tokens=WORDS.encode(text), completions=completions, columns=columns) for text in TEXTS]
    return PromptSet(rows, WORDS)


def recipe(**numbers: Any) -> AlignRecipe:
    return AlignRecipe(**{"steps": 2, "batch_size": 4, "new_tokens": 5, "warmup": 0.0, "learning_rate": 0.01} | numbers)


def many_a(answers):
    """A reward: how many letters a."""
    return np.array([answer.text.count("a") for answer in answers])
