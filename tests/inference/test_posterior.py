import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from culet.inference import Posterior
from culet.inference.posterior import flattened

START = {"a": jnp.zeros(()), "b": jnp.zeros(2)}


def mixture(full):
    generator = np.random.default_rng(0)
    factors = np.tril(generator.normal(size=(3, 3, 3))) * 0.3 + np.eye(3)
    scales = factors if full else np.abs(generator.normal(size=(3, 3))) + 0.3
    means, _ = generator.normal(size=(3, 3)), ravel_pytree(START)
    unravel = ravel_pytree(START)[1]
    return Posterior(jnp.asarray(means, jnp.float32), jnp.asarray(scales, jnp.float32), unravel)


def covariances(posterior):
    scales = np.asarray(posterior.scales, np.float64)
    return scales @ scales.transpose(0, 2, 1) if scales.ndim == 3 else np.stack([np.diag(s**2) for s in scales])


@pytest.mark.parametrize("full", [True, False])
def test_density_and_moments_are_those_of_the_mixture(full):
    posterior = mixture(full)
    value = {"a": jnp.asarray(0.4), "b": jnp.asarray([-0.3, 1.0])}
    parts = [
        stats.multivariate_normal(mean, covariance).pdf([0.4, -0.3, 1.0])
        for mean, covariance in zip(np.asarray(posterior.means), covariances(posterior), strict=True)
    ]
    np.testing.assert_allclose(posterior.log_prob(value), np.log(np.mean(parts)), rtol=1e-5)
    draws = posterior.sample(jax.random.key(1), (100, 300))
    assert draws["a"].shape == (100, 300) and draws["b"].shape == (100, 300, 2)
    np.testing.assert_allclose(draws["b"].mean((0, 1)), posterior.mean()["b"], atol=0.05)
    np.testing.assert_allclose(draws["b"].std((0, 1)), posterior.standard_deviation()["b"], rtol=0.02)
    assert posterior.sample(jax.random.key(1))["b"].shape == (2,)


def test_unusable_starts_are_refused():
    with pytest.raises(ValueError, match="must all be floating"):
        flattened(lambda x: jnp.zeros(()), jnp.zeros(2, jnp.int32))
    with pytest.raises(ValueError, match=r"has shape \(2,\)"):
        flattened(lambda x: x, jnp.zeros(2))
    with pytest.raises(ValueError, match="is nan at the start"):
        flattened(lambda x: jnp.log(x) - jnp.log(x), jnp.zeros(()))
