import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from culet.inference import Posterior, effective_sample_size, elbo, log_weights, pareto_k, r_hat


@pytest.mark.parametrize("shape", [0.1, 0.5, 0.9])
def test_pareto_k_is_the_shape_of_the_tail(shape):
    weights = stats.genpareto(shape).rvs(20_000, random_state=0)
    np.testing.assert_allclose(pareto_k(np.log(weights)), shape, atol=0.12)


def test_pareto_k_of_equal_weights_and_of_too_few():
    assert pareto_k(np.zeros(100)) == -math.inf
    with pytest.raises(ValueError, match="at least 25"):
        pareto_k(np.zeros(20))
    with pytest.raises(ValueError, match="finite"):
        pareto_k(np.full(100, np.nan))


def test_effective_sample_size():
    assert effective_sample_size(np.full(50, 3.0)) == pytest.approx(50)
    assert effective_sample_size(np.array([0.0, -1000.0, -1000.0])) == pytest.approx(1)
    assert effective_sample_size(np.log([3.0, 1.0])) == pytest.approx(1.6)


def test_bound_and_weights_of_a_normal_for_another():
    """KL(N(0, 1) | N(1, 2^2)) in closed form."""
    posterior = Posterior(jnp.zeros((1, 1)), jnp.ones((1, 1)), ravel_pytree(jnp.zeros(()))[1])

    def target(x):
        return -0.5 * jnp.square((x - 1) / 2) - math.log(2 * math.sqrt(2 * math.pi))

    bound, error = elbo(target, posterior, jax.random.key(0), draws=4000)
    assert abs(bound + math.log(2) + (1 + 1) / 8 - 0.5) < 4 * error and 0 < error < 0.05
    logs = np.asarray(log_weights(target, posterior, jax.random.key(0), draws=4000), np.float64)
    assert pareto_k(logs) > 0.5  # too narrow an approximation has a heavy tail


def test_r_hat():
    generator = np.random.default_rng(0)
    chains = generator.normal(size=(4, 1000))
    assert abs(r_hat(chains) - 1) < 0.01
    assert r_hat(chains + np.arange(4)[:, None]) > 1.3
    assert r_hat(chains + np.linspace(0, 3, 1000)) > 1.2  # all alike, but drifting: the halves differ
    with pytest.raises(ValueError, match="at least 4 steps"):
        r_hat(chains[:, :3])
    with pytest.raises(ValueError, match="do not move"):
        r_hat(np.zeros((2, 10)))
