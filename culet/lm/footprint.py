"""Parameters and bytes of a model and its caches, from the shapes alone: nothing is allocated."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from culet.lm.decoder import DecoderConfig


class Sizes(NamedTuple):
    """Counts of parameters, and bytes in the dtype asked for."""

    parameters: int
    embedding: int  # parameters of the embedding, part of the above
    weight_bytes: int
    cache_bytes: int  # of one sequence: keys and values, in local layers of a window's tokens, and recurrent states
    full_cache_bytes: int  # the same if every attention layer kept all tokens
    train_bytes: int  # float32 weights, gradients and the two moments of Adam; activations come on top


def sizes(config: DecoderConfig, length: int, dtype: jnp.dtype = jnp.dtype("bfloat16")) -> Sizes:
    """The sizes of a model and of the caches of one sequence of `length` tokens."""
    model = eqx.filter_eval_shape(lambda key: _cast(config.init(key), dtype), jax.random.key(0))
    states = eqx.filter_eval_shape(lambda model: model.init_states(length, 1), model)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, _is_shape)))
    attending = sum(kind != "R" for kind in config.kinds)
    recurrent = [state for state, kind in zip(states, config.kinds, strict=True) if kind == "R"]
    return Sizes(
        parameters=parameters,
        embedding=config.vocabulary * config.width,
        weight_bytes=parameters * dtype.itemsize,
        cache_bytes=_bytes(states),
        full_cache_bytes=attending * 2 * config.kv_heads * config.head_dim * length * dtype.itemsize
        + _bytes(recurrent),
        train_bytes=parameters * 4 * 4,
    )


def _cast(model, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, model)


def _is_shape(leaf) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _bytes(tree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(eqx.filter(tree, _is_shape)))
