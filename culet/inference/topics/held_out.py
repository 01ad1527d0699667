"""Document completion: how well topics predict words that they have not seen, one evaluator for every model.

Bounds and perplexities of different programs cannot be compared. Here half of the tokens of each held-out document are
shown, from them its mix of topics is inferred, and the other half is scored (Wallach et al. 2009; Hoffman et al. 2013,
section 4). All that a model contributes are its topics and its prior over topics.

Axis letters: D documents, V vocabulary, K topics, R documents of a block, W word slots.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.inference.topics.corpus import Block, Counts, as_counts, blocks
from culet.inference.topics.lda import infer

_TOLERANCE, _ITERATIONS = 1e-4, 200


def split_tokens(counts: Counts, seed: int = 0) -> tuple[Counts, Counts]:
    """Each token of each document, by a fair coin, into one of two parts of the shape of `counts`."""
    observed, hidden = counts.copy(), counts.copy()
    coins = np.random.default_rng(seed)
    observed.data = coins.binomial(counts.data.astype(np.int64), 0.5).astype(np.float32)
    hidden.data = counts.data - observed.data
    observed.eliminate_zeros()
    hidden.eliminate_zeros()
    return observed, hidden


def topic_proportions(
    beta: Float[Array | np.ndarray, "K V"], alpha: Float[Array | np.ndarray, "K"], counts: Counts
) -> Float[np.ndarray, "D K"]:
    """E[theta] of each document, by variational inference with the topics known; without words the prior's."""
    dealt, order = blocks(counts)
    by_word, prior = jnp.asarray(beta).T, jnp.asarray(alpha)
    gamma = np.concatenate([np.asarray(_gamma(by_word, prior, block)) for block in dealt])[: len(order)]
    proportions = np.empty_like(gamma)
    proportions[order] = gamma / gamma.sum(axis=1, keepdims=True)
    return proportions


@jax.jit
def _gamma(beta: Float[Array, "V K"], alpha: Float[Array, "K"], block: Block) -> Float[Array, "R K"]:
    each = jax.vmap(lambda likelihood, counts: infer(likelihood, counts, alpha, _TOLERANCE, _ITERATIONS).gamma)
    return each(beta[block.words], jnp.asarray(block.counts))


def document_completion(beta: Any, alpha: Any, counts: Any, seed: int = 0) -> float:
    """Log predictive probability of the hidden half, in nats per token: higher is better.

    `beta` [K, V] are the topics' probabilities of words, `alpha` [K] the Dirichlet prior of documents over topics,
    `counts` [D, V] whole documents. The same `seed` splits in the same way, whatever the model.

    Raises `ValueError` if the shapes do not fit, `beta` is not made of probabilities, or no token is hidden.
    """
    beta, alpha = np.asarray(beta, np.float32), np.asarray(alpha, np.float32)
    if beta.ndim != 2 or alpha.shape != beta.shape[:1]:
        raise ValueError(f"topics [K, V] need a prior [K]; these have the shapes {beta.shape} and {alpha.shape}")
    if not (np.all(beta >= 0) and np.allclose(beta.sum(axis=1), 1.0, atol=1e-3)):
        raise ValueError("the probabilities of words in a topic must be at least 0 and add up to 1")
    observed, hidden = split_tokens(as_counts(counts, beta.shape[1]), seed)
    if hidden.nnz == 0:
        raise ValueError("no token is hidden: there is too little text to score")
    theta = topic_proportions(beta, alpha, observed)
    rows = np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr))
    likelihood = np.einsum("nk,nk->n", theta[rows], beta.T[hidden.indices])
    return float(np.dot(hidden.data, np.log(likelihood + 1e-30)) / hidden.data.sum())
