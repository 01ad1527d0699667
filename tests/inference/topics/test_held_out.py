import numpy as np
import pytest
from scipy.special import digamma

from culet.inference.topics.corpus import as_counts
from culet.inference.topics.held_out import document_completion, split_tokens, topic_proportions

K, V = 3, 10
GENERATOR = np.random.default_rng(0)
BETA = GENERATOR.dirichlet(np.full(V, 0.3), K).astype(np.float32)
ALPHA = np.array([0.4, 0.2, 0.7], np.float32)
COUNTS = as_counts(GENERATOR.poisson(2.0, (12, V)))


def fold_in(counts):
    gamma = np.full(K, counts.sum() / K) + ALPHA
    for _ in range(500):
        phi = np.exp(digamma(gamma)) * BETA.T.astype(np.float64)
        gamma = ALPHA + counts @ (phi / phi.sum(1, keepdims=True))
    return gamma / gamma.sum()


def test_halves_add_up_and_are_fair():
    big = as_counts(np.full((50, 40), 7))
    observed, hidden = split_tokens(big, seed=3)
    assert ((observed + hidden) - big).nnz == 0
    assert abs(observed.sum() / big.sum() - 0.5) < 0.02
    assert (split_tokens(big, seed=3)[0] - observed).nnz == 0
    assert (split_tokens(big, seed=4)[0] - observed).nnz > 0


def test_the_score_is_that_of_a_plain_loop():
    observed, hidden = (part.toarray() for part in split_tokens(COUNTS, seed=1))
    total = 0.0
    for seen, unseen in zip(observed, hidden, strict=True):
        total += unseen @ np.log(fold_in(seen) @ BETA)
    assert document_completion(BETA, ALPHA, COUNTS, seed=1) == pytest.approx(total / hidden.sum(), abs=1e-4)


def test_the_right_topics_score_best():
    theta = GENERATOR.dirichlet(ALPHA, 300)
    counts = np.array([GENERATOR.multinomial(60, row @ BETA / (row @ BETA).sum()) for row in theta])
    right = document_completion(BETA, ALPHA, counts)
    assert right > document_completion(np.roll(BETA, 1, axis=1), ALPHA, counts) + 0.5
    assert right > document_completion(np.tile(counts.sum(0) / counts.sum(), (K, 1)).astype(np.float32), ALPHA, counts)


def test_a_document_of_no_words_has_the_proportions_of_the_prior():
    counts = as_counts([[0] * V, [1] * V])
    found = topic_proportions(BETA, ALPHA, counts)
    np.testing.assert_allclose(found[0], ALPHA / ALPHA.sum(), rtol=1e-5)
    np.testing.assert_allclose(found[1], fold_in(np.ones(V)), atol=1e-3)


def test_bad_topics_are_refused():
    with pytest.raises(ValueError, match="need a prior"):
        document_completion(BETA, ALPHA[:2], COUNTS)
    with pytest.raises(ValueError, match="add up to 1"):
        document_completion(2 * BETA, ALPHA, COUNTS)
    with pytest.raises(ValueError, match="have 4 words and the model has 10"):
        document_completion(BETA, ALPHA, np.ones((2, 4)))
    with pytest.raises(ValueError, match="no token is hidden"):
        document_completion(
            BETA, ALPHA, np.eye(1, V), seed=0 if split_tokens(as_counts(np.eye(1, V)), 0)[1].nnz == 0 else 1
        )
