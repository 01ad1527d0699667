"""Reward models small enough for tests."""

import dataclasses
from functools import cache

import jax

from culet.align.rewards import RewardModel
from culet.align.rewards.reward_model import Meaning
from culet.lm import scaled
from tests.lm.small import small
from tests.weights import random_weights


@cache
def judge(name: str = "one layer", meaning: Meaning = "reward", vocabulary: int = 40) -> RewardModel:
    """One with random weights, of this preset's shape or of one layer."""
    if name != "one layer":
        return RewardModel(small(name), meaning, key=jax.random.key(3))
    sizes = {"layers": 1, "width": 16, "heads": 2, "kv_heads": 1, "hidden": 16, "context": 128}
    config = dataclasses.replace(scaled("gemma-2-2b", **sizes, vocabulary=vocabulary), window=9)
    return RewardModel(random_weights(config.init), meaning, key=jax.random.key(3))
