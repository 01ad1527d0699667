"""Gradients of each example of a batch: for differential privacy, Fisher information, and to find odd examples.

Axis letters: B examples in a batch, M micro-batches.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree


def per_example_gradients(
    loss: Callable[[Any, Any, Key[Array, ""]], Any], model: PyTree, batch: PyTree, key: Key[Array, ""]
) -> tuple[PyTree, Float[Array, "B"]]:
    """The gradient of the loss of each example, whose leaves have a leading axis [B], and the weight of each [B].

    `loss(model, batch, key)` returns `(sum, weight, metrics)`, as for `training_step`; here it sees batches of one
    example, each with a key of its own. These are gradients of sums: their sum over the examples, divided by the sum of
    the weights, is the gradient that `training_step` follows. Every leaf of `batch` has the leading axis [B].

    All gradients are in memory at once: B times the floating leaves of the model. `clipped_sum` needs less.
    """
    size = len(jax.tree.leaves(batch)[0])
    one = _of_one(loss)
    return jax.vmap(lambda example, key: one(model, example, key))(batch, jax.random.split(key, size))


def clipped_sum(
    loss: Callable[[Any, Any, Key[Array, ""]], Any],
    model: PyTree,
    batch: PyTree,
    key: Key[Array, ""],
    *,
    clip: float,
    micro_batches: int = 1,
) -> tuple[PyTree, Float[Array, "B"]]:
    """The sum over examples of their gradients, each scaled to a norm of at most `clip`; and the norms before [B].

    What differentially private training adds its noise to (Abadi and others 2016, 1607.00133, algorithm 1). Arguments
    are those of `per_example_gradients`. The gradients of B / `micro_batches` examples are in memory at once.

    Raises ValueError for a batch that cannot be cut into micro-batches of equal size.
    """
    size = len(jax.tree.leaves(batch)[0])
    if size % micro_batches:
        raise ValueError(f"A batch of {size} cannot be cut into {micro_batches} micro-batches of equal size.")
    one = _of_one(loss)

    def clipped(example: Any, key: Key[Array, ""]) -> tuple[PyTree, Float[Array, ""]]:
        gradient, _ = one(model, example, key)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in jax.tree.leaves(gradient)))
        scale = clip / jnp.maximum(norm, clip)
        return jax.tree.map(lambda g: g * scale.astype(g.dtype), gradient), norm

    def add(so_far: PyTree, part: Any) -> tuple[PyTree, Float[Array, "P"]]:
        gradients, norms = jax.vmap(clipped)(*part)
        return jax.tree.map(lambda total, g: total + jnp.sum(g, axis=0), so_far, gradients), norms

    cut = jax.tree.map(
        lambda x: x.reshape(micro_batches, size // micro_batches, *x.shape[1:]), (batch, jax.random.split(key, size))
    )
    zero = jax.tree.map(jnp.zeros_like, eqx.filter(model, eqx.is_inexact_array))
    total, norms = jax.lax.scan(add, zero, cut)
    return total, norms.reshape(size)


def _of_one(loss: Callable[..., Any]) -> Callable[..., tuple[PyTree, Float[Array, ""]]]:
    """The gradient of the loss of a single example, and its weight."""

    def value(model: Any, example: Any, key: Key[Array, ""]) -> Any:
        total, weight, _ = loss(model, jax.tree.map(lambda x: x[None], example), key)
        return total, weight

    return eqx.filter_grad(value, has_aux=True)
