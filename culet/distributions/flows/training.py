"""Fits a distribution to data, or to a density that need not be normalised.

Axis letters: N rows of data, B rows of a batch, E axes of one event.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num, PyTree

from culet.core import Batches, TrainState, adamw, fit, training_step, warmup_cosine
from culet.distributions.distribution import Distribution
from culet.distributions.transformed import Transformed

CLIP = 10.0  # of the gradient's norm


def fit_to_data(
    distribution: Any,
    data: Num[np.ndarray | Array, "N *E"],
    *,
    steps: int = 1000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> Any:
    """The distribution fitted to the rows of `data` by maximum likelihood; the one passed in stays as it was.

    Of a `Transformed` the bijector is trained and the base stays; of others, all floating parameters. AdamW without
    decay; the learning rate rises over a tenth of the steps and falls along a cosine to a tenth. Raises `ValueError`
    for data of another shape than the events' and for rows that are not finite, `NonFiniteError` when training breaks.
    """
    rows = np.asarray(data)
    if rows.ndim == 0 or rows.shape[1:] != distribution.event_shape or not len(rows):
        wanted = ", ".join(map(str, ("N", *distribution.event_shape)))
        raise ValueError(f"The data have the shape {list(rows.shape)}; this distribution needs [{wanted}], N above 0.")
    if not np.isfinite(rows).all():
        bad = int(np.argmax(~np.isfinite(rows).reshape(len(rows), -1).all(-1)))
        raise ValueError(f"Row {bad} of the data holds a number that is not finite; leave such rows out.")
    batches = Batches({"rows": rows}, min(batch_size, len(rows)) * _together(steps), seed)
    return _fit(distribution, _likelihood_step(steps, learning_rate), batches, steps, seed, progress)


def fit_to_density(
    distribution: Any,
    log_density: Callable[[Float[Array, "*E"]], Float[Array, ""]],
    *,
    steps: int = 1000,
    samples: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> Any:
    """The distribution q fitted to a density p by least KL(q || p), estimated from `samples` draws of q per step.

    `log_density` takes one event and may miss the constant; the loss shown misses it too. What is trained, and how, is
    as in `fit_to_data`; `distribution` must draw differentiably. Raises `NonFiniteError` when training breaks.
    """

    def loss(model: Any, batch: None, key: Key[Array, ""]) -> Any:
        draws, scores = model.sample_and_log_prob(key, (samples,))
        gaps = scores - jax.vmap(log_density)(draws)
        return jnp.sum(gaps), jnp.asarray(samples, jnp.float32), {}

    return _fit(distribution, _step(loss, steps, learning_rate), None, steps, seed, progress)


def _fit(
    distribution: Distribution, method: tuple[Any, Any], batches: Batches | None, steps: int, seed: int, progress: bool
) -> Any:
    optimizer, step = method
    trained, frozen = eqx.partition(distribution, _trainable(distribution))
    trained = jax.tree.map(lambda leaf: jnp.array(leaf, leaf.dtype), trained)  # a copy, without weak types
    state = TrainState.create(trained, optimizer, jax.random.key(seed))
    calls = steps // _together(steps)
    state, _ = fit(step, state, batches, steps=calls, fixed=(frozen,), progress=progress, name="fitting")
    return eqx.combine(state.model, frozen)


def _together(steps: int) -> int:
    """How many steps are one call: small models are done with a step sooner than Python is with a call."""
    return max(count for count in range(1, 21) if steps % count == 0)


def _step(loss: Any, steps: int, learning_rate: float) -> tuple[Any, Any]:
    """The optimiser, and the compiled function that makes `_together(steps)` steps."""
    schedule = warmup_cosine(learning_rate, steps=steps, warmup=steps // 10)
    optimizer = adamw(schedule, weight_decay=0.0, b2=0.999)
    one, count = training_step(loss, optimizer, clip=CLIP), _together(steps)

    def step(state: TrainState, batch: PyTree, frozen: Any) -> tuple[TrainState, dict[str, Array]]:
        parts = jax.tree.map(lambda rows: rows.reshape(count, -1, *rows.shape[1:]), batch)
        state, metrics = jax.lax.scan(lambda state, part: one(state, part, frozen), state, parts, length=count)
        found = {name: jnp.mean(values) for name, values in metrics.items() if name != "culprit"}
        return state, found | {"culprit": jnp.max(metrics["culprit"])}

    return optimizer, eqx.filter_jit(step)


@functools.lru_cache(maxsize=8)
def _likelihood_step(steps: int, learning_rate: float) -> tuple[Any, Any]:
    """`_step` for data, kept: who fits again in the same way does not wait for the compiler again."""

    def loss(model: Any, batch: Any, key: Key[Array, ""]) -> Any:
        scores = model.log_prob(batch["rows"])
        return -jnp.sum(scores), jnp.asarray(scores.size, jnp.float32), {}

    return _step(loss, steps, learning_rate)


def _trainable(distribution: Distribution) -> PyTree:
    everything = jax.tree.map(eqx.is_inexact_array, distribution)
    if not isinstance(distribution, Transformed):
        return everything
    nothing = jax.tree.map(lambda _: False, distribution)
    return eqx.tree_at(lambda flow: flow.bijector, nothing, everything.bijector)
