"""Low-rank adapters on linear maps (LoRA, Hu et al. 2021, 2106.09685, section 4.1).

Axis letters: T tokens, I inputs, O outputs, R rank.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from culet.nn.linear import Linear


class LoRALinear(eqx.Module):
    """`base(x) + scale * B A x`, in which only `a` and `b` learn.

    The adapters are float32 whatever the dtype of the base, and are cast to that of the input.
    """

    base: Linear
    a: Float[Array, "R I"]
    b: Float[Array, "O R"]
    scale: float = eqx.field(static=True)

    def __init__(self, base: Linear, rank: int, alpha: float, *, key: Key[Array, ""]):
        """Begins as `base` exactly, since `b` is zero; `a` has standard deviation `1 / sqrt(inputs)`.

        `scale` is `alpha / rank`.

        Raises:
            ValueError: `rank` is less than 1.
        """
        if rank < 1:
            raise ValueError(f"the rank of an adapter is {rank}; it must be at least 1")
        outputs, inputs = base.weight.shape
        self.base = base
        self.a = jax.random.normal(key, (rank, inputs), jnp.float32) * inputs**-0.5
        self.b = jnp.zeros((outputs, rank), jnp.float32)
        self.scale = alpha / rank

    def __call__(self, x: Float[Array, "T I"]) -> Float[Array, "T O"]:
        """Maps `[T, I]` to `[T, O]` in the dtype of `x`, which must be that of the base. No gradient to the base."""
        low = jnp.einsum("ti,ri->tr", x, self.a.astype(x.dtype))
        return jax.lax.stop_gradient(self.base)(x) + self.scale * jnp.einsum("tr,or->to", low, self.b.astype(x.dtype))

    def merged(self) -> Linear:
        """The same map as one matrix `W + scale * B A`, summed in float32 and rounded once to the base's dtype."""
        weight = self.base.weight
        update = self.scale * jnp.matmul(self.b, self.a, precision="highest")
        merged = weight.astype(update.dtype) + update
        return eqx.tree_at(lambda base: base.weight, self.base, merged.astype(weight.dtype))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoRA:
    """Which adapters to train in place of the model's own weights: `culet.lm.train(..., lora=LoRA(rank=8))`.

    The trained model keeps its adapters: it runs as it is, `eqx.filter(model, lora_filter(model))` is the adapters
    alone, `merge_lora(model)` adds them into the weights, and `culet.lm.save` writes the merged model.
    Raises ValueError for a rank less than 1.
    """

    rank: int = 8
    alpha: float = 16.0  # the update is scaled by alpha / rank
    targets: str = ""  # regular expression over paths such as `blocks[3].mixer.query`; "" takes every linear layer

    def __post_init__(self):
        if self.rank < 1:
            raise ValueError(f"LoRA's rank is {self.rank}; it must be at least 1")

    def adapt(self, model: PyTree, key: Key[Array, ""]) -> PyTree:
        """`model` with these adapters, beginning as it was. Adapters that it has already stay, and are trained on."""
        return add_lora(model, self.targets, self.rank, self.alpha, key=key)


def add_lora(model: PyTree, targets: str, rank: int, alpha: float, *, key: Key[Array, ""]) -> PyTree:
    """`model` with an adapter on every `Linear` whose path contains a match of the regular expression `targets`.

    Paths are as Python writes them, for example `blocks[3].mixer.query`. Adapters that are there already stay.

    Raises:
        ValueError: `targets` is no regular expression or matches no linear layer, with or without an adapter (the
            message lists some paths), or `rank` is less than 1.
    """
    try:
        pattern = re.compile(targets)
    except re.error as error:
        raise ValueError(f"targets {targets!r} is not a regular expression: {error}") from error
    leaves, structure = jax.tree_util.tree_flatten_with_path(model, is_leaf=_is_linear)
    paths = [jax.tree_util.keystr(path).removeprefix(".") for path, _ in leaves]
    linear = [path for path, (_, leaf) in zip(paths, leaves, strict=True) if isinstance(leaf, Linear)]
    adapted = [path for path, (_, leaf) in zip(paths, leaves, strict=True) if isinstance(leaf, LoRALinear)]
    chosen = [path for path in linear if pattern.search(path)]
    if not chosen and any(map(pattern.search, adapted)):
        return model
    if not chosen:
        some = ", ".join(linear[:8]) + (f" and {len(linear) - 8} more" if len(linear) > 8 else "")
        raise ValueError(f"targets {targets!r} matches no linear layer; the model has {some or 'none to adapt'}")
    keys = dict(zip(chosen, jax.random.split(key, len(chosen)), strict=True))
    return structure.unflatten(
        LoRALinear(leaf, rank, alpha, key=keys[path]) if path in keys else leaf
        for path, (_, leaf) in zip(paths, leaves, strict=True)
    )


def merge_lora(model: PyTree) -> PyTree:
    """`model` with every adapter added into its linear layer, so that nothing tells it from a model without any."""
    return _on_adapters(lambda adapter: adapter.merged(), lambda leaf: leaf, model)


def lora_filter(model: PyTree) -> PyTree:
    """A tree of booleans, true for the arrays of adapters alone, as `equinox.partition` takes it."""
    return _on_adapters(
        lambda adapter: eqx.tree_at(lambda tree: (tree.a, tree.b), _all_false(adapter), (True, True)),
        lambda leaf: False,
        model,
    )


def _on_adapters(on_adapter: Callable[[LoRALinear], Any], on_other: Callable[[Any], Any], model: PyTree) -> PyTree:
    return jax.tree.map(
        lambda leaf: on_adapter(leaf) if isinstance(leaf, LoRALinear) else on_other(leaf),
        model,
        is_leaf=lambda leaf: isinstance(leaf, LoRALinear),
    )


def _all_false(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda _: False, tree)


def _is_linear(leaf: Any) -> bool:
    return isinstance(leaf, Linear | LoRALinear)
