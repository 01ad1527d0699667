"""What training carries from step to step, and the step itself.

Axis letters: B examples in a batch, M micro-batches.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from culet.core.slow_copy import SlowCopy

Sums = tuple[Float[Array, ""], Float[Array, ""], dict[str, Float[Array, ""]]]


class TrainState(eqx.Module):
    """The model with its float32 parameters, the optimiser's moments, the number of steps done and the random key.

    The model may be any pytree of models, an actor and a critic say, and the optimiser one for each of them
    (`optimizer_per_model`). `slow` holds the slow copy of them that `SlowCopy` keeps, where there is one.
    """

    model: Any  # first, so that the leaves of the model come first among the leaves of the state (see `culprit` below)
    optimizer_state: Any
    step: Int[Array, ""]
    key: Key[Array, ""]
    slow: Any = None

    @classmethod
    def create(
        cls, model: Any, optimizer: optax.GradientTransformation, key: Key[Array, ""], slow: SlowCopy | None = None
    ) -> "TrainState":
        """The state before the first step. All floating leaves of `model` will be trained."""
        copy = None if slow is None else slow.create(model)
        return cls(model, optimizer.init(_trained(model)), jnp.zeros((), jnp.int32), key, copy)


def training_step(
    loss: Callable[..., Sums],
    optimizer: optax.GradientTransformation,
    *,
    micro_batches: int = 1,
    compute_dtype: Any = None,
    clip: float | None = None,
    schedule: optax.Schedule | None = None,
    slow: SlowCopy | None = None,
    unit: str = "tokens",
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Builds `step(state, batch, frozen=None) -> (state, metrics)` for `fit`.

    `loss(model, batch, key)` returns `(sum, weight, metrics)`: the weighted loss summed over the batch, the sum of the
    weights, and further sums over the same weights. What is minimised is sum / weight. The batch may be done in
    `micro_batches` parts, one after the other: sums and weights are added up and divided once, so the step is that of
    the whole batch even where the parts weigh unequally.

    `compute_dtype` casts the floating leaves of the model for forward and backward; gradients are added up, and
    parameters kept, in their own dtype. `clip` bounds the global norm of the gradient. `frozen` is the other half of
    `eqx.partition`, if the state's model is only what shall be trained: it is put back for the loss, gets no gradient
    and no optimiser state, and as an argument in `fit(fixed=...)` stays out of checkpoints.

    With a rule `slow`, here and in `TrainState.create`, the state carries a slow copy that follows the model after each
    step, and the loss is called with it as a fourth argument: `loss(model, batch, key, copy)`. It gets no gradient.

    Metrics: `loss`; the loss function's own, divided by the weight; `tokens`, or another `unit` (the weight);
    `gradient_norm` before clipping, over all models together; `learning_rate` if `schedule` is given; and `culprit`:
    the index among `jax.tree.leaves(state)` of the first parameter whose gradient or update is not finite, -1 when all
    are. Raises ValueError for a batch that cannot be cut into micro-batches, and for a state without the slow copy.
    """

    def total(trained: Any, rest: Any, copy: Any, batch: Any, key: Key[Array, ""]) -> Any:
        models = eqx.combine(trained, rest), copy
        model, copy = models if compute_dtype is None else _cast(models, compute_dtype)
        value, weight, metrics = loss(model, batch, key) if slow is None else loss(model, batch, key, copy)
        return value, (weight, metrics)

    def sums(trained: Any, rest: Any, copy: Any, batch: Any, key: Key[Array, ""]) -> Any:
        """`((sum, (weight, metrics)), gradient of the sum)` of the whole batch."""
        gradient = jax.value_and_grad(total, has_aux=True)
        if micro_batches == 1:
            return gradient(trained, rest, copy, batch, key)
        parts = jax.tree.map(lambda x: _micro(x, micro_batches), batch), jax.random.split(key, micro_batches)
        like = jax.eval_shape(lambda part: gradient(trained, rest, copy, *part), jax.tree.map(lambda x: x[0], parts))
        zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)

        def add(so_far: Any, part: Any) -> Any:
            return jax.tree.map(jnp.add, so_far, gradient(trained, rest, copy, *part)), None

        return jax.lax.scan(add, zero, parts)[0]

    def step(state: TrainState, batch: PyTree, frozen: Any = None) -> tuple[TrainState, dict[str, Array]]:
        if slow is not None and state.slow is None:
            raise ValueError("the state has no slow copy; give the rule `slow` to TrainState.create as well")
        key, loss_key = jax.random.split(state.key)
        trained = _trained(state.model)
        rest = state.model if frozen is None else eqx.combine(state.model, frozen)
        (value, (weight, metrics)), gradient = sums(trained, rest, state.slow, batch, loss_key)
        weight = weight.astype(jnp.float32)
        inverse = 1 / jnp.where(weight == 0, 1, weight)  # avoid 0/0 when the weight is zero
        gradient = jax.tree.map(lambda g: g * inverse.astype(g.dtype), gradient)
        squares = [jnp.sum(jnp.square(g.astype(jnp.float32))) for g in jax.tree.leaves(gradient)]
        norm = jnp.sqrt(sum(squares))
        if clip is not None:
            scale = clip / jnp.maximum(norm, clip)
            gradient = jax.tree.map(lambda g: g * scale.astype(g.dtype), gradient)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes floats and integers
            updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, trained)
            rate = None if schedule is None else jnp.asarray(schedule(state.step), jnp.float32)
        metrics = {name: value.astype(jnp.float32) * inverse for name, value in metrics.items()}
        metrics |= {"loss": value.astype(jnp.float32) * inverse, unit: weight, "gradient_norm": norm}
        metrics["culprit"] = _culprit(state.model, trained, squares, updates)
        if rate is not None:
            metrics["learning_rate"] = rate
        model = eqx.apply_updates(state.model, updates)
        done = state.step + 1
        copy = state.slow if slow is None else slow.update(state.slow, model, done)
        return TrainState(model, optimizer_state, done, key, copy), metrics

    return step


def _trained(model: Any) -> Any:
    return eqx.filter(model, eqx.is_inexact_array)


def _cast(model: Any, dtype: Any) -> Any:
    floating, rest = eqx.partition(model, lambda x: eqx.is_array(x) and jnp.issubdtype(x.dtype, jnp.floating))
    return eqx.combine(jax.tree.map(lambda x: x.astype(dtype), floating), rest)


def _micro(x: Any, parts: int) -> Any:
    """`[B, ...]` to `[M, B/M, ...]`, part m taking the rows m, m+M, ...: rows cut over devices stay where they are."""
    if x.shape[0] % parts:
        raise ValueError(f"A batch of {x.shape[0]} cannot be cut into {parts} micro-batches of equal size.")
    return jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0)


def _culprit(model: Any, trained: Any, squares: list[Float[Array, ""]], updates: Any) -> Int[Array, ""]:
    """Which leaf of the model has a gradient whose norm, or an update, is not finite; -1 for none."""
    place = {path: i for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(model))}
    index = jnp.array([place[path] for path, _ in jax.tree_util.tree_leaves_with_path(trained)], jnp.int32)
    broken = ~jnp.stack(
        [jnp.isfinite(s) & jnp.all(jnp.isfinite(u)) for s, u in zip(squares, jax.tree.leaves(updates), strict=True)]
    )
    return jnp.where(jnp.any(broken), index[jnp.argmax(broken)], -1)
