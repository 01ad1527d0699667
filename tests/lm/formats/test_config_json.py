"""Configurations from files old and new. Oracles: the published presets and, in `make parity`, transformers itself."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culet.lm import preset, presets
from culet.lm.decoder import DecoderConfig
from culet.lm.formats.config_json import config_from_transformers, config_to_transformers, default_dtype
from culet.lm.formats.json_file import ConfigError
from tests.lm.record_names import RECORD

RECORDED = {family: entry["config"] for family, entry in json.loads(RECORD.read_text()).items()}

# What older files on the Hub hold, as far as it matters: rope at the top, kinds by period, keys left to defaults.
GEMMA_2B = {
    "model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None, "head_dim": 256, "hidden_size": 2048,
    "intermediate_size": 16384, "num_attention_heads": 8, "num_hidden_layers": 18, "num_key_value_heads": 1,
    "rope_theta": 10000.0, "rope_scaling": None, "vocab_size": 256000, "torch_dtype": "bfloat16",
}  # fmt: skip
GEMMA_2_27B = {
    "model_type": "gemma2", "head_dim": 128, "hidden_size": 4608, "intermediate_size": 36864, "num_hidden_layers": 46,
    "num_attention_heads": 32, "num_key_value_heads": 16, "query_pre_attn_scalar": 144, "sliding_window": 4096,
    "hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid", "torch_dtype": "float32",
}  # fmt: skip
GEMMA_3_1B = {
    "model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
    "head_dim": 256, "num_attention_heads": 4, "num_key_value_heads": 1, "max_position_embeddings": 32768,
    "sliding_window": 512, "rope_theta": 1000000, "rope_local_base_freq": 10000, "rope_scaling": None,
    "sliding_window_pattern": 6, "vocab_size": 262144, "attn_logit_softcapping": None, "final_logit_softcapping": None,
}  # fmt: skip
GEMMA_3_4B = {
    "model_type": "gemma3", "torch_dtype": "bfloat16", "vision_config": {"hidden_size": 1152},
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    },
}  # fmt: skip
RECURRENT_2B = {
    "model_type": "recurrent_gemma", "_block_types": ["recurrent", "recurrent", "attention"], "num_key_value_heads": 1,
    "intermediate_size": 15360, "attention_window_size": 2048, "partial_rotary_factor": 0.5, "rope_theta": 10000.0,
    "embeddings_scale_by_sqrt_dim": True, "lru_width": 2560, "torch_dtype": "float32",
}  # fmt: skip
RECURRENT_9B = {
    "model_type": "recurrent_gemma", "block_types": ["recurrent", "recurrent", "attention"], "num_key_value_heads": 1,
    "hidden_size": 4096, "intermediate_size": 24576, "num_attention_heads": 16, "num_hidden_layers": 38,
    "lru_width": 4096,
}  # fmt: skip
VAULT_1B = {
    "model_type": "vaultgemma", "hidden_size": 1152, "intermediate_size": 6912, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 1024, "layer_types": ["full_attention"] * 26,
}  # fmt: skip
OLD = {
    "gemma-2b": GEMMA_2B, "gemma-2-27b": GEMMA_2_27B, "gemma-3-1b": GEMMA_3_1B, "gemma-3-4b": GEMMA_3_4B,
    "recurrent-gemma-2b": RECURRENT_2B, "recurrent-gemma-9b": RECURRENT_9B, "vaultgemma-1b": VAULT_1B,
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_old_files_give_the_published_models(name):
    wanted = preset(name)
    if name == "gemma-3-4b":  # multimodal checkpoints have 64 rows more
        wanted = dataclasses.replace(wanted, vocabulary=262_208)
    assert config_from_transformers(OLD[name]) == wanted


@pytest.mark.parity
@pytest.mark.parametrize("name", OLD)
def test_old_files_read_alike_before_and_after_transformers_rewrites_them(name):
    from transformers import AutoConfig

    rewritten = json.loads(AutoConfig.for_model(**OLD[name]).to_json_string())
    assert rewritten.keys() != OLD[name].keys()
    assert config_from_transformers(rewritten) == config_from_transformers(OLD[name])


@pytest.mark.parity
@pytest.mark.parametrize("family", RECORDED)
def test_defaults_are_those_of_the_classes(family):
    from transformers import AutoConfig

    full = json.loads(AutoConfig.for_model(family).to_json_string())
    assert config_from_transformers({"model_type": family}) == config_from_transformers(full)


@pytest.mark.parity
@pytest.mark.parametrize("name", [name for name in presets() if not name.startswith(("griffin", "hawk"))])
def test_transformers_reads_what_we_write(name):
    from transformers import AutoConfig

    written = config_to_transformers(preset(name), "bfloat16")
    theirs = AutoConfig.for_model(**written)
    assert str(theirs.dtype) == "torch.bfloat16"
    assert config_from_transformers(json.loads(theirs.to_json_string())) == preset(name)


@pytest.mark.parametrize("name", presets())
def test_presets_survive_the_round_trip(name):
    written = json.loads(json.dumps(config_to_transformers(preset(name), "float32")))
    assert config_from_transformers(written) == preset(name)
    assert default_dtype(written) == "float32"


def test_layer_types_of_any_order_are_carried():
    kinds = "LGGLLLGLLG"
    config = dataclasses.replace(preset("gemma-2-2b"), layers=10, pattern=kinds)
    assert config_from_transformers(config_to_transformers(config)).kinds == kinds
    recurrent = dataclasses.replace(preset("recurrent-gemma-2b"), layers=5, pattern="LRRLR")
    assert config_from_transformers(config_to_transformers(recurrent)).kinds == "LRRLR"


def test_one_rope_for_all_layers_may_be_scaled_where_all_are_global():
    scaled = VAULT_1B | {"rope_parameters": {"type": "linear", "factor": 4.0, "rope_theta": 5e4}}
    config = config_from_transformers(scaled)
    assert (config.rope_scale, config.rope_global) == (4.0, 5e4)
    assert config_from_transformers(config_to_transformers(config)) == config


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_default_dtype(key):
    assert default_dtype({key: "torch.float16"}) == "float16"
    assert default_dtype({"model_type": "gemma3", "text_config": {key: "bfloat16"}}) == "bfloat16"
    assert default_dtype({}) is None
    with pytest.raises(ConfigError, match=f"config.json: {key}: is 'int8'"):
        default_dtype({key: "int8"})


BAD = [
    ({"model_type": "llama"}, "model_type: is 'llama'; known: gemma, "),
    ({"model_type": None}, "model_type: is None"),
    ({"model_type": 7}, "model_type: must be text"),
    ({"hidden_size": "24"}, "hidden_size: must be a whole number from 1 to 1048576, not '24'"),
    ({"hidden_size": True}, "hidden_size: must be a whole number"),
    ({"hidden_size": 24.0}, "hidden_size: must be a whole number"),
    ({"vocab_size": 2**40}, "vocab_size: must be a whole number"),
    ({"num_hidden_layers": 10**30}, "num_hidden_layers: must be"),
    ({"num_hidden_layers": 0}, "num_hidden_layers: must be"),
    ({"num_attention_heads": -8}, "num_attention_heads: must be"),
    ({"num_key_value_heads": 3}, "num_key_value_heads: is 3, which does not divide num_attention_heads, 4"),
    ({"head_dim": 7}, "head_dim: is 7, of which rope turns 7 entries; that must be even"),
    ({"hidden_activation": "relu"}, "hidden_activation: is 'relu'; only gelu_pytorch_tanh"),
    ({"hidden_activation": "gelu"}, "hidden_activation: is 'gelu'; only gelu_pytorch_tanh"),
    ({"rms_norm_eps": -1e-6}, "rms_norm_eps: must be a number"),
    ({"rms_norm_eps": math.nan}, "rms_norm_eps: must be a number"),
    ({"rms_norm_eps": math.inf}, "rms_norm_eps: must be a number"),
    ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar: must be a number"),
    ({"final_logit_softcapping": "30"}, "final_logit_softcapping: must be a number"),
    ({"layer_types": ["full_attention", "chunked_attention"]}, "layer_types: unknown layer type 'chunked_attention'"),
    ({"layer_types": ["full_attention", ["x"]]}, "layer_types: unknown layer type a list of 1"),
    ({"layer_types": ["full_attention"]}, "layer_types: names 1 layers, num_hidden_layers is 2"),
    ({"layer_types": []}, "layer_types: must be a list"),
    ({"layer_types": "full_attention"}, "layer_types: must be a list"),
    ({"sliding_window": None}, "sliding_window: is null"),
    ({"sliding_window": -1}, "sliding_window: must be"),
    ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.rope_type: is 'yarn'; known: default, linear"),
    ({"rope_parameters": {"rope_theta": 0}}, "rope_parameters.rope_theta: must be a number"),
    ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rope_parameters.rope_type: linear scaling"),
    ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "rope_parameters.partial_rotary_factor: is 0.5"),
    ({"rope_scaling": [1]}, "rope_scaling: must be an object, not a list of 1"),
    ({"attention_bias": True}, "attention_bias: is True; only false is supported"),
    ({"tie_word_embeddings": False}, "tie_word_embeddings: is False; only true is supported"),
    ({"use_bidirectional_attention": True}, "use_bidirectional_attention: is True; only false"),
    ({"use_bidirectional_attention": "all"}, "use_bidirectional_attention: is 'all'; only false"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[f"{i}-{next(iter(c))}" for i, (c, _) in enumerate(BAD)])
def test_bad_configs_are_one_error_with_file_and_key(change, message):
    with pytest.raises(ConfigError) as caught:
        config_from_transformers(RECORDED["gemma2"] | change, "some/config.json")
    assert str(caught.value).startswith("some/config.json: " + message)


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("gemma3_text", {"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters.'rope_theta': only"),
        ("gemma3_text", {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2}}},
         "rope_parameters.sliding_attention.factor: only global"),
        ("gemma3_text", {"rope_scaling": {"rope_type": "linear"}}, "rope_scaling.factor: must be"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping: must be null"),
        ("recurrent_gemma", {"lru_width": 18}, "lru_width: is 18, which does not divide into 4 blocks"),
        ("recurrent_gemma", {"block_types": ["mlp"]}, "block_types: unknown layer type 'mlp'"),
        ("recurrent_gemma", {"intermediate_size": 1}, "intermediate_size: must be at least 2"),
        ("recurrent_gemma", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.rope_type: linear"),
        ("recurrent_gemma", {"embeddings_scale_by_sqrt_dim": False}, "embeddings_scale_by_sqrt_dim: is False"),
    ],
)  # fmt: skip
def test_bad_configs_of_other_families(family, change, message):
    with pytest.raises(ConfigError) as caught:
        config_from_transformers(RECORDED[family] | change)
    assert str(caught.value).startswith("config.json: " + message)


def test_the_vision_wrapper():
    with pytest.raises(ConfigError, match=r"text_config.hidden_size: must be"):
        config_from_transformers({"model_type": "gemma3", "text_config": {"hidden_size": -1}})
    with pytest.raises(ConfigError, match=r"text_config: must be an object"):
        config_from_transformers({"model_type": "gemma3", "text_config": "gemma3_text"})
    with pytest.raises(ConfigError, match=r"text_config.model_type: is 'llama'"):
        config_from_transformers({"model_type": "gemma3", "text_config": {"model_type": "llama"}})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gemma-2b", {"attention_cap": 50.0}, "attention_cap = 50.0: a gemma config.json cannot say that"),
        ("gemma-2b", {"query_scale": 0.1}, "query_scale = 0.1"),
        ("gemma-2-2b", {"query_scale": 0.3}, "query_scale = 0.3"),
        ("gemma-2-2b", {"pattern": "LR", "lru_width": 8, "lru_blocks": 1}, "pattern = LR"),
        ("gemma-2-2b", {"rope_global": 1e6}, "rope_global = 1000000.0"),
        ("gemma-2-2b", {"rope_scale": 2.0}, "linear scaling"),
        ("gemma-3-1b", {"attention_cap": 50.0}, "attn_logit_softcapping: must be null"),
        ("vaultgemma-1b", {"post_norms": True}, "post_norms = True"),
        ("vaultgemma-1b", {"heads": 5, "kv_heads": 1}, "transformers refuses that"),
        ("recurrent-gemma-2b", {"lru_blocks": 16}, "lru_blocks = 16"),
        ("recurrent-gemma-2b", {"embedding_scale": 1.0}, "embedding_scale = 1.0"),
        ("gemma-2b", {"family": "mystery"}, "family 'mystery' has no config.json"),
    ],
)
def test_what_a_family_cannot_say_is_not_written(name, change, message):
    with pytest.raises(ConfigError, match=message):
        config_to_transformers(dataclasses.replace(preset(name), **change))


# Fuzzing: any object is a configuration or our error.
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["linear", "default", "full_attention", "sliding_attention", "recurrent", "gelu", *RECORDED]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["rope_type", "factor", "rope_theta", "full_attention", "model_type"]), inner),
    max_leaves=8,
)  # fmt: skip
KEYS = sorted(set().union(*RECORDED.values(), *OLD.values(), ["dtype", "lru_blocks", "sliding_window_pattern"]))
changes = st.dictionaries(st.sampled_from(KEYS), values, max_size=5)
bases = st.sampled_from([*RECORDED.values(), *OLD.values(), {"model_type": "griffin"}, {"model_type": "hawk"}, {}])


@settings(max_examples=500, deadline=2000)
@given(base=bases, change=changes, removed=st.sets(st.sampled_from(KEYS), max_size=4))
def test_any_object_is_a_configuration_or_our_error(base, change, removed):
    data = {key: value for key, value in (base | change).items() if key not in removed}
    try:
        default_dtype(data)
        config = config_from_transformers(data)
    except ConfigError as error:
        assert str(error).startswith("config.json: ") and len(str(error)) < 400
        str(error).encode()
        return
    assert isinstance(config, DecoderConfig) and len(config.kinds) == config.layers <= 1024
    try:
        written = config_to_transformers(config)
    except ConfigError:  # only where transformers itself is narrower
        assert config.width % config.heads or not (config.query_scale**-2).is_integer()
    else:
        assert config_from_transformers(written).kinds == config.kinds
