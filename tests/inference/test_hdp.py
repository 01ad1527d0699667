import jax
import jax.numpy as jnp
import numpy as np

from culet.inference.counts import as_counts, blocks
from culet.inference.hdp import HDPParameters, HierarchicalDirichlet, proportions
from culet.inference.svi import update
from tests.inference import topic_oracle

T, S, V, D = 5, 3, 12, 10
ALPHA, GAMMA, ETA = 0.8, 1.7, 0.3
GENERATOR = np.random.default_rng(0)
COUNTS = GENERATOR.poisson(1.5, (D, V))
DEALT, ORDER = blocks(as_counts(COUNTS))
WORDS = GENERATOR.gamma(2.0, 1.0, (V, T)).astype(np.float32)
TABLES = np.array([3.0, 9.0, 0.5, 20.0, 4.0], np.float32)


def model(iterations):
    return HierarchicalDirichlet(ALPHA, GAMMA, ETA, 0.0, iterations, S)


def parameters():
    return HDPParameters(jnp.asarray(WORDS), jnp.asarray(TABLES))


def oracle(sweeps):
    log_beta = topic_oracle.expected_log(WORDS.T.astype(np.float64))
    order = np.argsort(-TABLES)
    log_sigma = np.zeros(T)
    log_sigma[order] = topic_oracle.sticks(TABLES[order].astype(np.float64), GAMMA)
    return [topic_oracle.hdp_document(row, log_beta, log_sigma, ALPHA, S, sweeps) for row in COUNTS[ORDER]]


def test_the_local_step_is_that_of_float64_loops():
    hdp = model(4)
    local = hdp.local(hdp.expectations(parameters()), DEALT[0], jax.random.key(0))
    for row, (seats, topics) in enumerate(oracle(4)):
        present = DEALT[0].counts[row] > 0
        np.testing.assert_allclose(local.topic_of_table[row], topics, rtol=1e-4, atol=1e-6)
        got = np.asarray(local.table_of_word[row])[present]
        np.testing.assert_allclose(got, seats[DEALT[0].words[row][present]], rtol=1e-4, atol=1e-6)


def test_a_global_step_is_that_of_float64_loops():
    got = update(model(4), parameters(), DEALT, rate=0.3, scale=5.0, key=jax.random.key(0))
    words, tables = np.zeros((V, T)), np.zeros(T)
    for counts, (seats, topics) in zip(COUNTS[ORDER], oracle(4), strict=True):
        words += counts[:, None] * (seats @ topics)
        tables += topics.sum(axis=0)
    np.testing.assert_allclose(got.words, 0.7 * WORDS + 0.3 * (ETA + 5.0 * words), rtol=1e-4)
    np.testing.assert_allclose(got.tables, 0.7 * TABLES + 0.3 * 5.0 * tables, rtol=1e-4)


def test_tables_of_a_document_do_not_stay_alike():
    hdp = model(30)
    topics = hdp.local(hdp.expectations(parameters()), DEALT[0], jax.random.key(0)).topic_of_table[0]
    assert len({int(k) for k in jnp.argmax(topics, axis=1)}) > 1


def test_proportions_go_by_size_and_sum_to_1():
    found = proportions(jnp.asarray(TABLES), GAMMA)
    assert np.argsort(-found).tolist() == np.argsort(-TABLES).tolist()
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-6)
