import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from culet.inference.topics.corpus import as_counts, token_blocks
from culet.inference.topics.sparse_lda import SampledLDA, SparseTopics, dense, sample_topics, word_weights
from culet.inference.topics.svi import update

ALPHA = np.array([0.3, 0.9], np.float32)
WEIGHTS = np.array([[0.9, 0.2], [0.1, 0.5], [0.4, 0.4]], np.float32)  # of three tokens


def exact():
    """p(z) of the three tokens by enumeration, with theta integrated out."""
    log_p = {}
    for z in itertools.product(range(2), repeat=3):
        counts = np.bincount(z, minlength=2)
        log_p[z] = scipy.special.gammaln(ALPHA + counts).sum() + np.log(WEIGHTS[range(3), z]).sum()
    total = scipy.special.logsumexp(list(log_p.values()))
    return {z: np.exp(value - total) for z, value in log_p.items()}


def test_samples_follow_the_exact_posterior():
    chains, slots = 4000, 4
    weights = np.zeros((chains, slots, 2), np.float32)
    weights[:, :3] = WEIGHTS
    weights[:, 3] = [1e3, 1.0]  # a slot that fills the block must not matter
    real = np.tile(np.array([1, 1, 1, 0], np.float32), (chains, 1))
    kept = sample_topics(jnp.asarray(weights), jnp.asarray(real), jnp.asarray(ALPHA), jax.random.key(0), 8, 2)
    assert kept.shape == (2, slots, chains)
    for z, probability in exact().items():
        found = np.mean(np.all(np.asarray(kept[-1, :3]) == np.array(z)[:, None], axis=0))
        assert abs(found - probability) < 5 * (probability * (1 - probability) / chains) ** 0.5, z


V, K, ETA = 6, 2, 0.1
GENERATOR = np.random.default_rng(0)
COUNTS = as_counts(GENERATOR.poisson(1.0, (5, V)))


def topics(scale=0.5):
    counts = GENERATOR.gamma(1.0, 1.0, (V, K)).astype(np.float32)
    return SparseTopics(jnp.asarray(counts), jnp.asarray(counts.sum(0)), jnp.full((), scale))


def test_word_weights_are_the_two_forms_of_beta():
    parameters = topics()
    concentration = np.asarray(dense(parameters, ETA), np.float64)
    words = jnp.arange(V)
    mean = word_weights(parameters, words, ETA, "mean")
    np.testing.assert_allclose(mean, concentration / concentration.sum(0), rtol=1e-5)
    log_beta = scipy.special.digamma(concentration) - scipy.special.digamma(concentration.sum(0))
    np.testing.assert_allclose(word_weights(parameters, words, ETA, "exp_log"), np.exp(log_beta), rtol=1e-4)


@pytest.mark.parametrize("scale", [0.5, 1.1e-6])
def test_a_lazy_step_is_the_natural_step(scale):
    """Also where the scale becomes so small that it is multiplied out."""
    model = SampledLDA(jnp.asarray(ALPHA), ETA, "mean", 2, 3)
    before, blocks, key = topics(scale), token_blocks(COUNTS, 4)[0], jax.random.key(1)
    old = np.asarray(dense(before, ETA))
    statistics = np.zeros((V, K))
    for block, one in zip(blocks, jax.random.split(key, len(blocks)), strict=True):
        kept = np.asarray(model.local(before, block, one))
        for sample in kept:
            np.add.at(statistics, (block.words.T, sample), block.counts.T / len(kept))
    assert statistics.sum() == pytest.approx(COUNTS.sum())
    after = update(model, before, blocks, rate=0.3, scale=4.0, key=key)
    np.testing.assert_allclose(dense(after, ETA), 0.7 * old + 0.3 * (ETA + 4.0 * statistics), rtol=1e-4)
    np.testing.assert_allclose(after.totals, after.counts.sum(0), rtol=1e-4)
    assert after.scale == (1.0 if scale < 1e-3 else pytest.approx(0.35))


def test_what_a_minibatch_does_not_hold_stays_zero():
    model = SampledLDA(jnp.asarray(ALPHA), ETA, "mean", 0, 1)
    empty = SparseTopics(jnp.zeros((V, K)), jnp.zeros(K), jnp.ones(()))
    block = token_blocks(as_counts([[2, 0, 0, 0, 0, 0]]), 1)[0]
    after = update(model, empty, block, rate=0.3, scale=1.0, key=jax.random.key(0))
    assert np.count_nonzero(after.counts) <= 2 and np.all(after.counts[1:] == 0)
