"""Every published number: parameter counts to the digit, patterns, scales."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from culet.lm import preset, presets

# As published with the checkpoints; the two of RecurrentGemma are sums over the shapes in its checkpoints.
PARAMETERS = {
    "gemma-2b": 2_506_172_416,
    "gemma-7b": 8_537_680_896,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-270m": 268_098_176,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_099_328,  # the text halves of the three with vision
    "gemma-3-12b": 11_765_788_416,
    "gemma-3-27b": 27_009_002_240,
    "recurrent-gemma-2b": 2_682_862_080,
    "recurrent-gemma-9b": 8_579_977_216,
    "vaultgemma-1b": 1_038_741_120,
}


def parameters(name: str) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter_eval_shape(preset(name).init, jax.random.key(0))))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count(name):
    assert parameters(name) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["griffin-400m", "hawk-400m", "griffin-1b", "hawk-7b", "griffin-14b"])
def test_griffin_and_hawk_are_of_the_size_in_their_name(name):
    """The paper gives no exact counts."""
    figure, unit = name.split("-")[1][:-1], name[-1]
    assert parameters(name) == pytest.approx(float(figure) * {"m": 1e6, "b": 1e9}[unit], rel=0.35)


def test_every_preset_but_the_papers_own_is_counted():
    assert {name for name in presets() if not name.startswith(("griffin", "hawk"))} == PARAMETERS.keys()


def test_the_pattern_is_cut_not_stretched():
    assert preset("gemma-3-1b").kinds == "LLLLLG" * 4 + "LL"
    assert preset("gemma-3-4b").kinds == "LLLLLG" * 5 + "LLLL"
    assert preset("gemma-3-27b").kinds == "LLLLLG" * 10 + "LL"
    assert preset("gemma-2-2b").kinds == "LG" * 13
    assert preset("recurrent-gemma-2b").kinds == "RRL" * 8 + "RR"
    assert preset("griffin-7b").kinds == "RRL" * 10 + "RR"


def test_query_scales():
    heads = {"gemma-2-27b": 144, "gemma-3-27b": 168}  # width / heads, not the head dimension
    for name in PARAMETERS:
        assert preset(name).query_scale == pytest.approx(heads.get(name, 256) ** -0.5)


def test_embedding_scales():
    assert float(jnp.bfloat16(preset("gemma-7b").embedding_scale)) == 55.5  # sqrt(3072) is 55.4256
    assert preset("recurrent-gemma-2b").embedding_scale == 50.5  # sqrt(2560) is 50.596, rounded whatever the dtype
    assert preset("recurrent-gemma-9b").embedding_scale == 64.0
    assert preset("griffin-7b").embedding_scale == 1.0


def test_rope_is_scaled_in_the_long_models_only():
    scaled = {name for name in presets() if preset(name).rope_scale != 1.0}
    assert scaled == {"gemma-3-4b", "gemma-3-12b", "gemma-3-27b"}


def test_unknown_name():
    with pytest.raises(ValueError, match=r"gemma-9000.*gemma-2-2b"):
        preset("gemma-9000")
