"""Griffin and Hawk against the oracle of plain loops in float64."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.lm import DecoderConfig, preset
from tests.lm import griffin_oracle
from tests.weights import random_weights

TOKENS = np.random.default_rng(5).integers(0, 40, 18)


def small(name: str) -> DecoderConfig:
    """The preset with everything made small, and with a shape of its own for everything that may be confused."""
    return dataclasses.replace(
        preset(name), layers=5, width=20, heads=3, head_dim=8, hidden=36, vocabulary=40, window=5, rope_local=100.0,
        query_scale=8**-0.5, lru_width=24, lru_blocks=4, epsilon=0.01,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["griffin-100m", "hawk-100m"])
def test_logits_equal_the_oracle(name):
    config = small(name)
    model = random_weights(config.init, spread=1.5, vectors=0.5, seed=len(name))
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    weights = {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf, np.float64) for path, leaf in leaves
    }
    expected = griffin_oracle.logits(weights, config, TOKENS)
    error = np.abs(np.asarray(eqx.filter_jit(model)(jnp.asarray(TOKENS))) - expected).max() / expected.std()
    assert error < 1e-4
    for field, value in (("window", 6), ("epsilon", 1e-6), ("rope_local", 200.0)):  # the comparison can fail
        if name.startswith("griffin") or field == "epsilon":
            other = griffin_oracle.logits(weights, dataclasses.replace(config, **{field: value}), TOKENS)
            assert np.abs(other - expected).max() / expected.std() > 1e-3


def test_patterns():
    assert small("griffin-7b").kinds == "RRLRR" and small("hawk-7b").kinds == "RRRRR"
