import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.inference.topics.corpus import as_counts, blocks
from culet.inference.topics.hdp import HDPParameters, HierarchicalDirichlet, proportions
from culet.inference.topics.svi import update
from tests.inference.topics import oracle as topic_oracle

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


def bound(found, hdp, local):
    """In float64. Words that a document does not hold have no q(z)."""
    seats = np.full((D, V, S), 1 / S)
    for row in range(D):
        present = DEALT[0].counts[row] > 0
        seats[row, DEALT[0].words[row][present]] = np.asarray(local.table_of_word[row], np.float64)[present]
    words, tables, topics = (np.asarray(part, np.float64) for part in (*found, local.topic_of_table[:D]))
    return topic_oracle.hdp_bound(COUNTS[ORDER], words.T, tables, seats, topics, ALPHA, hdp.gamma, ETA)


@pytest.mark.parametrize("gamma", [1.0, GAMMA])
def test_no_part_of_coordinate_ascent_lowers_the_bound(gamma):
    """On all documents at rate 1: not a sweep over the documents, and not the global step that follows."""
    assert len(DEALT) == 1
    seat = jax.jit(lambda hdp, found: hdp.local(hdp.expectations(found), DEALT[0], jax.random.key(0)))
    found, bounds, hdp, local = parameters(), [], None, None
    for _ in range(12):
        for sweeps in (1, 2, 3, 5, 9, 40):
            hdp = HierarchicalDirichlet(ALPHA, gamma, ETA, 0.0, sweeps, S)
            local = seat(hdp, found)
            bounds.append(bound(found, hdp, local))
        found = update(hdp, found, DEALT, rate=1.0, scale=1.0, key=jax.random.key(0))
        bounds.append(bound(found, hdp, local))
    steps = np.reshape(bounds, (12, -1))
    assert np.diff(steps, axis=1).min() > -2e-3  # of 400 nats, in float32
    assert steps[-1, -1] > steps[0, 0] + 20
    for less_or_more in (0.95, 1.05):  # what was found is the summit, not only a higher place
        assert bound(found._replace(words=less_or_more * found.words), hdp, local) < bounds[-1]
        assert bound(found._replace(tables=less_or_more * found.tables), hdp, local) < bounds[-1]
    hdp = HierarchicalDirichlet(ALPHA, gamma, ETA, 0.0, 1000, S)
    local, log_sigma = seat(hdp, found), np.asarray(hdp.expectations(found).log_sigma, np.float64)
    for power in (-0.3, 0.3):
        tilted = np.asarray(local.topic_of_table, np.float64) * np.exp(power * log_sigma)
        tilted /= tilted.sum(axis=-1, keepdims=True)
        assert bound(found, hdp, local._replace(topic_of_table=tilted)) < bound(found, hdp, local)


def test_sticks_stand_in_the_order_of_the_highest_bound():
    mass = TABLES.astype(np.float64)

    def of_sticks(order):
        return topic_oracle.sticks_bound(mass[order], 1.0) + mass[order] @ topic_oracle.sticks(mass[order], 1.0)

    best = max(itertools.permutations(range(T)), key=lambda order: of_sticks(np.array(order)))
    found = HierarchicalDirichlet(ALPHA, 1.0, ETA, 0.0, 1, S).expectations(parameters()).log_sigma
    expected = np.zeros(T)
    expected[np.array(best)] = topic_oracle.sticks(mass[np.array(best)], 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
