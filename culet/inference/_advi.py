"""Automatic differentiation variational inference: one Gaussian, fitted by the reparametrised gradient.

Axis letters: D numbers in the parameters, S draws per step, T steps, C steps of one call.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from culet.core import NonFiniteError, adamw, fit, warmup_cosine
from culet.core.checkpoint import claim_folder
from culet.core.keys import as_key
from culet.inference.posterior import LogDensity, Posterior, flattened, gaussian

_FIRST_LOG_SCALE = -1.0
_MOST_TOGETHER = 100  # steps of one call: a step of a small model is done sooner than Python is with a call


class ADVIState(NamedTuple):
    """What a step changes."""

    parameters: Any  # mean [D], log diagonal of the scale [D], and what is below it [D, D], None if independent
    optimizer_state: Any
    bounds: Float[Array, "T"]  # of the steps done; the others are 0
    step: Int[Array, ""]


def advi(
    log_density: LogDensity,
    start: PyTree,
    key: int | Key[Array, ""],
    *,
    full_rank: bool = False,
    steps: int = 2000,
    draws: int = 8,
    learning_rate: float = 0.05,
    folder: str | Path | None = None,
    progress: bool = False,
) -> tuple[Posterior, Float[Array, "T"]]:
    """The Gaussian nearest to a posterior in KL(q | p), and the evidence lower bound estimated at each step, in nats.

    Kucukelbir, Tran, Ranganath, Gelman and Blei, "Automatic Differentiation Variational Inference" (2017), sections 2.4
    and 2.5: independent coordinates, or with `full_rank` any covariance. Parameters are real numbers; those that are
    bounded are to be transformed within `log_density`, which then adds the log determinant. The step length is Adam's
    with a cosine to a hundredth, in place of the paper's own rule.

    With a `folder`, the run keeps its log, the picture of the loss (minus the bound) and checkpoints there, and goes on
    when it was stopped (`culet.core.fit`); that the density is the same is for the caller to see to.

    Raises `ValueError` for a start that cannot be used and for a folder with a run of other settings, `ArithmeticError`
    when the bound stops being finite, and `culet.core.Interrupted` after SIGTERM or SIGINT.
    """
    vector, unravel = flattened(log_density, start)
    key = as_key(key)
    if folder is not None:
        digest = hashlib.sha256(np.asarray(vector).tobytes()).hexdigest()
        settings = {"full_rank": full_rank, "steps": steps, "draws": draws, "learning_rate": learning_rate}
        claim_folder(
            folder, settings | {"key": jax.random.key_data(key).tolist(), "start": digest}, private=("key", "start")
        )
    together = max(count for count in range(1, _MOST_TOGETHER + 1) if steps % count == 0)
    optimizer, step = _program(steps, together, draws, learning_rate)
    below = jnp.zeros((vector.size, vector.size), vector.dtype) if full_rank else None
    parameters = (vector, jnp.full_like(vector, _FIRST_LOG_SCALE), below)
    state = ADVIState(parameters, optimizer.init(parameters), jnp.zeros(steps, vector.dtype), jnp.zeros((), jnp.int32))
    calls = steps // together
    try:
        state, _ = fit(
            step, state, jax.random.split(key, steps).reshape(calls, together), steps=calls,
            fixed=(log_density, unravel), folder=folder, checkpoint_every=max(1, calls // 10), keep=1,
            log_every=max(1, calls // 200), progress=progress, name="advi", unit="draws",
        )  # fmt: skip
    except NonFiniteError as problem:
        first, last = (problem.step - 1) * together + 1, problem.step * together
        raise ArithmeticError(
            f"the bound is not finite at steps {first} to {last}; try a smaller learning rate or another start"
        ) from None
    mean, scale = _mean_and_scale(state.parameters)
    return Posterior(mean[None], scale[None], unravel), state.bounds


@functools.lru_cache(maxsize=8)
def _program(steps: int, together: int, draws: int, learning_rate: float) -> tuple[Any, Callable[..., Any]]:
    """The optimiser, and the function that makes `together` steps; kept, so that `fit` compiles it once."""
    schedule = warmup_cosine(learning_rate, steps=steps, warmup=steps // 20, final=0.01)
    optimizer = adamw(schedule, weight_decay=0.0, b2=0.999)

    def call(
        state: ADVIState, keys: Key[Array, "C"], log_density: LogDensity, unravel: Callable
    ) -> tuple[ADVIState, dict[str, Any]]:
        def negative_bound(parameters: Any, key: Key[Array, ""]) -> Float[Array, ""]:
            q = gaussian(*_mean_and_scale(parameters))
            energies = jax.vmap(lambda vector: log_density(unravel(vector)))(q.sample(key, (draws,)))
            return -jnp.mean(energies) - q.entropy()

        def step(carry: Any, key: Key[Array, ""]) -> Any:
            parameters, optimizer_state = carry
            value, gradient = jax.value_and_grad(negative_bound)(parameters, key)
            with jax.numpy_dtype_promotion("standard"):  # Optax mixes floats and integers
                updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters)
            return (jax.tree.map(jnp.add, parameters, updates), optimizer_state), -value

        (parameters, optimizer_state), new = jax.lax.scan(step, (state.parameters, state.optimizer_state), keys)
        bounds = jax.lax.dynamic_update_slice(state.bounds, new, (state.step,))
        metrics = {"loss": -jnp.mean(new), "draws": jnp.asarray(draws * together)}
        return ADVIState(parameters, optimizer_state, bounds, state.step + together), metrics

    return optimizer, call


def _mean_and_scale(parameters: Any) -> tuple[Float[Array, "D"], Array]:
    """The mean and the standard deviations [D], or the lower Cholesky factor [D, D]."""
    mean, log_diagonal, below = parameters
    diagonal = jnp.exp(log_diagonal)
    return mean, diagonal if below is None else jnp.tril(below, -1) + jnp.diag(diagonal)
