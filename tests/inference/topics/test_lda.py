import jax
import jax.numpy as jnp
import numpy as np

from culet.inference.topics.corpus import as_counts, blocks
from culet.inference.topics.lda import LatentDirichlet, bound, global_divergence, infer, share_of_tokens
from culet.inference.topics.svi import update
from tests.inference.topics import oracle

K, V, D, ETA = 3, 12, 10, 0.3
ALPHA = np.array([0.2, 0.5, 1.1], np.float32)
GENERATOR = np.random.default_rng(0)
COUNTS = GENERATOR.poisson(1.5, (D, V))
LAMBDA = GENERATOR.gamma(2.0, 1.0, (V, K)).astype(np.float32)
DEALT, ORDER = blocks(as_counts(COUNTS))


def model(tolerance=0.0, iterations=7):
    return LatentDirichlet(jnp.asarray(ALPHA), ETA, tolerance, iterations)


def local(iterations=7):
    lda = model(iterations=iterations)
    return lda.local(lda.expectations(jnp.asarray(LAMBDA)), DEALT[0], jax.random.key(0))


def test_the_local_step_is_that_of_float64_loops():
    log_beta = oracle.expected_log(LAMBDA.T.astype(np.float64))
    gamma = local().gamma
    for row, document in enumerate(ORDER):
        expected, _ = oracle.lda_document(COUNTS[document], log_beta, ALPHA, 7)
        np.testing.assert_allclose(gamma[row], expected, rtol=1e-5)


def test_a_global_step_is_that_of_float64_loops():
    log_beta = oracle.expected_log(LAMBDA.T.astype(np.float64))
    statistics = np.zeros((V, K))
    for row in COUNTS:
        statistics += row[:, None] * oracle.lda_document(row, log_beta, ALPHA, 7)[1]
    got = update(model(), jnp.asarray(LAMBDA), DEALT, rate=0.3, scale=5.0, key=jax.random.key(0))
    np.testing.assert_allclose(got, 0.7 * LAMBDA + 0.3 * (ETA + 5.0 * statistics), rtol=1e-5)


def test_the_bound_is_that_of_float64_loops_and_never_falls():
    lda, parameters = model(), jnp.asarray(LAMBDA)
    gamma = local(0).gamma
    each = jax.jit(jax.vmap(lambda b, n, g: infer(b, n, lda.alpha, 0.0, 1, g).gamma))
    whole = jax.jit(lambda p, g: bound(p, DEALT[0], g, lda.alpha) - global_divergence(p, ETA))
    kept = jax.vmap(lambda b, n, g: infer(b, n, lda.alpha, 0.0, 0, g))  # the factors of gamma as it is

    @jax.jit
    def again(parameters, gamma):
        beta = lda.expectations(parameters)
        found = kept(beta[DEALT[0].words], jnp.asarray(DEALT[0].counts), gamma)
        return lda.add(jnp.full_like(parameters, ETA), DEALT[0], beta, found, 1.0)

    values = []
    for _ in range(12):
        gamma = each(lda.expectations(parameters)[DEALT[0].words], DEALT[0].counts, gamma)
        values.append(float(whole(parameters, gamma)))
        expected = oracle.lda_bound(
            COUNTS[ORDER], np.asarray(parameters.T, np.float64), np.asarray(gamma, np.float64)[:D], ALPHA, ETA
        )
        np.testing.assert_allclose(values[-1], expected, rtol=1e-5)
        parameters = again(parameters, gamma)
        values.append(float(whole(parameters, gamma)))
    assert np.all(np.diff(values) > -1e-3), np.diff(values).min()
    assert values[-1] > values[0] + 5


def test_a_document_stops_by_itself_whatever_stands_beside_it():
    lda = model(tolerance=1e-2, iterations=500)
    beta = lda.expectations(jnp.asarray(LAMBDA))
    together = lda.local(beta, DEALT[0], jax.random.key(0)).gamma
    alone = jax.jit(lambda b, n: infer(b, n, lda.alpha, 1e-2, 500).gamma)
    for row in range(D):
        words, counts = DEALT[0].words[row], DEALT[0].counts[row]
        np.testing.assert_allclose(alone(beta[words], counts), together[row], rtol=1e-5)
    further = model(tolerance=0.0, iterations=500).local(beta, DEALT[0], jax.random.key(0)).gamma
    assert np.abs(further - together)[:D].max() > 1e-3  # so stopping early was real


def test_shares_of_tokens():
    mass = (LAMBDA - ETA).sum(0)
    np.testing.assert_allclose(share_of_tokens(jnp.asarray(LAMBDA), ETA), mass / mass.sum(), rtol=1e-5)
