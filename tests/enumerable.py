"""A policy over all texts of two tokens, so that every expectation is a sum.

Axis letters: Y the nine texts, T their two tokens, V three entries of the vocabulary.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

V = 3
TEXTS = jnp.array(list(itertools.product(range(V), repeat=2)), jnp.int32)
MASK = jnp.ones(TEXTS.shape, bool)


def parameters(seed):
    """Logits of the first token [V], and of the second after each first [V, V]."""
    random = np.random.default_rng(seed)
    return tuple(jnp.asarray(random.normal(size=shape), jnp.float32) for shape in [(V,), (V, V)])


def logits(theta):
    """What each token of each text was drawn from, [Y, T, V]."""
    first = jnp.broadcast_to(theta[0], (len(TEXTS), V))
    return jnp.stack([first, theta[1][TEXTS[:, 0]]], axis=1)


def token_log_probs(theta):
    """Log-probabilities of each token of each text, [Y, T]."""
    rows = jax.nn.log_softmax(logits(theta))
    return jnp.take_along_axis(rows, TEXTS[..., None], axis=-1)[..., 0]


def sequence_log_probs(theta):
    """Log-probabilities of the texts, [Y]."""
    return token_log_probs(theta).sum(axis=-1)


def expected(theta, losses):
    """The expectation of losses [Y] of texts that `theta` draws, the drawing without gradient."""
    return (jax.lax.stop_gradient(jnp.exp(sequence_log_probs(theta))) * losses).sum()


def kl(p, q):
    """KL(p || q) of log-probabilities, as a sum."""
    return (jnp.exp(p) * (p - q)).sum()


def assert_close(found, wanted, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance / 2), found, wanted)


def size(tree):
    """The largest entry of a tree, in magnitude."""
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
