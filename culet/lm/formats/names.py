"""Which tensor of a transformers checkpoint is which leaf of a `Decoder`.

A leaf is named by its path in the tree, `blocks.3.mixer.query.weight`. Both sides store linear weights `[out, in]`, so
nothing is transposed; only the convolution has one axis more on their side (`[C, 1, W]` for our `[C, W]`).
"""

import re
from collections.abc import Collection, Mapping

import numpy as np

from culet.lm.formats.json_file import TensorError, brief
from culet.lm.formats.safetensors import Entry, TensorFolder

Shape = tuple[int, ...]

MOST_PADDED_ROWS = 1024  # vocabularies are padded to multiples of at most this

# Two kinds of names: those of Gemma 1 to 3 and VaultGemma, and those of RecurrentGemma (Griffin, Hawk).
_GEMMA = {
    "embedding": "embed_tokens.weight",
    "final_norm.scale": "norm.weight",
    "mixer_norm.scale": "input_layernorm.weight",
    "mlp_norm.scale": "pre_feedforward_layernorm.weight",
    "mixer_post_norm.scale": "post_attention_layernorm.weight",
    "mlp_post_norm.scale": "post_feedforward_layernorm.weight",
    "mixer.query.weight": "self_attn.q_proj.weight",
    "mixer.key.weight": "self_attn.k_proj.weight",
    "mixer.value.weight": "self_attn.v_proj.weight",
    "mixer.output.weight": "self_attn.o_proj.weight",
    "mixer.query_norm.scale": "self_attn.q_norm.weight",
    "mixer.key_norm.scale": "self_attn.k_norm.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
}
# Gemma 1 has no norm after the attention: what is called so there is the norm before the MLP.
_GEMMA_1 = _GEMMA | {"mlp_norm.scale": "post_attention_layernorm.weight"}
_RECURRENT = {
    "embedding": "embed_tokens.weight",
    "final_norm.scale": "final_norm.weight",
    "mixer_norm.scale": "temporal_pre_norm.weight",
    "mlp_norm.scale": "channel_pre_norm.weight",
    "mixer.query.weight": "temporal_block.q_proj.weight",
    "mixer.key.weight": "temporal_block.k_proj.weight",
    "mixer.value.weight": "temporal_block.v_proj.weight",
    "mixer.output.weight": "temporal_block.o_proj.weight",
    "mixer.output.bias": "temporal_block.o_proj.bias",
    "mixer.linear_x.weight": "temporal_block.linear_x.weight",
    "mixer.linear_x.bias": "temporal_block.linear_x.bias",
    "mixer.linear_y.weight": "temporal_block.linear_y.weight",
    "mixer.linear_y.bias": "temporal_block.linear_y.bias",
    "mixer.linear_out.weight": "temporal_block.linear_out.weight",
    "mixer.linear_out.bias": "temporal_block.linear_out.bias",
    "mixer.conv_weight": "temporal_block.conv_1d.weight",
    "mixer.conv_bias": "temporal_block.conv_1d.bias",
    "mixer.lru.a": "temporal_block.rg_lru.recurrent_param",
    "mixer.lru.input_gate_weight": "temporal_block.rg_lru.input_gate_weight",
    "mixer.lru.input_gate_bias": "temporal_block.rg_lru.input_gate_bias",
    "mixer.lru.a_gate_weight": "temporal_block.rg_lru.recurrent_gate_weight",
    "mixer.lru.a_gate_bias": "temporal_block.rg_lru.recurrent_gate_bias",
    "mlp.gate.weight": "mlp_block.gate_proj.weight",
    "mlp.gate.bias": "mlp_block.gate_proj.bias",
    "mlp.up.weight": "mlp_block.up_proj.weight",
    "mlp.up.bias": "mlp_block.up_proj.bias",
    "mlp.down.weight": "mlp_block.down_proj.weight",
    "mlp.down.bias": "mlp_block.down_proj.bias",
}
_TABLES = {
    "gemma": _GEMMA_1,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "vaultgemma": _GEMMA,
    "recurrent_gemma": _RECURRENT,
    "griffin": _RECURRENT,
    "hawk": _RECURRENT,
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")

# Where the text model stands: alone, alone without its head, or in one of the layouts of Gemma 3 with vision.
_PREFIXES = ("model.", "", "model.language_model.", "language_model.model.", "language_model.")
_HEADS = ("lm_head.weight", "language_model.lm_head.weight")
_VISION = ("model.vision_tower.", "vision_tower.", "model.multi_modal_projector.", "multi_modal_projector.")


def transformers_name(family: str, path: str) -> str:
    """The name, below the prefix `model.`, of the leaf at `path`. Raises `KeyError` for a leaf the family lacks."""
    block = _BLOCK.fullmatch(path)
    if block is None:
        return _TABLES[family][path]
    return f"layers.{block[1]}.{_TABLES[family][block[2]]}"


def transformers_shape(path: str, shape: Shape) -> Shape:
    """The shape that transformers gives to the leaf at `path`, which has `shape` here."""
    return (shape[0], 1, *shape[1:]) if path.endswith(".conv_weight") else shape


def match_tensors(
    family: str, shapes: Mapping[str, Shape], tensors: TensorFolder, beside: Collection[str] = ()
) -> dict[str, str]:
    """Finds the tensor for each leaf: from `{path: shape}` to `{path: name}`.

    A tied output head is accepted when it equals the embedding, vision towers are passed over, and an embedding may
    have up to `MOST_PADDED_ROWS` rows more than the vocabulary: those are padding, which `read_leaf` drops.
    Tensors named in `beside` are passed over too.
    Raises `TensorError`, naming file and tensor, for any tensor that is missing, left over, misshapen or no float.
    """
    entries = tensors.entries
    prefix = next((p for p in _PREFIXES if f"{p}embed_tokens.weight" in entries), None)
    if prefix is None:
        raise TensorError(f"{tensors.folder}: no tensor 'model.embed_tokens.weight'; not a {family} checkpoint")
    names = {path: prefix + transformers_name(family, path) for path in shapes}
    for path, shape in shapes.items():
        _check(names[path], entries.get(names[path]), path, shape, tensors)
    left = entries.keys() - set(names.values()) - set(beside)
    if "language_model." in prefix:
        left = {name for name in left if not name.startswith(_VISION)}
    for head in sorted(left.intersection(_HEADS)):
        _check(head, entries[head], "embedding", shapes["embedding"], tensors)
        _check_tied(tensors, head, names["embedding"], shapes["embedding"][0])
    extra = sorted(left.difference(_HEADS))
    if extra:
        raise TensorError(
            f"{entries[extra[0]].file}: tensor {brief(extra[0])} has no place in this {family} model"
            + (f", nor have {len(extra) - 1} others" if len(extra) > 1 else "")
            + "; does config.json belong to these weights?"
        )
    return names


def _check(name: str, entry: Entry | None, path: str, shape: Shape, tensors: TensorFolder) -> None:
    if entry is None:
        raise TensorError(f"{tensors.folder}: tensor {name!r} is missing; config.json asks for it")
    if entry.dtype.name not in ("bfloat16", "float16", "float32"):
        raise TensorError(f"{entry.file}: tensor {name!r} is {entry.dtype}, not bfloat16, float16 or float32")
    expected = transformers_shape(path, shape)
    actual = entry.shape
    if path == "embedding" and len(actual) == 2 and expected[0] < actual[0] <= expected[0] + MOST_PADDED_ROWS:
        actual = (expected[0], *actual[1:])
    if actual != expected:
        raise TensorError(f"{entry.file}: tensor {name!r} has shape {entry.shape}; config.json asks for {expected}")


def _check_tied(tensors: TensorFolder, head: str, embedding: str, vocabulary: int) -> None:
    file = tensors.entries[head].file
    for start in range(0, vocabulary, 8192):
        rows = slice(start, min(start + 8192, vocabulary))
        one, other = tensors.read(head, rows), tensors.read(embedding, rows)
        if one.dtype != other.dtype or one.tobytes() != other.tobytes():
            raise TensorError(
                f"{file}: tensor {head!r} differs from {embedding!r} in rows {rows.start} to {rows.stop - 1}; "
                "the output head must be the embedding itself"
            )


def read_leaf(tensors: TensorFolder, name: str, shape: Shape) -> np.ndarray:
    """The tensor `name` in the leaf's `shape`: padding rows dropped, the convolution's axis of one taken out."""
    return tensors.read(name, slice(0, shape[0])).reshape(shape)
