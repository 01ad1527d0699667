"""A new learning rule in one file: Oja's, which is local and has no gradient, trained by `fit`.

Axis letters: B examples, D inputs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.core import Batches, fit


class Neuron(eqx.Module):
    weights: Float[Array, "D"]
    step: Int[Array, ""]

    def __call__(self, inputs: Float[Array, "D"]) -> Float[Array, ""]:
        return self.weights @ inputs


def oja(neuron: Neuron, batch: dict[str, Float[Array, "B D"]]) -> tuple[Neuron, dict[str, Array]]:
    """`w += rate * y (x - y w)` (Oja 1982, equation 3), the mean over a batch, at a rate that falls as 1 / step."""
    inputs = batch["inputs"]
    outputs = jax.vmap(neuron)(inputs)
    rest = inputs - outputs[:, None] * neuron.weights[None, :]
    rate = 1 / (10.0 + neuron.step.astype(jnp.float32))
    weights = neuron.weights + rate * jnp.mean(outputs[:, None] * rest, axis=0)
    metrics = {"loss": jnp.mean(jnp.sum(jnp.square(rest), axis=1)), "examples": jnp.float32(len(inputs))}
    return Neuron(weights, neuron.step + 1), metrics


def test_it_finds_the_first_principal_component():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(256, 5)) @ (generator.normal(size=(5, 5)) / 2 + np.diag([3.0, 1, 1, 1, 1]))
    values, vectors = np.linalg.eigh(inputs.T @ inputs / 256)
    batches = Batches({"inputs": inputs.astype(np.float32)}, batch_size=256, seed=0)
    start = Neuron(jnp.ones(5) / np.sqrt(5).astype(np.float32), jnp.int32(0))
    neuron, history = fit(oja, start, batches, steps=200, unit="examples", progress=False)
    weights = np.asarray(neuron.weights, np.float64)
    np.testing.assert_allclose(np.linalg.norm(weights), 1, rtol=1e-3)
    np.testing.assert_allclose(abs(weights @ vectors[:, -1]), 1, rtol=1e-3)
    np.testing.assert_allclose(history[-1]["loss"], values[:-1].sum(), rtol=1e-3)  # what one component leaves
    assert history[-1]["step"] == 200 and history[-1]["examples_per_second"] > 0
