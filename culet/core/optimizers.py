"""Optimisers: AdamW with a warm-up and a cosine."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from culet.core.settings import TrainingRecipe
from culet.core.tree import named_leaves


def warmup_cosine(peak: float, *, steps: int, warmup: int, final: float = 0.1) -> optax.Schedule:
    """Learning rate by step: a line from 0 to `peak` over `warmup` steps, then a cosine to `final * peak` at `steps`.

    Raises `ValueError` unless `0 <= warmup < steps`.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"A warm-up of {warmup} steps does not fit into {steps} steps; it must be shorter.")
    return optax.schedules.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, final * peak)


def adamw(
    learning_rate: float | optax.Schedule,
    *,
    weight_decay: float = 0.1,
    b1: float = 0.9,
    b2: float = 0.95,
    eps: float = 1e-8,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter, 2019, algorithm 2); leaves of one axis, norm scales and biases, do not decay."""
    return optax.adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay, mask=_matrices)


def optimizer_of(recipe: TrainingRecipe) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """The learning rate by step, whose warm-up is a fraction of the steps, and the AdamW that follows it.

    Raises ValueError for a recipe without a learning rate.
    """
    if recipe.learning_rate is None:
        raise ValueError("the recipe has no learning rate")
    schedule = warmup_cosine(recipe.learning_rate, steps=recipe.steps, warmup=int(recipe.warmup * recipe.steps))
    return schedule, adamw(schedule, weight_decay=recipe.weight_decay)


def optimizer_per_model(optimizers: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """One optimiser out of several, each for the part of a pytree of models whose leaves' names begin with its key.

    Names are those of `named_leaves`. With `{"actor": adamw(1e-4), "critic": adamw(1e-3), "critic.head": optax.sgd(1)}`
    a leaf follows the longest key that is its name or ends before a dot of it; the key "" stands for all the others.

    Raises ValueError, when it is first used, for a leaf that no key names and for a key that names no leaf.
    """

    def labels(parameters: Any) -> Any:
        names = [name for name, _ in named_leaves(parameters)]
        chosen = []
        for name in names:
            fitting = [key for key in optimizers if key in ("", name) or name.startswith(key + ".")]
            if not fitting:
                raise ValueError(f"no optimiser for {name}; there are some for {', '.join(optimizers)}")
            chosen.append(max(fitting, key=len))
        if unused := optimizers.keys() - set(chosen):
            raise ValueError(f"there is an optimiser for {', '.join(sorted(unused))}, but no parameter of that name")
        return jax.tree.unflatten(jax.tree.structure(parameters), chosen)

    transforms: dict[Any, optax.GradientTransformation] = dict(optimizers)
    return optax.partition(transforms, labels)


def _matrices(parameters: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, parameters)
