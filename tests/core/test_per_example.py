"""Gradients per example against a loop that takes one example at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet import core
from tests.core.toy import Toy, loss, rows

KEY = jax.random.key(3)


def noisy(model, batch, key):
    """The loss of the toy, under dropout of its inputs: the key matters."""
    kept = jax.random.bernoulli(key, 0.7, batch["inputs"].shape)
    return loss(model, batch | {"inputs": jnp.where(kept, batch["inputs"], 0)}, key)


@pytest.fixture(scope="module")
def case():
    """Model, batch, and the gradient, weight and norm of each example."""
    model = Toy(jax.random.key(0), width=4, hidden=8)
    batch = {name: jnp.asarray(array[:4]) for name, array in rows().items()}
    batch["weights"] = batch["weights"] * jnp.array([1.0, 0.5, 0.0, 2.0])[:, None]
    gradient = jax.jit(jax.grad(lambda model, batch, key: noisy(model, batch, key)[0]))
    alone = []
    for i, key in enumerate(jax.random.split(KEY, 4)):
        one = {name: array[i : i + 1] for name, array in batch.items()}
        alone.append(gradient(model, one, key))
    norms = [np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in jax.tree.leaves(one))) for one in alone]
    return model, batch, alone, np.array(norms)


def test_the_gradient_of_each_example(case):
    model, batch, alone, _ = case
    gradients, weights = jax.jit(lambda *inputs: core.per_example_gradients(noisy, *inputs))(model, batch, KEY)
    for i, one in enumerate(alone):
        for wanted, leaf in zip(jax.tree.leaves(one), jax.tree.leaves(gradients), strict=True):
            np.testing.assert_allclose(leaf[i], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights, batch["weights"].sum(axis=1), rtol=1e-6)


def test_the_sum_of_clipped_gradients(case):
    model, batch, alone, norms = case
    clip = float(np.median(norms))
    total, measured = jax.jit(
        lambda *inputs: core.clipped_sum(noisy, *inputs, clip=clip, micro_batches=2)
    )(model, batch, KEY)  # fmt: skip
    assert (norms > clip).any() and (norms < clip).any()
    np.testing.assert_allclose(measured, norms, rtol=1e-5)
    for leaf, *ones in zip(jax.tree.leaves(total), *map(jax.tree.leaves, alone), strict=True):
        wanted = sum(g * min(1.0, clip / max(norm, 1e-30)) for g, norm in zip(ones, norms, strict=True))
        np.testing.assert_allclose(leaf, wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="A batch of 4 cannot be cut into 3"):
        core.clipped_sum(noisy, model, batch, KEY, clip=1.0, micro_batches=3)
