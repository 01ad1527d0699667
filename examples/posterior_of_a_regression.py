"""The posterior of a logistic regression by Laplace's method and by ADVI with full rank, side by side."""

import jax
import jax.numpy as jnp
import numpy as np

from culet.distributions import Bernoulli, Normal
from culet.inference import advi, laplace

generator = np.random.default_rng(0)
truth = jnp.array([1.5, -1.0, 0.5])
inputs = jnp.asarray(generator.normal(size=(200, 3)), jnp.float32)
labels = jnp.asarray(generator.random(200) < jax.nn.sigmoid(inputs @ truth), jnp.int32)


def log_joint(weights: jax.Array) -> jax.Array:
    """The log-density of labels and weights together."""
    prior = Normal(jnp.zeros(3), jnp.full(3, 3.0)).log_prob(weights).sum()
    return prior + Bernoulli(logits=inputs @ weights).log_prob(labels).sum()


mode, evidence = laplace(log_joint, jnp.zeros(3))
variational = advi(log_joint, jnp.zeros(3), jax.random.key(0), full_rank=True)[0]
print(f"Laplace's estimate of the log evidence: {evidence:.1f}")
for name, posterior in {"Laplace": mode, "ADVI": variational}.items():
    mean, deviation = (np.asarray(part, float).round(2) for part in (posterior.mean(), posterior.standard_deviation()))
    print(f"{name:8} mean {mean}, deviation {deviation}")
print(f"{'truth':8}      {np.asarray(truth, float)}")
