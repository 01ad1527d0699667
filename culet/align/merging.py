"""Models between models: averages, steps from one towards another, and spherical merges of what several have learned.

Ramé and others (2024), "WARP", 2406.16768, section 3. All is computed in float32 and stays so: what training changed
is often smaller than the rounding of bfloat16. Adapters (LoRA) are added into their layers first, since the average of
two products is not the product of the averages.

Axis letters: M models.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from culet.core.tree import named_leaves
from culet.nn.lora import merge_lora

_PARALLEL = 1e-3  # radians; vectors nearer to each other, or to opposite, are averaged as they stand

Vector = list[Float[Array, "..."]]  # what belongs to one layer, leaf by leaf


def interpolate(start: PyTree, end: PyTree, fraction: float | Float[Array, ""]) -> PyTree:
    """`(1 - fraction) * start + fraction * end`: a step of a moving average, or from one model towards another.

    Raises ValueError for models of different shapes.
    """
    return _leafwise(_between, [start, end], jnp.asarray(fraction, jnp.float32))


def average(models: Sequence[PyTree], weights: Sequence[float] | None = None) -> PyTree:
    """The weighted mean of models, by default the plain one: a soup (Wortsman and others, 2203.05482).

    Weights count relative to their sum. Raises ValueError for no model, models of different shapes, another number of
    weights than of models, negative weights, and weights that are all 0.
    """
    if not models:
        raise ValueError("there is no model to average")
    weights = [1.0] * len(models) if weights is None else list(weights)
    if len(weights) != len(models):
        raise ValueError(f"expected one weight per model, got {len(weights)} weights for {len(models)} models")
    if not (all(weight >= 0 for weight in weights) and 0 < sum(weights) < float("inf")):
        raise ValueError(f"weights must be numbers from 0 and not all 0, not {weights}")
    return _leafwise(_mean, models, jnp.array(weights, jnp.float32) / sum(weights))


def slerp(base: PyTree, models: Sequence[PyTree]) -> PyTree:
    """`base` and what the models have learned since, merged on the sphere, layer by layer.

    Two task vectors (model less base) at an angle are merged half-way along the arc between them, so that as much is
    kept of their length as they have; a third joins the result at a third of the way, and so on, so that for more than
    two the order counts. Vectors along one line are averaged.

    Raises ValueError for no model, and for models of other shapes than the base.
    """
    if not models:
        raise ValueError("there is no model to merge")
    return _merged(*_matching([base, *models]))


@eqx.filter_jit
def _merged(base: PyTree, *models: PyTree) -> PyTree:
    merged = _task(base, models[0])
    for number, model in enumerate(models[1:], 2):
        task = _task(base, model)
        merged = {layer: _on_the_arc(merged[layer], task[layer], 1 / number) for layer in task}
    leaves, structure = jax.tree.flatten(base)
    places: dict[str, int] = dict.fromkeys(merged, 0)
    moved = []
    for (path, _), leaf in zip(named_leaves(base), leaves, strict=True):
        if eqx.is_inexact_array(leaf):
            layer = _layer(path)
            leaf = leaf + merged[layer][places[layer]]
            places[layer] += 1
        moved.append(leaf)
    return jax.tree.unflatten(structure, moved)


def angles(base: PyTree, first: PyTree, second: PyTree) -> dict[str, float]:
    """The angle in degrees between what two models have learned since `base`, by layer; NaN where one learned nothing.

    Raises ValueError for models of other shapes than the base.
    """
    return {layer: float(angle) for layer, angle in _angles(*_matching([base, first, second])).items()}


@eqx.filter_jit
def _angles(base: PyTree, first: PyTree, second: PyTree) -> dict[str, Float[Array, ""]]:
    tasks = _task(base, first), _task(base, second)
    return {layer: jnp.degrees(_angle(tasks[0][layer], tasks[1][layer])) for layer in tasks[0]}


def _layer(path: str) -> str:
    """What a leaf is merged with: all of its numbered layer (`blocks.3`), or nothing else."""
    parts = path.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1]) if numbers else path


def _task(base: PyTree, model: PyTree) -> dict[str, Vector]:
    """What a model has learned since `base`, by layer."""
    task: dict[str, Vector] = {}
    for (path, before), (_, after) in zip(named_leaves(base), named_leaves(model), strict=True):
        if eqx.is_inexact_array(before):
            task.setdefault(_layer(path), []).append(after - before)
    return task


def _dot(first: Vector, second: Vector) -> Float[Array, ""]:
    return sum((jnp.sum(a * b) for a, b in zip(first, second, strict=True)), jnp.zeros(()))


def _angle(first: Vector, second: Vector) -> Float[Array, ""]:
    """In radians. By the half angle of the unit vectors: a cosine near 1 has no digits left for a small one."""
    lengths = jnp.sqrt(_dot(first, first)), jnp.sqrt(_dot(second, second))
    pairs = [(a / lengths[0], b / lengths[1]) for a, b in zip(first, second, strict=True)]
    apart, together = ([f(a, b) for a, b in pairs] for f in (jnp.subtract, jnp.add))
    return 2 * jnp.arctan2(jnp.sqrt(_dot(apart, apart)), jnp.sqrt(_dot(together, together)))


def _on_the_arc(first: Vector, second: Vector, fraction: float) -> Vector:
    angle = _angle(first, second)
    bent = (angle > _PARALLEL) & (angle < jnp.pi - _PARALLEL)  # false where one of them is zero
    safe = jnp.where(bent, angle, 1.0)
    weights = [
        jnp.where(bent, jnp.sin(part * safe) / jnp.sin(safe), jnp.float32(part)) for part in (1 - fraction, fraction)
    ]
    return [weights[0] * a + weights[1] * b for a, b in zip(first, second, strict=True)]


def _matching(models: Sequence[PyTree]) -> list[PyTree]:
    """The models in float32, adapters added in. Raises ValueError unless all have the same leaves."""
    whole = [jax.tree.map(_as_float32, merge_lora(model)) for model in models]
    names = [[(path, jnp.shape(leaf)) for path, leaf in named_leaves(model)] for model in whole]
    for number, other in enumerate(names[1:], 1):
        if odd := sorted(set(names[0]) ^ set(other)):
            (path, shape), *_ = odd
            raise ValueError(
                f"the models cannot be merged: {path} {list(shape)} is not in both the first and number {number + 1}"
            )
    return whole


def _between(
    fraction: Float[Array, ""], first: Float[Array, "..."], second: Float[Array, "..."]
) -> Float[Array, "..."]:
    return first + fraction * (second - first)


def _mean(weights: Float[Array, "M"], *leaves: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.tensordot(weights, jnp.stack(leaves), 1)


def _leafwise(combine: Callable[..., Array], models: Sequence[PyTree], weights: Array) -> PyTree:
    return _combined(combine, weights, *_matching(models))


@eqx.filter_jit
def _combined(combine: Callable[..., Array], weights: Array, *models: PyTree) -> PyTree:
    def one(*leaves: Any) -> Any:
        return combine(weights, *leaves) if eqx.is_inexact_array(leaves[0]) else leaves[0]

    return jax.tree.map(one, *models)


def _as_float32(leaf: Any) -> Any:
    return jnp.asarray(leaf, jnp.float32) if eqx.is_inexact_array(leaf) else leaf
