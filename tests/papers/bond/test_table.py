"""The table's divergences, against numpy in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from culet.papers.bond.table import COMPLETIONS, OF, divergences


def test_a_policy_that_does_not_learn_is_as_far_as_the_reference():
    found = np.asarray(divergences(jnp.int32(3), jnp.asarray([0.5]), 0.0, 2, 1))[0, 0]
    key = jax.random.key(3)
    logits, rewards = (np.float64(jax.random.normal(jax.random.fold_in(key, i), (COMPLETIONS,))) for i in (0, 1))
    reference = np.exp(logits) / np.exp(logits).sum()
    order = rewards.argsort()
    up_to = np.cumsum(reference[order])
    best = np.empty(COMPLETIONS)
    best[order] = up_to**OF - np.append(0, up_to[:-1]) ** OF
    log_ratio = np.log(best / reference)
    np.testing.assert_allclose(found, [best @ log_ratio, -reference @ log_ratio], rtol=2e-3)


def test_every_share_comes_nearer():
    found = np.asarray(divergences(jnp.int32(3), jnp.asarray([0.0, 0.5, 1.0]), 0.1, 200, 2))
    assert (found[:, 1] < found[:, 0]).all()
