"""Automatic differentiation variational inference: one Gaussian, fitted by the reparametrised gradient.

Axis letters: D numbers in the parameters, S draws per step, T steps.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from culet.core.optimizers import adamw, warmup_cosine
from culet.inference.posterior import LogDensity, Posterior, flattened

_FIRST_LOG_SCALE = -1.0


def advi(
    log_density: LogDensity,
    start: PyTree,
    key: Key[Array, ""],
    *,
    full_rank: bool = False,
    steps: int = 2000,
    draws: int = 8,
    learning_rate: float = 0.05,
) -> tuple[Posterior, Float[Array, "T"]]:
    """The Gaussian nearest to a posterior in KL(q | p), and the evidence lower bound estimated at each step, in nats.

    Kucukelbir, Tran, Ranganath, Gelman and Blei, "Automatic Differentiation Variational Inference" (2017), sections 2.4
    and 2.5: independent coordinates, or with `full_rank` any covariance. Parameters are real numbers; those that are
    bounded are to be transformed within `log_density`, which then adds the log determinant. The step length is Adam's
    with a cosine to a hundredth, in place of the paper's own rule.

    Raises `ValueError` for a start that cannot be used, and `ArithmeticError` when the bound stops being finite.
    """
    vector, unravel = flattened(log_density, start)
    (mean, log_diagonal, below), bounds = _climb(
        log_density, unravel, vector, key, full_rank, steps, draws, learning_rate
    )
    if not bool(jnp.all(jnp.isfinite(bounds))):
        first = int(jnp.argmin(jnp.isfinite(bounds)))
        raise ArithmeticError(f"the bound is not finite at step {first}; try a smaller learning rate or another start")
    scale = jnp.exp(log_diagonal) if below is None else _factor(log_diagonal, below)
    return Posterior(mean[None], scale[None], unravel), bounds


@eqx.filter_jit
def _climb(
    log_density: LogDensity, unravel: Callable, vector: Float[Array, "D"], key: Key[Array, ""],
    full_rank: bool, steps: int, draws: int, learning_rate: float,
) -> tuple[Any, Float[Array, "T"]]:  # fmt: skip
    """Mean, log diagonal of the scale and what is below it (None if independent); and the bounds."""
    size = vector.size
    schedule = warmup_cosine(learning_rate, steps=steps, warmup=steps // 20, final=0.01)
    optimizer = adamw(schedule, weight_decay=0.0, b2=0.999)

    def negative_bound(q: Any, noise: Float[Array, "S D"]) -> Float[Array, ""]:
        mean, log_diagonal, below = q
        scaled = noise * jnp.exp(log_diagonal)[None] if below is None else noise @ _factor(log_diagonal, below).T
        entropy = jnp.sum(log_diagonal) + 0.5 * size * (1 + math.log(2 * math.pi))
        return -jnp.mean(jax.vmap(lambda flat: log_density(unravel(flat)))(mean[None] + scaled)) - entropy

    def step(carry: Any, step_key: Key[Array, ""]) -> Any:
        q, state = carry
        noise = jax.random.normal(step_key, (draws, size), vector.dtype)
        value, gradient = jax.value_and_grad(negative_bound)(q, noise)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes floats and integers
            updates, state = optimizer.update(gradient, state, q)
        return (jax.tree.map(jnp.add, q, updates), state), -value

    below = jnp.zeros((size, size), vector.dtype) if full_rank else None
    q: Any = (vector, jnp.full_like(vector, _FIRST_LOG_SCALE), below)
    (q, _), bounds = jax.lax.scan(step, (q, optimizer.init(q)), jax.random.split(key, steps))
    return q, bounds


def _factor(log_diagonal: Float[Array, "D"], below: Float[Array, "D D"]) -> Float[Array, "D D"]:
    return jnp.tril(below, -1) + jnp.diag(jnp.exp(log_diagonal))
