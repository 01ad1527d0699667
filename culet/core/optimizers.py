"""The one optimiser of the house: AdamW with a warm-up and a cosine."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax


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


@runtime_checkable
class Schedule(Protocol):
    """The numbers of a run that an optimiser needs: its recipe."""

    @property
    def steps(self) -> int:
        """Training steps."""
        ...

    @property
    def learning_rate(self) -> float | None:
        """Its peak."""
        ...

    @property
    def warmup(self) -> float:
        """Fraction of the steps for the warm-up."""
        ...

    @property
    def weight_decay(self) -> float:
        """AdamW's."""
        ...


def optimizer_of(recipe: Schedule) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """The learning rate by step, whose warm-up is a share of the steps, and the AdamW that follows it.

    Raises ValueError for a recipe without a learning rate.
    """
    if recipe.learning_rate is None:
        raise ValueError("the recipe has no learning rate")
    schedule = warmup_cosine(recipe.learning_rate, steps=recipe.steps, warmup=int(recipe.warmup * recipe.steps))
    return schedule, adamw(schedule, weight_decay=recipe.weight_decay)


def _matrices(parameters: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, parameters)
