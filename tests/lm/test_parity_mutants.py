"""Every architecture constant is moved once, and the comparison with the recorded logits must notice.

Three sorts of mutants: a field of the configuration, a rearrangement of the weights (which stands for a convention,
such as the order of convolution taps), and a patch of the code (for constants that live there).
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.nn.attention
import culet.nn.recurrent
from culet.lm import Decoder, DecoderConfig
from culet.nn import Attention, Rope
from tests.lm.goldens import BAR, error, loaded, recorded, run

NOTICED = 10 * BAR
GEMMAS = ("gemma", "gemma2", "gemma3_text", "vaultgemma")
ALL = (*GEMMAS, "recurrent_gemma")
CAPPED = ("gemma2", "vaultgemma")


def paths(tree) -> dict[str, jax.Array]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def rebuild(config: DecoderConfig, weights: dict[str, jax.Array]) -> Decoder:
    """The model of another configuration with the same weights; a norm that only it has does nothing but normalise."""
    skeleton = eqx.filter_eval_shape(config.init, jax.random.key(0))
    leaves = [weights.get(path, jnp.zeros(leaf.shape)) for path, leaf in paths(skeleton).items()]
    return jax.tree.unflatten(jax.tree.structure(skeleton), leaves)


def test_the_unchanged_model_is_rebuilt_unchanged():
    for family in ALL:
        assert error(run(rebuild(loaded(family).config, paths(loaded(family))), family), family) < BAR


def times(name: str, factor: float) -> Callable[[DecoderConfig], dict]:
    return lambda config: {name: getattr(config, name) * factor}


def plus(name: str, difference: int) -> Callable[[DecoderConfig], dict]:
    return lambda config: {name: getattr(config, name) + difference}


# what is changed: the families that have it, and the new values as a function of the configuration
CONFIG_MUTANTS: dict[str, tuple[tuple[str, ...], Callable[[DecoderConfig], dict]]] = {
    "epsilon": (ALL, lambda config: {"epsilon": 1e-6}),
    "query scale 1% up": (ALL, times("query_scale", 1.01)),
    "query scale of the head": (("gemma2", "gemma3_text", "vaultgemma"), lambda c: {"query_scale": c.head_dim**-0.5}),
    "embedding scale 1": (ALL, lambda config: {"embedding_scale": 1.0}),
    "embedding scale rounded": (GEMMAS, lambda config: {"embedding_scale": float(jnp.bfloat16(config.width**0.5))}),
    "embedding scale not rounded": (("recurrent_gemma",), lambda config: {"embedding_scale": config.width**0.5}),
    "window one more": (("gemma2", "gemma3_text", "recurrent_gemma"), plus("window", 1)),
    "window one less": (("gemma2", "gemma3_text", "recurrent_gemma"), plus("window", -1)),
    "attention cap 5% up": (CAPPED, times("attention_cap", 1.05)),
    "no attention cap": (CAPPED, lambda config: {"attention_cap": None}),
    "logit cap 1% up": ((*CAPPED, "recurrent_gemma"), times("logit_cap", 1.01)),
    "no logit cap": ((*CAPPED, "recurrent_gemma"), lambda config: {"logit_cap": None}),
    "local rope base": (("gemma2", "gemma3_text", "recurrent_gemma"), times("rope_local", 1.2)),
    "global rope base": (GEMMAS, times("rope_global", 1.2)),
    "rope bases exchanged": (
        ("gemma3_text",), lambda c: {"rope_local": c.rope_global, "rope_global": c.rope_local},
    ),
    "rope scale 4": (("gemma3_text",), lambda config: {"rope_scale": 4.0}),
    "rope scale 1": (("gemma3_text",), lambda config: {"rope_scale": 1.0}),
    "rope fraction 1": (("recurrent_gemma",), lambda config: {"rope_fraction": 1.0}),
    "rope fraction a quarter": (("recurrent_gemma",), lambda config: {"rope_fraction": 0.25}),
    "pattern begins with global": (
        ("gemma2", "gemma3_text"), lambda config: {"pattern": config.pattern[-1] + config.pattern[:-1]},
    ),
    "pattern aligned at the end": (
        ("gemma2", "gemma3_text"), lambda config: {"pattern": (config.pattern * config.layers)[-config.layers :]},
    ),
    "all layers global": (("gemma2", "gemma3_text"), lambda config: {"pattern": "G"}),
    "all layers local": (("gemma", "vaultgemma"), lambda config: {"pattern": "L", "window": 20}),
    "attention in both directions": (GEMMAS, lambda config: {"causal": False}),
    "norm of queries and keys switched": (GEMMAS, lambda config: {"qk_norm": not config.qk_norm}),
    "post-norms switched": (ALL, lambda config: {"post_norms": not config.post_norms}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "mutant"), [(family, name) for name, (families, _) in CONFIG_MUTANTS.items() for family in families]
)
def test_a_moved_field_is_noticed(family, mutant):
    config = loaded(family).config
    changed = dataclasses.replace(config, **CONFIG_MUTANTS[mutant][1](config))
    assert error(run(rebuild(changed, paths(loaded(family))), family), family) > NOTICED


def test_every_field_that_a_checkpoint_does_not_fix_is_moved():
    """Sizes are fixed by the shapes of tensors, `context` changes nothing, and `biases` are mutated as weights."""
    sizes = {"layers", "width", "heads", "kv_heads", "head_dim", "hidden", "vocabulary", "lru_width", "lru_blocks"}
    rest = {"family", "context", "conv_width", "biases"}
    moved = {
        field
        for families, change in CONFIG_MUTANTS.values()
        for family in families
        for field in change(loaded(family).config)
    }
    assert moved | sizes | rest == {field.name for field in dataclasses.fields(DecoderConfig)}


def exchange(one: str, other: str) -> Callable[[dict], dict]:
    def change(weights):
        return {
            path: weights[path.replace(one, "*").replace(other, one).replace("*", other)] for path in weights
        }  # fmt: skip

    return change


def each(ending: str, change: Callable[[jax.Array], jax.Array]) -> Callable[[dict], dict]:
    def changed(weights):
        assert any(path.endswith(ending) for path in weights)
        return {path: change(leaf) if path.endswith(ending) else leaf for path, leaf in weights.items()}

    return changed


def heads_in_turn(weights: dict) -> dict:
    """Query head i reads key head i % K instead of i // G; the golden models have 4 query heads of 8, 2 key heads."""
    order = np.arange(32).reshape(2, 2, 8).swapaxes(0, 1).reshape(32)
    weights = each("query.weight", lambda weight: weight[order])(weights)
    return each("output.weight", lambda weight: weight[:, order])(weights)


