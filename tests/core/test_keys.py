"""Seeds and keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.core import as_key


@pytest.mark.parametrize("seed", [7, np.int64(7), np.uint32(7), jnp.int32(7)])
def test_a_seed_is_the_key_of_it(seed):
    expected = np.asarray(jax.random.key_data(jax.random.key(7)))
    np.testing.assert_array_equal(jax.random.key_data(as_key(seed)), expected)
    np.testing.assert_array_equal(jax.jit(lambda seed: jax.random.key_data(as_key(seed)))(seed), expected)


def test_keys_stay_as_they_are():
    key = jax.random.key(3)
    assert as_key(key) is key


@pytest.mark.parametrize("key", [0.5, "0", None, jnp.float32(1)])
def test_anything_else_is_refused(key):
    with pytest.raises(TypeError):
        as_key(key)
