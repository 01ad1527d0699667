"""Draws of classes against the softmax, in large vocabularies and at extreme logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from culet.distributions import Categorical, OneHotCategorical, OrderedLogistic


def frequencies_are(counts, chances):
    live = chances > 0
    assert not counts[~live].any()
    assert stats.chisquare(counts[live], counts.sum() * chances[live]).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_frequencies(dtype):
    """A batch of two, of which some classes have no weight: many draws of one key, and one draw of many keys."""
    logits = jnp.asarray([[0.5, -1.0, -jnp.inf, 2.0, 1.0], [-jnp.inf, 0.0, 3.0, -jnp.inf, 1.0]], dtype)
    chances = special.softmax(np.asarray(logits, np.float64), -1)
    draws = np.asarray(Categorical(logits).sample(jax.random.key(0), (20_000,)))
    keys = jax.random.split(jax.random.key(1), 20_000)
    apart = np.asarray(jax.vmap(Categorical(logits).sample)(keys))
    one_hot = np.asarray(OneHotCategorical(logits).sample(jax.random.key(2), (20_000,)))
    for place in range(2):
        frequencies_are(np.bincount(draws[:, place], minlength=5), chances[place])
        frequencies_are(np.bincount(apart[:, place], minlength=5), chances[place])
        frequencies_are(one_hot[:, place].sum(0), chances[place])


def test_ordered_classes():
    ordered = OrderedLogistic(0.3, [-1.0, 0.5, 2.0])
    draws = np.asarray(ordered.sample(jax.random.key(0), (20_000,)))
    below = special.expit(np.array([-1.0, 0.5, 2.0]) - 0.3)
    frequencies_are(np.bincount(draws, minlength=4), np.diff([0, *below, 1]))


@pytest.mark.parametrize(
    ("logits", "possible"),
    [
        ([3.0e38, -3.0e38, 0.0], {0}),
        ([-3.0e38, -3.0e38], {0, 1}),
        ([-jnp.inf, 1e30, -jnp.inf, 1e30], {1, 3}),
        ([-200.0, -jnp.inf, 0.0], {2}),
        ([-1e4], {0}),
    ],
)
def test_extreme_logits(logits, possible):
    draws = Categorical(jnp.asarray(logits, jnp.float32)).sample(jax.random.key(0), (200,))
    assert set(np.asarray(draws).tolist()) == possible


def test_draws_from_a_large_vocabulary_reach_its_tail():
    """A head of half of the mass, a tail of 60,000 classes with 1e-5 or less each, and some that are never drawn."""
    generator = np.random.default_rng(2)
    logits = generator.normal(size=60_000).astype(np.float32)
    logits[:10] += np.float32(np.log(np.exp(logits).sum() / 10))
    logits[generator.permutation(60_000)[:20_000]] = -np.inf
    mass = np.exp(logits.astype(np.float64))
    mass /= mass.sum()
    draws = np.asarray(Categorical(logits).sample(jax.random.key(0), (20_000,)))
    assert (mass[draws] > 0).all()
    bins = np.minimum(np.cumsum(mass) * 40, 39).astype(int)  # of neighbours, with a fortieth of the mass or so
    frequencies_are(np.bincount(bins[draws], minlength=40), np.bincount(bins, mass, 40))
    assert len(np.unique(draws[draws >= 10])) > 0.8 * (draws >= 10).sum()  # hardly any of the tail comes twice