WEIGHT_MUTANTS: dict[str, tuple[tuple[str, ...], Callable[[dict], dict]]] = {
    "norm scales by w, not 1 + w": (ALL, each("_norm.scale", lambda scale: scale - 1)),
    "final norm scales by w": (ALL, each("final_norm.scale", lambda scale: scale - 1)),
    "norm of queries scales by w": (("gemma3_text",), each("query_norm.scale", lambda scale: scale - 1)),
    "gate and up exchanged": (ALL, exchange("mlp.gate.", "mlp.up.")),
    "norms around the mixer exchanged": (("gemma2", "gemma3_text"), exchange("mixer_norm", "mixer_post_norm")),
    "norms of mixer and MLP exchanged": (ALL, exchange("mixer_norm", "mlp_norm")),
    "norms of queries and keys exchanged": (("gemma3_text",), exchange("query_norm", "key_norm")),
    "query heads in turn": (GEMMAS, heads_in_turn),
    "no biases": (("recurrent_gemma",), each(".bias", jnp.zeros_like)),
    "no bias of the convolution": (("recurrent_gemma",), each("conv_bias", jnp.zeros_like)),
    "taps in reverse": (("recurrent_gemma",), each("conv_weight", lambda taps: taps[:, ::-1])),
    "oldest tap missing": (("recurrent_gemma",), each("conv_weight", lambda taps: taps.at[:, 0].set(0.0))),
    "gates of the recurrence exchanged": (("recurrent_gemma",), exchange("lru.input_gate", "lru.a_gate")),
    "gate blocks transposed": (("recurrent_gemma",), each("_gate_weight", lambda weight: weight.swapaxes(1, 2))),
    "branches of the block exchanged": (("recurrent_gemma",), exchange("linear_x", "linear_y")),
    "sign of the decay": (("recurrent_gemma",), each("lru.a", jnp.negative)),
}


