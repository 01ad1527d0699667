"""Models with random weights for tests, drawn by NumPy: nothing is compiled to make them."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

M = TypeVar("M")


def random_weights(build: Callable[..., M], *, spread: float = 1.0, vectors: float = 0.3, seed: int = 0) -> M:
    """What `build(key=...)` returns, all its leaves redrawn, so that no norm or bias is left at its neutral start.

    Matrices get standard deviation `spread / sqrt(last axis)`, vectors (norms, biases) `vectors`.
    """
    random = np.random.default_rng(seed)

    def draw(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        deviation = spread * leaf.shape[-1] ** -0.5 if len(leaf.shape) > 1 else vectors
        return jnp.asarray(random.normal(size=leaf.shape) * deviation, leaf.dtype)

    return jax.tree.map(draw, eqx.filter_eval_shape(lambda: build(key=jax.random.key(0))))


def normal(*shape: int, seed: int = 0) -> jax.Array:
    """Standard normal numbers."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)
