"""Rotary position embeddings in `config.json`: one set for all layers, or in Gemma 3 one for each kind of layer."""

from typing import Any

from culet.lm.config import DecoderConfig
from culet.lm.formats.json_file import brief
from culet.lm.formats.section import Section

_LOCAL, _GLOBAL = "sliding_attention", "full_attention"


def read_rope(section: Section, family: str, has_local: bool) -> dict[str, float]:
    """The fields `rope_local`, `rope_global`, `rope_scale` and `rope_fraction`, from any layout of the keys.

    Newer files nest everything in `rope_parameters`; older ones have `rope_theta`, `rope_local_base_freq`,
    `partial_rotary_factor` and `rope_scaling` at the top.
    """
    recurrent = family in ("recurrent_gemma", "griffin", "hawk")
    if family == "gemma3_text":
        fields = _read_two(section)
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


def _read_two(section: Section) -> dict[str, float]:
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


def write_rope(config: DecoderConfig) -> dict[str, Any]:
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
