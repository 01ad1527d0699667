"""Training an autoencoder under a growing capacity.

Axis letters: B images in a batch, H height, W width, C channels; Z latents.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from culet.core import TrainState, fit, training_step
from culet.core._fit import Indexable
from culet.generative.autoencoder import AutoEncoder, DenseAutoEncoder
from culet.generative.recipe import CapacityRecipe
from culet.objectives import Loss
from culet.objectives.variational import bernoulli_cross_entropy, capacity_bound, gaussian_divergence


def objective(model: AutoEncoder | DenseAutoEncoder, batch: Any, key: Key[Array, ""]) -> Loss:
    """`capacity_bound` of `batch["images"]` [B, H, W, C] with one sample of the code each.

    The batch also holds the scalars `beta`, `gamma` and `capacity` of this step.
    """
    images: Float[Array, "B H W C"] = batch["images"]
    mean, log_variance = jax.vmap(model.encode)(images)
    code = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    error = bernoulli_cross_entropy(jax.vmap(model.decode)(code), images)
    pressure = {name: batch[name] for name in ("beta", "gamma", "capacity")}
    return capacity_bound(error, gaussian_divergence(mean, log_variance), **pressure)


def pressure_at(recipe: CapacityRecipe, step: int) -> dict[str, Float[Array, ""]]:
    """The scalars that stand in the batch of a step, counted from 0."""
    values = {"beta": recipe.beta, "gamma": recipe.gamma, "capacity": recipe.capacity_at(step)}
    return {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}


class _Pressed:
    """Batches with the pressure of their step beside the images."""

    def __init__(self, batches: Indexable, recipe: CapacityRecipe):
        self.batches, self.recipe = batches, recipe

    def __getitem__(self, step: int) -> dict[str, Any]:
        return self.batches[step] | pressure_at(self.recipe, step)


def train_autoencoder(
    batches: Indexable,
    recipe: CapacityRecipe | None = None,
    *,
    folder: str | Path | None = None,
    progress: bool = True,
) -> AutoEncoder:
    """Trains an `AutoEncoder` on batches `{"images": [B, H, W, C]}` with values in [0, 1].

    `SpriteBatches`, or `culet.core.Batches({"images": images}, batch_size)`. With a `folder`, the run keeps
    checkpoints and a log there, with the KL of each latent as `divergence_z`, and goes on when it was stopped. Errors
    are those of `culet.core.fit`, and ValueError for images that the network cannot take.
    """
    recipe = recipe or CapacityRecipe()
    shape = batches[0]["images"].shape[1:]
    model_key, key = jax.random.split(jax.random.key(recipe.seed))
    model = eqx.filter_jit(AutoEncoder)(shape, recipe.latents, key=model_key)
    optimizer = optax.adam(recipe.learning_rate)
    state, _ = fit(
        training_step(objective, optimizer), TrainState.create(model, optimizer, key), _Pressed(batches, recipe),
        steps=recipe.steps, folder=folder, checkpoint_every=max(100, recipe.steps // 10), progress=progress,
        log_every=max(1, recipe.steps // 200), name="disentangling",
    )  # fmt: skip
    return state.model