@pytest.mark.parametrize(
    ("family", "mutant"), [(family, name) for name, (families, _) in WEIGHT_MUTANTS.items() for family in families]
)
def test_a_broken_convention_is_noticed(family, mutant):
    weights = WEIGHT_MUTANTS[mutant][1](paths(loaded(family)))
    assert error(run(rebuild(loaded(family).config, weights), family), family) > NOTICED


def interleaved_rope(rope: Rope, x, positions):
    """Pairs channel 2i with 2i + 1."""
    order = np.arange(x.shape[-1])
    order[: rope.dim] = np.arange(rope.dim).reshape(-1, 2).T.reshape(-1)
    turned = original_rope(rope, x[..., order], positions)
    return turned[..., np.argsort(order)]


def norm_after_rope(attention: Attention, x, positions):
    tokens = x.shape[0]
    queries, keys, values = (
        linear(x).reshape(tokens, -1, attention.head_dim)
        for linear in (attention.query, attention.key, attention.value)
    )
    assert attention.query_norm is not None and attention.key_norm is not None
    queries = attention.query_norm(attention.rope(queries, positions))
    keys = attention.key_norm(attention.rope(keys, positions))
    return queries.reshape(tokens, attention.kv_heads, -1, attention.head_dim), keys, values


# the two forms of gelu differ by at most 5e-4 in value
original_rope, original_gelu = Rope.__call__, jax.nn.gelu
recurrence = culet.nn.recurrent
CODE_MUTANTS: dict[str, tuple[tuple[str, ...], tuple]] = {
    "exact gelu": (ALL, (jax.nn, "gelu", lambda x, approximate: original_gelu(x, approximate=False))),
    "rope of neighbouring channels": (ALL, (Rope, "__call__", interleaved_rope)),
    "norm after rope": (("gemma3_text",), (Attention, "_project", norm_after_rope)),
    "cap after the mask": (CAPPED, (culet.nn.attention, "MASKED", -2.0)),
    "decay constant 7": (("recurrent_gemma",), (recurrence, "DECAY", 7.0)),
    "input not scaled by the root": (("recurrent_gemma",), (recurrence, "bounded_sqrt", jnp.ones_like)),
    "input scaled by the square": (("recurrent_gemma",), (recurrence, "bounded_sqrt", lambda x: x)),
}


@pytest.mark.parametrize(
    ("family", "mutant"), [(family, name) for name, (families, _) in CODE_MUTANTS.items() for family in families]
)
def test_a_patched_line_is_noticed(monkeypatch, family, mutant):
    monkeypatch.setattr(*CODE_MUTANTS[mutant][1])
    assert error(run(loaded(family), family), family) > (4 * BAR if mutant == "exact gelu" else NOTICED)


def test_a_missing_reset_is_noticed():
    """From position 1 on, the first token is scaled as if something had come before it; nothing else changes."""
    tokens = jnp.asarray(recorded("recurrent_gemma")["tokens"])
    logits = loaded("recurrent_gemma")(tokens, jnp.arange(len(tokens)) + 1)
    assert error(logits, "recurrent_gemma") > NOTICED
