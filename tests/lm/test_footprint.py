"""Cache sizes as the layer patterns dictate, in units counted by hand."""

import jax
import jax.numpy as jnp
import pytest

from culet.lm import preset, scaled, sizes
from tests.weights import random_weights

GIB = 2**30
# length, GiB of the caches that each layer needs, GiB if every layer kept every token (bfloat16)
PUBLISHED = {
    "gemma-3-1b": (32_768, 0.1357421875, 0.8125),
    "gemma-3-4b": (131_072, 2.61328125, 17.0),
    "gemma-3-12b": (131_072, 8.3125, 48.0),
    "gemma-3-27b": (131_072, 10.40625, 62.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_gemma_3(name):
    length, needed, full = PUBLISHED[name]
    footprint = sizes(preset(name), length)
    assert (footprint.cache_bytes / GIB, footprint.full_cache_bytes / GIB) == (needed, full)


@pytest.mark.parametrize("length", [2048, 8192, 131_072])
def test_recurrent_gemma_is_constant(length):
    attention = 8 * 2 * 2048 * 256 * 2  # layers, keys and values, window, head, bytes
    recurrent = 18 * 2560 * (4 + 3 * 2)  # a float32 state and three bfloat16 inputs of the convolution
    assert sizes(preset("recurrent-gemma-2b"), length).cache_bytes == attention + recurrent == 17_238_016


@pytest.mark.parametrize(("dtype", "bytes_each"), [("float32", 4), ("bfloat16", 2)])
def test_weights_are_counted_as_they_are(dtype, bytes_each):
    config = scaled("gemma-2-2b", layers=2, width=16, vocabulary=30)
    model = random_weights(config.init)
    count = sum(leaf.size for leaf in jax.tree.leaves(model))
    footprint = sizes(config, 10, jnp.dtype(dtype))
    assert (footprint.parameters, footprint.weight_bytes) == (count, count * bytes_each)
    assert footprint.embedding == model.embedding.size == 30 * 16
    assert footprint.train_bytes == 16 * count
