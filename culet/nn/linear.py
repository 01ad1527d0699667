"""The linear map that every layer is made of, and its product, which is one product of matrices under `vmap` too.

Axis letters: T tokens, I inputs, O outputs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key


class Linear(eqx.Module):
    """`y = W x + b` on each token of one sequence, with `W` stored `[out, in]` as checkpoints store it."""

    weight: Float[Array, "O I"]
    bias: Float[Array, "O"] | None

    def __init__(self, inputs: int, outputs: int, *, key: Key[Array, ""], bias: bool = False, scale: float = 1.0):
        """Draws weights with standard deviation `scale / sqrt(inputs)`; the bias starts at zero."""
        self.weight = jax.random.normal(key, (outputs, inputs)) * (scale * inputs**-0.5)
        self.bias = jnp.zeros((outputs,)) if bias else None

    def __call__(self, x: Float[Array, "T I"]) -> Float[Array, "T O"]:
        """Maps `[T, I]` to `[T, O]` in the dtype of `x`, which must be that of the weight."""
        y = project(self.weight, x)
        return y if self.bias is None else y + self.bias[None, :]


def project(weight: Float[Array, "O I"], x: Float[Array, "T I"], dtype: DTypeLike | None = None) -> Float[Array, "T O"]:
    """`x W^T`, accumulated and returned in `dtype` (by default that of the arguments).

    For a single token the weight stands left, so that it streams row by row. Under `vmap` over a batch this order keeps
    the batch as the last axis, which on a CPU moves the weight through memory twice as fast at batch 8 (LOG.md).
    """
    if x.shape[0] == 1:
        return _dot(weight, x, (1, 1), dtype).T
    return _project.bind(x, weight, dtype=jnp.result_type(x, weight) if dtype is None else jnp.dtype(dtype))


# `jax.vmap` of a plain product gives x a third axis, and the gradient of the weight then sums over two axes at once.
# For that, XLA first writes out a transposed copy of the output's gradient: a fifth of the layer's time on a CPU. The
# batching rule lays the rows end to end instead, which costs nothing and makes all three products plain ones.
_project = Primitive("project")


def _dot(left: Array, right: Array, axes: tuple[int, int], dtype: DTypeLike | None) -> Array:
    return jax.lax.dot_general(left, right, (((axes[0],), (axes[1],)), ((), ())), preferred_element_type=dtype)


def _forward(x: Array, weight: Array, *, dtype: DTypeLike) -> Array:
    return _dot(x, weight, (1, 1), dtype)


def _batched(arguments, axes, *, dtype):
    (x, weight), (x_axis, weight_axis) = arguments, axes
    if weight_axis is not None:  # a weight of its own for each row
        return jax.vmap(lambda x, weight: _forward(x, weight, dtype=dtype), axes)(x, weight), 0
    rows = jnp.moveaxis(x, x_axis, 0)
    y = _project.bind(rows.reshape(-1, rows.shape[-1]), weight, dtype=dtype)
    return y.reshape(*rows.shape[:-1], -1), 0


def _x_gradient(slope, x, weight, *, dtype):
    return _dot(slope, weight, (1, 0), dtype).astype(x.aval.dtype)


def _weight_gradient(slope, x, weight, *, dtype):
    return _dot(slope, x, (0, 0), dtype).astype(weight.aval.dtype)


_project.def_impl(jax.jit(_forward, static_argnames="dtype"))
_project.def_abstract_eval(lambda x, weight, *, dtype: x.update(shape=(x.shape[0], weight.shape[0]), dtype=dtype))
mlir.register_lowering(_project, mlir.lower_fun(_forward, multiple_results=False))
batching.primitive_batchers[_project] = _batched
ad.defbilinear(_project, _x_gradient, _weight_gradient)
