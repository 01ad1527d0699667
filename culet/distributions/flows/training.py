"""Fits a distribution to data, or to a density that need not be normalised.

Axis letters: N rows of data, B rows of a batch, E axes of one event.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num, PyTree

from culet.core import Batches, TrainState, adamw, atomic_write, fit, training_step, warmup_cosine
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
    folder: str | Path | None = None,
    progress: bool = True,
) -> tuple[Any, list[dict[str, Any]]]:
    """The distribution fitted to the rows of `data` by maximum likelihood, and the history of the fit.

    The distribution passed in stays as it was. Of a `Transformed` the bijector is trained and the base stays; of
    others, all floating parameters. AdamW without decay; the learning rate rises over a tenth of the steps and falls
    along a cosine to a tenth. The history has about 50 rows or more, oldest first, with `step`, `loss` (in nats,
    the mean over up to 20 steps), `gradient_norm`, `rows` and `time`.

    With a `folder`, checkpoints and the log are kept there, and a fit that was stopped goes on from them, as
    `culet.core.fit` says; the steps of these are calls of up to 20 steps each.

    Raises:
        ValueError: the data have another shape than the events; a row is not finite; the folder holds a fit with other
            data or settings.
        NonFiniteError: the loss or a gradient is not finite.
    """
    rows = np.asarray(data)
    if rows.ndim == 0 or rows.shape[1:] != distribution.event_shape or not len(rows):
        wanted = ", ".join(map(str, ("N", *distribution.event_shape)))
        raise ValueError(f"The shape of the data must be [{wanted}] with N above 0; it is {list(rows.shape)}.")
    if not np.isfinite(rows).all():
        bad = int(np.argmax(~np.isfinite(rows).reshape(len(rows), -1).all(-1)))
        raise ValueError(f"Row {bad} of the data holds a number that is not finite; leave such rows out.")
    batches = Batches({"rows": rows}, min(batch_size, len(rows)) * _steps_in_a_call(steps), seed)
    settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    if folder is not None:
        digest = hashlib.sha256(rows.tobytes()).hexdigest()
        _check_folder(Path(folder), settings | {"data": digest})
    return _fit(distribution, _likelihood_step(steps, learning_rate), batches, settings, folder, progress)


def fit_to_density(
    distribution: Any,
    log_density: Callable[[Float[Array, "*E"]], Float[Array, ""]],
    *,
    steps: int = 1000,
    samples: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    folder: str | Path | None = None,
    progress: bool = True,
) -> tuple[Any, list[dict[str, Any]]]:
    """The distribution q fitted to a density p by least KL(q || p), and the history of the fit.

    The divergence is estimated from `samples` draws of q per step. `log_density` takes one event and may miss the
    constant; the loss misses it too. `distribution` must draw differentiably. What is trained and how, the history and
    the `folder` are as in `fit_to_data`.

    Raises:
        ValueError: the folder holds a fit with other settings (the density itself cannot be compared).
        NonFiniteError: the loss or a gradient is not finite.
    """

    def loss(model: Any, batch: None, key: Key[Array, ""]) -> Any:
        draws, scores = model.sample_and_log_prob(key, (samples,))
        gaps = scores - jax.vmap(log_density)(draws)
        return jnp.sum(gaps), jnp.asarray(samples, jnp.float32), {}

    settings = {"steps": steps, "samples": samples, "learning_rate": learning_rate, "seed": seed}
    if folder is not None:
        _check_folder(Path(folder), settings)
    return _fit(distribution, _step(loss, steps, learning_rate), None, settings, folder, progress)


def _fit(
    distribution: Distribution, method: tuple[Any, Any], batches: Batches | None, settings: dict[str, Any],
    folder: str | Path | None, progress: bool,
) -> tuple[Any, list[dict[str, Any]]]:  # fmt: skip
    optimizer, step = method
    trained, frozen = eqx.partition(distribution, _trainable(distribution))
    trained = jax.tree.map(lambda leaf: jnp.array(leaf, leaf.dtype), trained)  # a copy, without weak types
    state = TrainState.create(trained, optimizer, jax.random.key(settings["seed"]))
    size = _steps_in_a_call(settings["steps"])
    calls = settings["steps"] // size
    state, history = fit(
        step, state, batches, steps=calls, fixed=(frozen,), folder=folder, checkpoint_every=max(1, calls // 10),
        log_every=max(1, calls // 50), progress=progress, name="fitting", unit="rows",
    )  # fmt: skip
    return eqx.combine(state.model, frozen), [row | {"step": row["step"] * size} for row in history]


def _check_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Keeps the settings of a fit in its folder, and refuses one that holds a fit with others."""
    path = folder / "settings.json"
    kept = json.loads(path.read_text()) if path.exists() else settings
    others = ", ".join(f"{name} {kept.get(name)}" for name in settings if kept.get(name) != settings[name])
    if others:
        raise ValueError(f"{folder} holds a fit with {others}; use another folder, or delete this one.")
    atomic_write(path, json.dumps(settings))


def _steps_in_a_call(steps: int) -> int:
    """How many steps one call makes: a step of a small model takes less time than a call from Python."""
    return max(count for count in range(1, 21) if steps % count == 0)


def _step(loss: Any, steps: int, learning_rate: float) -> tuple[Any, Any]:
    """The optimiser, and the compiled function that makes `_steps_in_a_call(steps)` steps."""
    schedule = warmup_cosine(learning_rate, steps=steps, warmup=steps // 10)
    optimizer = adamw(schedule, weight_decay=0.0, b2=0.999)
    one, count = training_step(loss, optimizer, clip=CLIP, unit="rows"), _steps_in_a_call(steps)

    def step(state: TrainState, batch: PyTree, frozen: Any) -> tuple[TrainState, dict[str, Array]]:
        parts = jax.tree.map(lambda rows: rows.reshape(count, -1, *rows.shape[1:]), batch)
        state, metrics = jax.lax.scan(lambda state, part: one(state, part, frozen), state, parts, length=count)
        means = {name: jnp.mean(metrics[name]) for name in ("loss", "gradient_norm")}
        return state, means | {"rows": jnp.sum(metrics["rows"]), "culprit": jnp.max(metrics["culprit"])}

    return optimizer, eqx.filter_jit(step)


@functools.lru_cache(maxsize=8)
def _likelihood_step(steps: int, learning_rate: float) -> tuple[Any, Any]:
    """`_step` for data; cached, so that a second fit with the same settings is not compiled again."""

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
