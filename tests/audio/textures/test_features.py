"""Statistics against float64 loops and numpy."""

import jax
import jax.numpy as jnp
import numpy as np

from culet.audio.textures.features import RandomFeatures, autocorrelation, gram, shifted_similarity

RANDOM = np.random.default_rng(0)
ACTIVATIONS = RANDOM.standard_normal((13, 3)).astype(np.float32)


def test_features_are_rectified_correlations(getkey):
    features = RandomFeatures(5, 4, 2, key=getkey())
    sound = RANDOM.standard_normal((9, 5)).astype(np.float32)
    for filters, found in zip(features.filters, features(jnp.asarray(sound)), strict=True):
        width = filters.shape[0]
        padded = np.pad(sound, (((width - 1) // 2, width // 2), (0, 0)))
        wanted = [np.einsum("wf,wfk->k", padded[t : t + width], filters) for t in range(9)]
        np.testing.assert_allclose(found, np.maximum(wanted, 0), atol=1e-5)
    assert [one.shape[0] for one in features.filters] == [2, 4]


def test_autocorrelation_is_that_of_numpy():
    found = autocorrelation(jnp.asarray(ACTIVATIONS), 2, 7)
    centred = ACTIVATIONS.astype(np.float64) - ACTIVATIONS.mean(axis=0)
    for k in range(3):
        full = np.correlate(centred[:, k], centred[:, k], "full")[12:]
        np.testing.assert_allclose(found[:, k], full[2:7] / (13 - np.arange(2, 7)), atol=1e-5)


def test_similarity_is_the_cosine_of_each_shift():
    other = RANDOM.standard_normal((13, 3)).astype(np.float32)
    a, b = (one.astype(np.float64) - one.mean(axis=0) for one in (ACTIVATIONS, other))
    wanted = [np.sum(np.roll(a, s, axis=0) * b) / np.linalg.norm(a) / np.linalg.norm(b) for s in range(13)]
    np.testing.assert_allclose(shifted_similarity(jnp.asarray(ACTIVATIONS), jnp.asarray(other)), wanted, atol=1e-5)


def test_a_shifted_copy_is_found():
    found = shifted_similarity(jnp.asarray(ACTIVATIONS), jnp.roll(jnp.asarray(ACTIVATIONS), 5, axis=0))
    assert int(found.argmax()) == 5 and abs(float(found[5]) - 1) < 1e-5
    shorter = shifted_similarity(jnp.asarray(ACTIVATIONS[:8]), jnp.asarray(ACTIVATIONS))
    assert shorter.shape == (13,) and float(jnp.abs(shorter).max()) < 1


def test_gram_forgets_the_order_of_frames():
    mean = ACTIVATIONS.mean(axis=0)
    found = gram(jnp.asarray(ACTIVATIONS))
    np.testing.assert_allclose(found, np.cov(ACTIVATIONS.T, bias=True) + np.outer(mean, mean), atol=1e-5)
    shuffled = RANDOM.permutation(ACTIVATIONS)
    np.testing.assert_allclose(gram(jnp.asarray(shuffled)), found, atol=1e-5)


def test_gradients_are_finite_on_silence(getkey):
    features = RandomFeatures(5, 4, 2, key=getkey())

    def total(sound):
        pairs = [(a, jnp.ones_like(a)) for a in features(sound)]
        return sum(autocorrelation(a, 1, 3).sum() + shifted_similarity(a, b).sum() for a, b in pairs)

    assert np.isfinite(jax.jit(jax.grad(total))(jnp.zeros((12, 5)))).all()
