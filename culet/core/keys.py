"""Random keys from seeds."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, Key


def as_key(key: int | np.integer | Integer[Array, "..."] | Key[Array, ""]) -> Key[Array, ""]:
    """The key of a seed, which is a whole number: `jax.random.key(seed)`. A key is returned as it is.

    Raises:
        TypeError: neither a key nor a whole number.
    """
    if isinstance(key, int | np.integer):
        return jax.random.key(key)
    if not isinstance(key, jax.Array) or jnp.issubdtype(key.dtype, jnp.inexact):
        raise TypeError(f"key must be a seed (a whole number) or a key (jax.random.key(seed)); got {key!r}")
    whole_number = key.ndim == 0 and jnp.issubdtype(key.dtype, jnp.integer)  # else one of jax.random.PRNGKey
    return jax.random.key(key) if whole_number else key
