"""Minimisers of smooth functions of a vector: L-BFGS for many numbers, Newton's method for few.

Axis letters: D numbers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Objective = Callable[[Float[Array, "D"]], Float[Array, ""]]
_FLATTEST = 1e-3  # curvatures below it count as this much, so that flat directions get steps of a finite length
_LONGEST = 4.0  # a Newton step is never longer than this


def lbfgs(
    objective: Objective, start: Float[Array, "D"], *, steps: int = 200, tolerance: float = 1e-4
) -> Float[Array, "D"]:
    """The point that limited-memory BFGS finds, after `steps` steps or when the gradient's norm is below `tolerance`.

    The line search is Optax's, by the strong Wolfe conditions.
    """
    optimizer = optax.lbfgs()
    value_and_gradient = optax.value_and_grad_from_state(objective)

    def step(carry: Any) -> Any:
        x, state, _, count = carry
        value, gradient = value_and_gradient(x, state=state)
        updates: Any
        updates, state = optimizer.update(gradient, state, x, value=value, grad=gradient, value_fn=objective)
        moved = jnp.all(jnp.isfinite(updates))
        x = jnp.where(moved, x + updates, x)
        return x, state, jnp.where(moved, jnp.linalg.norm(gradient), 0.0), count + 1

    def unfinished(carry: Any) -> Bool[Array, ""]:
        _, _, norm, count = carry
        return (norm > tolerance) & (count < steps)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # Optax mixes dtypes and ranks
        begin = (start, optimizer.init(start), jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0))
        return jax.lax.while_loop(unfinished, step, begin)[0]


class Derivatives(NamedTuple):
    """An objective's value, gradient and Hessian at a point."""

    value: Float[Array, ""]
    gradient: Float[Array, "D"]
    hessian: Float[Array, "D D"]


def derivatives(objective: Objective) -> Callable[[Float[Array, "D"]], Derivatives]:
    """The function that gives value, gradient and Hessian of `objective` at once."""

    def evaluate(x: Float[Array, "D"]) -> Derivatives:
        def gradient_and_value(y: Float[Array, "D"]) -> Any:
            value, gradient = jax.value_and_grad(objective)(y)
            return gradient, (gradient, value)

        hessian, (gradient, value) = jax.jacfwd(gradient_and_value, has_aux=True)(x)
        return Derivatives(value, gradient, hessian)

    return evaluate


def newton(
    evaluate: Callable[[Float[Array, "D"]], Derivatives], start: Float[Array, "D"], *, steps: int | Int[Array, ""]
) -> tuple[Float[Array, "D"], Derivatives]:
    """Newton's method with steps of bounded length; negative curvatures are turned around (Nocedal and Wright, ch. 3).

    Gives the lowest point and the derivatives there. They are computed once per step, at the candidate, which is taken
    only if it is lower; else the bound shrinks. `steps` counts candidates, the start among them. Safe under `vmap`.
    """

    def step(_: Any, carry: Any) -> Any:
        best, known, radius = carry
        curvature, directions = jnp.linalg.eigh(known.hessian)
        slopes = directions.T @ known.gradient
        move = -(directions @ (slopes / jnp.maximum(jnp.abs(curvature), _FLATTEST)))
        length = jnp.sqrt(jnp.sum(jnp.square(move)) + 1e-30)
        candidate = best + move * jnp.minimum(1.0, radius / length)
        there = evaluate(candidate)
        lower = there.value < known.value  # false where it is not a number
        radius = jnp.where(lower, jnp.minimum(2 * radius, _LONGEST), 0.25 * jnp.minimum(radius, length))
        best, known = jax.tree.map(lambda new, old: jnp.where(lower, new, old), (candidate, there), (best, known))
        return best, known, radius

    unknown = Derivatives(jnp.full_like(start[0], jnp.inf), jnp.zeros_like(start), jnp.eye(start.size))
    return jax.lax.fori_loop(0, steps, step, (start, unknown, jnp.ones_like(start[0])))[:2]
