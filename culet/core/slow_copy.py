"""Slow copies of a model: moving averages, target networks and reference models that follow it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree


def _all_of_it(model: Any) -> Any:
    return model


class SlowCopy(eqx.Module):
    """The rule by which a copy follows a model: an exponential moving average, snapshots, or not at all.

    With a `rate`, the copy moves by that fraction of the way to the model after each step: a target network (Lillicrap
    and others 2016, 1509.02971, algorithm 1), BYOL's with one minus its decay, an average of the weights. With `every`,
    it becomes the model after each so many steps, as in DQN (Mnih and others 2015). With neither it stays as it is.
    `where` picks what is copied, such as `lambda models: models.critic`.

    Raises ValueError for a rate outside 0 to 1, for a negative `every`, and for both at once.
    """

    rate: float | Float[Array, ""] | None = None
    every: int = eqx.field(default=0, static=True)
    where: Callable[[Any], Any] = eqx.field(default=_all_of_it, static=True)

    def __check_init__(self) -> None:
        if isinstance(self.rate, float | int) and not 0 <= self.rate <= 1:
            raise ValueError(f"the rate of a slow copy is {self.rate}; it must be from 0 to 1")
        if self.every < 0:
            raise ValueError(f"a slow copy is to be taken every {self.every} steps; it must be 0, for never, or more")
        if self.rate is not None and self.every:
            raise ValueError("a slow copy is a moving average (rate) or a snapshot (every), not both")

    def create(self, model: Any) -> PyTree:
        """The copy before the first step, its floating leaves in float32: small moves would be lost to rounding."""
        copied = self.where(model)
        return jax.tree.map(lambda x: jnp.array(x, jnp.float32) if eqx.is_inexact_array(x) else x, copied)

    def update(self, copy: PyTree, model: Any, step: int | Int[Array, ""]) -> PyTree:
        """The copy after `step` steps, the first of which is 1, in the dtypes that it has.

        Leaves that are not floating, counters say, are taken from the model whenever the copy moves.
        """
        if self.every:
            taken = step % self.every == 0

            def move(old: Array, new: Array) -> Array:
                return jnp.where(taken, new.astype(old.dtype), old)

        elif self.rate is not None:
            rate = self.rate

            def move(old: Array, new: Array) -> Array:
                return old + rate * (new.astype(old.dtype) - old) if eqx.is_inexact_array(old) else new
        else:
            return copy
        model = self.where(model)
        return jax.tree.map(lambda old, new: move(old, new) if eqx.is_array(old) else old, copy, model)
