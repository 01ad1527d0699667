"""The decoder's configuration to and from the `config.json` that transformers writes, old and new.

Keys that a file leaves out have the defaults of transformers' own classes. What the decoder does not do is refused
here, by name, rather than ignored.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import ml_dtypes

from culet.lm.decoder import DecoderConfig
from culet.lm.formats.json_file import ConfigError, brief

_DTYPES = ("bfloat16", "float16", "float32")
_LOCAL, _GLOBAL = "sliding_attention", "full_attention"
_LETTERS = {_LOCAL: "L", _GLOBAL: "G", "attention": "G"}
_BLOCK_LETTERS = {"recurrent": "R", "attention": "L"}
_CLASSES = {
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "vaultgemma": "VaultGemmaForCausalLM",
    "recurrent_gemma": "RecurrentGemmaForCausalLM",
    "griffin": "Griffin",  # these two are known to Culet alone
    "hawk": "Hawk",
}
_RECURRENT = ("recurrent_gemma", "griffin", "hawk")

# What transformers' classes take for keys that a file leaves out.
_GEMMA_2_SIZES = {
    "vocab_size": 256_000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 8192,
}  # fmt: skip
_SIZES = {
    "gemma": {
        "vocab_size": 256_000, "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 8192,
    },
    "gemma2": _GEMMA_2_SIZES,
    "gemma3_text": _GEMMA_2_SIZES | {"vocab_size": 262_208, "max_position_embeddings": 131_072},
    "vaultgemma": _GEMMA_2_SIZES,
    "recurrent_gemma": {
        "vocab_size": 256_000, "hidden_size": 2560, "intermediate_size": 7680, "num_hidden_layers": 26,
        "num_attention_heads": 10,
        "max_position_embeddings": 8192,  # the class has no such key; RecurrentGemma was trained on 8192 tokens
    },
}  # fmt: skip
_SIZES |= {"griffin": _SIZES["recurrent_gemma"], "hawk": _SIZES["recurrent_gemma"]}
_MOST = {
    "vocab_size": 2**24, "hidden_size": 2**20, "intermediate_size": 2**22, "num_hidden_layers": 1024,
    "num_attention_heads": 4096, "num_key_value_heads": 4096, "max_position_embeddings": 2**31,
}  # fmt: skip
_CAPS = {"gemma2": (50.0, 30.0), "vaultgemma": (50.0, 30.0), "gemma3_text": (None, None)}


class Section:
    """One JSON object. A key that is absent or null has the default given to the method that reads it."""

    def __init__(self, data: Mapping[str, Any], source: str, path: str = ""):
        self.data = data
        self.source = source
        self.path = path

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raises `ConfigError` with file and key before the problem."""
        raise ConfigError(f"{self.source}: {self.path}{key}: {problem}")

    def inner(self, key: str, default: dict[str, Any]) -> "Section":
        """The object under `key` as a section of its own."""
        value = self._get(key, default)
        if not isinstance(value, dict):
            self.fail(key, f"must be an object, not {brief(value)}")
        return Section(value, self.source, f"{self.path}{key}.")

    def text(self, key: str, default: str | None) -> str | None:
        """A string."""
        value = self._get(key, default)
        if value is not None and not isinstance(value, str):
            self.fail(key, f"must be text, not {brief(value)}")
        return value

    def integer(self, key: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self._get(key, default)
        if type(value) is not int or not 1 <= value <= most:
            self.fail(key, f"must be a whole number from 1 to {most}, not {brief(value)}")
        return value

    def number(self, key: str, default: float) -> float:
        """A positive number, at most 1e12."""
        value = self._get(key, default)
        if type(value) not in (int, float) or not 1e-12 <= value <= 1e12:
            self.fail(key, f"must be a number from 1e-12 to 1e12, not {brief(value)}")
        return float(value)

    def optional_number(self, key: str, default: float | None) -> float | None:
        """A positive number, or None where the file says null."""
        return None if self.data.get(key, default) is None else self.number(key, default or 0.0)

    def flag(self, key: str, allowed: bool) -> None:
        """Raises unless the boolean under `key` is absent or `allowed`."""
        if self._get(key, allowed) is not allowed:
            self.fail(key, f"is {brief(self.data[key])}; only {str(allowed).lower()} is supported")

    def kinds(self, key: str, default: list[str], letters: Mapping[str, str]) -> str:
        """A list of names, one letter for each."""
        names = self._get(key, default)
        if not isinstance(names, list) or not names or len(names) > 1024:
            self.fail(key, f"must be a list of 1 to 1024 layer types, not {brief(names)}")
        for name in names:
            if not isinstance(name, str) or name not in letters:
                self.fail(key, f"unknown layer type {brief(name)}; known: {', '.join(letters)}")
        return "".join(letters[name] for name in names)

    def _get(self, key: str, default: Any) -> Any:
        value = self.data.get(key)
        return default if value is None else value


def config_from_transformers(data: Mapping[str, Any], source: str = "config.json") -> DecoderConfig:
    """The configuration in the object of a `config.json`; of Gemma 3 with vision, that of its text half.

    `source` names the file in errors. Raises `ConfigError`, naming file and key, for another family, wrong types,
    sizes out of bounds or that do not divide, and features that the decoder does not have.
    """
    section = Section(data, source)
    family = section.text("model_type", None)
    if family == "gemma3":
        section.flag("tie_word_embeddings", allowed=True)
        section = section.inner("text_config", {})
        family = section.text("model_type", "gemma3_text")
    if family not in _CLASSES:
        section.fail("model_type", f"is {brief(family)}; known: {', '.join(_CLASSES)}, and gemma3 for its text half")
    section.flag("tie_word_embeddings", allowed=True)
    section.flag("attention_bias", allowed=False)
    section.flag("use_bidirectional_attention", allowed=False)
    _check_activation(section, family)
    sizes = {key: section.integer(key, default, _MOST[key]) for key, default in _SIZES[family].items()}
    return (_read_recurrent if family in _RECURRENT else _read_gemma)(section, family, sizes)


def default_dtype(data: Mapping[str, Any], source: str = "config.json") -> str | None:
    """The dtype that a `config.json` names for its weights: "bfloat16", "float16", "float32", or None if it names none.

    Raises `ConfigError` for any other.
    """
    sections = [Section(data, source)]
    if data.get("model_type") == "gemma3":
        sections.append(sections[0].inner("text_config", {}))
    for section in sections:
        for key in ("dtype", "torch_dtype"):
            name = section.text(key, None)
            if name is not None and name.removeprefix("torch.") not in _DTYPES:
                section.fail(key, f"is {brief(name)}; known: {', '.join(_DTYPES)}")
            if name is not None:
                return name.removeprefix("torch.")
    return None


def _check_activation(section: Section, family: str) -> None:
    key = "hidden_act" if family == "gemma" else "hidden_activation"
    name = section.text(key, "gelu_pytorch_tanh")
    # The first Gemma files say "gelu" and mean its tanh approximation; transformers reads them so too.
    if name != "gelu_pytorch_tanh" and (family, name) != ("gemma", "gelu"):
        section.fail(key, f"is {brief(name)}; only gelu_pytorch_tanh is supported")


def _read_gemma(section: Section, family: str, sizes: dict[str, int]) -> DecoderConfig:
    head_dim = section.integer("head_dim", 256, 2**16)
    kinds = "G" * sizes["num_hidden_layers"] if family == "gemma" else _layer_kinds(section, family, sizes)
    scalar, attention_cap, logit_cap = float(head_dim), None, None
    if family != "gemma":
        scalar = section.number("query_pre_attn_scalar", 256.0)
        attention_default, logit_default = _CAPS[family]
        attention_cap = section.optional_number("attn_logit_softcapping", attention_default)
        logit_cap = section.optional_number("final_logit_softcapping", logit_default)
    if family == "gemma3_text" and attention_cap is not None:
        section.fail("attn_logit_softcapping", "must be null: Gemma 3 has none, and transformers ignores it")
    window = None
    if "L" in kinds:
        if section.data.get("sliding_window", 4096) is None:
            section.fail("sliding_window", "is null, though there are sliding_attention layers")
        window = section.integer("sliding_window", 4096, 2**31)
    rope = _read_rope(section, family, "L" in kinds)
    return _config(
        section, family, sizes, kinds,
        kv_heads=sizes["num_key_value_heads"], head_dim=head_dim, hidden=sizes["intermediate_size"], window=window,
        attention_cap=attention_cap, logit_cap=logit_cap, query_scale=scalar**-0.5, qk_norm=family == "gemma3_text",
        post_norms=family in ("gemma2", "gemma3_text"), biases=False, embedding_scale=math.sqrt(sizes["hidden_size"]),
        **rope,
    )  # fmt: skip


def _read_recurrent(section: Section, family: str, sizes: dict[str, int]) -> DecoderConfig:
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    section.flag("embeddings_scale_by_sqrt_dim", allowed=True)
    key = "_block_types" if "_block_types" in section.data else "block_types"
    kinds = section.kinds(key, ["recurrent", "recurrent", "attention"], _BLOCK_LETTERS)
    kinds = (kinds * sizes["num_hidden_layers"])[: sizes["num_hidden_layers"]]
    if sizes["intermediate_size"] < 2:
        section.fail("intermediate_size", "must be at least 2: each of the MLP's branches has half of it")
    lru_width = section.integer("lru_width", width, 2**20)
    known_to_transformers = family == "recurrent_gemma"
    lru_blocks = heads if known_to_transformers else section.integer("lru_blocks", heads, 4096)
    if lru_width % lru_blocks:
        section.fail("lru_width", f"is {lru_width}, which does not divide into {lru_blocks} blocks")
    head_dim = section.integer("head_dim", max(width // heads, 1), 2**16)
    # transformers keeps this factor in bfloat16 whatever the dtype of the weights.
    scale = float(ml_dtypes.bfloat16(math.sqrt(width))) if known_to_transformers else 1.0
    cap = section.number("logits_soft_cap", 30.0) if known_to_transformers else None
    return _config(
        section, family, sizes, kinds,
        kv_heads=section.integer("num_key_value_heads", heads, 4096), head_dim=head_dim,
        hidden=sizes["intermediate_size"] // 2, window=section.integer("attention_window_size", 2048, 2**31),
        attention_cap=None, logit_cap=cap, query_scale=head_dim**-0.5, qk_norm=False, post_norms=False, biases=True,
        embedding_scale=scale, lru_width=lru_width, lru_blocks=lru_blocks,
        conv_width=section.integer("conv1d_width", 4, 64), **_read_rope(section, family, True),
    )  # fmt: skip


def _config(section: Section, family: str, sizes: dict[str, int], kinds: str, **rest: Any) -> DecoderConfig:
    heads, kv_heads = sizes["num_attention_heads"], rest["kv_heads"]
    if heads % kv_heads:
        section.fail("num_key_value_heads", f"is {kv_heads}, which does not divide num_attention_heads, {heads}")
    if (rotated := int(rest["head_dim"] * rest["rope_fraction"])) % 2:
        section.fail("head_dim", f"is {rest['head_dim']}, of which rope turns {rotated} entries; that must be even")
    return DecoderConfig(
        family=family, layers=sizes["num_hidden_layers"], width=sizes["hidden_size"], heads=heads,
        vocabulary=sizes["vocab_size"], pattern=kinds, epsilon=section.number("rms_norm_eps", 1e-6),
        context=sizes["max_position_embeddings"], **rest,
    )  # fmt: skip


def _layer_kinds(section: Section, family: str, sizes: dict[str, int]) -> str:
    layers = sizes["num_hidden_layers"]
    period = 2 if family != "gemma3_text" else section.integer("sliding_window_pattern", 6, 2**16)
    default = [_LOCAL if (i + 1) % period else _GLOBAL for i in range(layers)]
    kinds = section.kinds("layer_types", default, _LETTERS)
    if len(kinds) != layers:
        section.fail("layer_types", f"names {len(kinds)} layers, num_hidden_layers is {layers}")
    return kinds


def config_to_transformers(config: DecoderConfig, dtype: str | None = None) -> dict[str, Any]:
    """The object of a `config.json` that transformers reads as `config`, with weights of `dtype`.

    Griffin and Hawk are written in RecurrentGemma's keys under their own `model_type`, which Culet alone reads.
    Raises `ConfigError`, naming the field, if the family's `config.json` cannot say what `config` says.
    """
    if config.family not in _CLASSES:
        raise ConfigError(f"family {brief(config.family)} has no config.json; known: {', '.join(_CLASSES)}")
    data: dict[str, Any] = {
        "architectures": [_CLASSES[config.family]],
        "model_type": config.family,
        "dtype": dtype,
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "hidden_act" if config.family == "gemma" else "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": config.epsilon,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "rope_parameters": _write_rope(config),
    }
    if config.family in _RECURRENT:
        data |= _write_recurrent(config)
    elif config.family != "gemma":
        data |= _write_layers(config)
    _check_round_trip(config, data)
    return data


def _write_recurrent(config: DecoderConfig) -> dict[str, Any]:
    return {
        "intermediate_size": 2 * config.hidden,
        "block_types": ["recurrent" if kind == "R" else "attention" for kind in config.kinds],
        "attention_window_size": config.window or 2048,
        "lru_width": config.lru_width,
        "lru_blocks": config.lru_blocks,  # transformers takes num_attention_heads; the round trip sees to that
        "conv1d_width": config.conv_width,
        "logits_soft_cap": config.logit_cap,
    }


def _write_layers(config: DecoderConfig) -> dict[str, Any]:
    if config.width % config.heads:
        raise ConfigError(f"width {config.width} is not a multiple of heads, {config.heads}: transformers refuses that")
    scalar = round(config.query_scale**-2)  # transformers wants a whole number; the round trip shows if it is not one
    return {
        "layer_types": [_LOCAL if kind == "L" else _GLOBAL for kind in config.kinds],
        "sliding_window": config.window or 4096,  # transformers wants one even where no layer uses it
        "query_pre_attn_scalar": scalar,
        "attn_logit_softcapping": config.attention_cap,
        "final_logit_softcapping": config.logit_cap,
        "use_bidirectional_attention": False,
    }


_ONLY_FOR = {"window": "L", "rope_local": "L", "rope_global": "G", "rope_scale": "G"}
_ONLY_FOR |= {name: "R" for name in ("lru_width", "lru_blocks", "conv_width")}


def _check_round_trip(config: DecoderConfig, data: dict[str, Any]) -> None:
    """Raises unless `data` reads back as `config`, as far as a field matters to the layers that there are."""
    again = config_from_transformers(data)
    for field in dataclasses.fields(config):
        if _ONLY_FOR.get(field.name, config.kinds[0]) not in config.kinds:
            continue
        wanted, got = getattr(config, field.name), getattr(again, field.name)
        same = math.isclose(wanted, got, rel_tol=1e-6) if isinstance(wanted, float) and got else wanted == got
        if not same:
            raise ConfigError(
                f"{field.name} = {wanted}: a {config.family} config.json cannot say that and would be read as {got}"
            )


def _read_rope(section: Section, family: str, has_local: bool) -> dict[str, float]:
    """The fields `rope_local`, `rope_global`, `rope_scale` and `rope_fraction`, from any layout of the keys.

    Newer files nest everything in `rope_parameters`; older ones have `rope_theta`, `rope_local_base_freq`,
    `partial_rotary_factor` and `rope_scaling` at the top.
    """
    recurrent = family in _RECURRENT
    if family == "gemma3_text":
        fields = _read_two_ropes(section)
    else:
        key = "rope_scaling" if section.data.get("rope_scaling") else "rope_parameters"
        rope = section.inner(key, {})
        theta = _theta(rope, section, "rope_theta", 10_000.0)
        scale = _scale(rope)
        if scale != 1.0 and (has_local or recurrent):
            rope.fail("rope_type", "linear scaling is supported in models whose layers all attend globally")
        fields = {"rope_local": theta, "rope_global": theta, "rope_scale": scale, "rope_fraction": 1.0}
        section = rope if "partial_rotary_factor" in rope.data else section
    fraction = section.number("partial_rotary_factor", 0.5 if recurrent else 1.0)
    if fraction > 1.0 or (fraction != 1.0 and not recurrent):
        section.fail("partial_rotary_factor", f"is {fraction:g}; this family supports no such fraction")
    return fields | {"rope_fraction": fraction}


def _read_two_ropes(section: Section) -> dict[str, float]:
    both = section.inner("rope_parameters", {})
    for key in both.data:
        if key not in (_LOCAL, _GLOBAL):
            both.fail(brief(key), f"only {_LOCAL} and {_GLOBAL} may stand here in a Gemma 3 config")
    local, wide = both.inner(_LOCAL, {}), both.inner(_GLOBAL, {})
    if section.data.get("rope_scaling"):
        scaling = section.inner("rope_scaling", {})
        wide = Section(dict(wide.data) | dict(scaling.data), section.source, scaling.path)
    if _scale(local) != 1.0:
        local.fail("factor", "only global layers can have scaled positions")
    for rope in (local, wide):
        if rope.data.get("partial_rotary_factor", 1.0) != 1.0:
            rope.fail("partial_rotary_factor", "must be 1 in this family")
    return {
        "rope_local": _theta(local, section, "rope_local_base_freq", 10_000.0),
        "rope_global": _theta(wide, section, "rope_theta", 1_000_000.0),
        "rope_scale": _scale(wide),
    }


def _theta(rope: Section, section: Section, key: str, default: float) -> float:
    return rope.number("rope_theta", section.number(key, default))


def _scale(rope: Section) -> float:
    kind = rope.text("rope_type", rope.text("type", "default"))
    if kind not in ("default", "linear"):
        rope.fail("rope_type", f"is {brief(kind)}; known: default, linear")
    return rope.number("factor", 0.0) if kind == "linear" else 1.0


def _write_rope(config: DecoderConfig) -> dict[str, Any]:
    """What stands under `rope_parameters` for `config`."""
    scaling: dict[str, Any] = {"rope_type": "default"}
    if config.rope_scale != 1.0:
        scaling = {"rope_type": "linear", "factor": config.rope_scale}
    if config.family == "gemma3_text":
        local = {"rope_type": "default", "rope_theta": config.rope_local}
        return {_LOCAL: local, _GLOBAL: scaling | {"rope_theta": config.rope_global}}
    if config.rope_fraction != 1.0:
        scaling["partial_rotary_factor"] = config.rope_fraction
    return scaling | {"rope_theta": config.rope_local if "L" in config.kinds else config.rope_global}
