"""Training an autoencoder under a growing capacity, one model or several at once.

Axis letters: S seeds, B images in a batch, H height, W width, C channels; Z latents.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from culet.core import TrainState, fit, training_step
from culet.core._fit import Indexable
from culet.distributions import Normal, kl_divergence
from culet.generative.autoencoder import AutoEncoder, DenseAutoEncoder
from culet.generative.recipe import CapacityRecipe
from culet.objectives import Loss
from culet.objectives.variational import bernoulli_cross_entropy, capacity_bound

FINAL_RATE = 0.02
"""What the learning rate falls to where it falls, as a part of what it was."""


def objective(model: AutoEncoder | DenseAutoEncoder, batch: Any, key: Key[Array, ""]) -> Loss:
    """`capacity_bound` of `batch["images"]` [B, H, W, C] with one sample of the code each.

    The batch also holds the scalars `beta`, `gamma` and `capacity` of this step.
    """
    images: Float[Array, "B H W C"] = batch["images"]
    codes = jax.vmap(model.encode)(images)
    decoded = jax.vmap(model.decode)(codes.sample(key))
    return capacity_bound(
        bernoulli_cross_entropy(decoded.logits, images),
        kl_divergence(codes, Normal(0.0, 1.0)),
        beta=batch["beta"],
        gamma=batch["gamma"],
        capacity=batch["capacity"],
    )


class _Scheduled:
    """Batches with the weights of the loss at their step beside the images."""

    def __init__(self, batches: Indexable, recipe: CapacityRecipe):
        self.batches, self.recipe = batches, recipe

    def __getitem__(self, step: int) -> dict[str, Any]:
        weights = self.recipe.weights_at(step)
        return self.batches[step] | {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}


def train_autoencoder(
    batches: Indexable,
    recipe: CapacityRecipe | None = None,
    *,
    network: Callable[..., Any] = AutoEncoder,
    seeds: Sequence[int] | None = None,
    folder: str | Path | None = None,
    evaluate: Callable[[Any], Mapping[str, Any]] | None = None,
    evaluate_every: int | None = None,
    progress: bool = True,
) -> tuple[Any, list[dict[str, Any]]]:
    """Trains an autoencoder on batches `{"images": [B, H, W, C]}` with values in [0, 1]; gives it and the history.

    `SpriteBatches`, or `culet.core.Batches({"images": images}, batch_size)`. `network(shape, latents, key=key)` makes
    the model. The history is that of `culet.core.fit`, with `reconstruction`, `divergence` and the KL of each latent as
    `divergence_0`, `divergence_1`, ..., in nats per image. `evaluate(model)` gives further numbers every
    `evaluate_every` steps and at the end. With a `folder`, the run keeps checkpoints and a log there, and goes on when
    it was stopped.

    With `seeds` a model is trained for each of them, all in one program (`jax.vmap`), and the recipe's own seed is not
    used: batches are then [S, B, H, W, C], every array of the model has the axis S in front, and so have the metrics.

    Errors are those of `culet.core.fit`, and ValueError for images that the network cannot take.
    """
    recipe = recipe or CapacityRecipe()
    shape = batches[0]["images"].shape[-3:]
    optimizer, step = _program(recipe.learning_rate, recipe.steps, recipe.cooling, seeds is not None)

    def create(seed: Any) -> TrainState:
        model_key, key = jax.random.split(jax.random.key(seed))
        return TrainState.create(network(shape, recipe.latents, key=model_key), optimizer, key)

    if seeds is None:
        state = eqx.filter_jit(create)(recipe.seed)
    else:
        state = eqx.filter_jit(jax.vmap(create))(jnp.asarray(seeds, jnp.uint32))
    state, history = fit(
        step, state, _Scheduled(batches, recipe), steps=recipe.steps, folder=folder,
        checkpoint_every=max(100, recipe.steps // 10), log_every=max(1, recipe.steps // 200),
        evaluate=None if evaluate is None else lambda state: evaluate(state.model), evaluate_every=evaluate_every,
        progress=progress, name="disentangling", unit="images",
    )  # fmt: skip
    return state.model, history


@functools.lru_cache(maxsize=8)
def _program(learning_rate: float, steps: int, cooling: float, several: bool) -> tuple[Any, Callable[..., Any]]:
    """The optimiser and the step, kept: recipes that differ in the weights of the loss share one compilation."""
    start = round((1 - cooling) * steps)
    rate = optax.linear_schedule(learning_rate, FINAL_RATE * learning_rate, steps - start, start)
    optimizer = optax.adam(rate if cooling else learning_rate)
    step = training_step(objective, optimizer, unit="images")
    shared = {"images": 0, "beta": None, "gamma": None, "capacity": None}
    return optimizer, jax.vmap(step, in_axes=(0, shared)) if several else step
