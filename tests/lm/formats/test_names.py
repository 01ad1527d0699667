"""Names and shapes against those that transformers gave its own tiny models (`names.json`)."""

import json

import equinox as eqx
import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from culet.lm.formats.config_json import config_from_transformers
from culet.lm.formats.json_file import TensorError
from culet.lm.formats.names import match_tensors, read_leaf, transformers_name, transformers_shape
from culet.lm.formats.safetensors import TensorFolder
from tests.lm.record_names import MODELS, RECORD, build, record

RECORDED = json.loads(RECORD.read_text())


def shapes_of(family):
    config = config_from_transformers(RECORDED[family]["config"])
    skeleton = eqx.filter_eval_shape(config.init, jax.random.key(0))
    leaves = jax.tree_util.tree_flatten_with_path(skeleton)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}


def tensors_of(family):
    """Random tensors, each different, with the names and shapes of transformers."""
    draw = np.random.default_rng(0)
    return {name: draw.random(shape, np.float32) for name, shape in RECORDED[family]["shapes"].items()}


def folder_of(path, tensors):
    save_file(tensors, path / "model.safetensors")
    return TensorFolder(path)


@pytest.mark.parametrize("family", MODELS)
def test_names_and_shapes_are_those_of_transformers(family):
    ours = {
        f"model.{transformers_name(family, path)}": list(transformers_shape(path, shape))
        for path, shape in shapes_of(family).items()
    }
    assert ours == RECORDED[family]["shapes"]


@pytest.mark.parity
@pytest.mark.parametrize("family", MODELS)
def test_the_record_is_what_transformers_does(family):
    assert record(family)["shapes"] == RECORDED[family]["shapes"]
    from transformers import AutoConfig

    assert AutoConfig.for_model(**RECORDED[family]["config"]).to_dict() == build(family)[0].config.to_dict()


def test_the_norm_before_the_mlp():
    """What Gemma 1 calls post_attention_layernorm is the norm before the MLP; Gemma 2 has a norm of each kind."""
    assert transformers_name("gemma", "blocks.7.mlp_norm.scale") == "layers.7.post_attention_layernorm.weight"
    assert transformers_name("gemma2", "blocks.7.mlp_norm.scale") == "layers.7.pre_feedforward_layernorm.weight"
    assert transformers_name("gemma2", "blocks.7.mixer_post_norm.scale") == "layers.7.post_attention_layernorm.weight"


@pytest.mark.parametrize("prefix", ["", "model.language_model.", "language_model.model."])
def test_the_text_half_of_a_model_with_vision(tmp_path, prefix):
    tensors = {prefix + name.removeprefix("model."): x for name, x in tensors_of("gemma3_text").items()}
    if prefix:
        tensors["model.vision_tower.embeddings.patch_embedding.weight"] = np.zeros(3, np.int8)
        tensors["multi_modal_projector.mm_soft_emb_norm.weight"] = np.zeros(3, np.float32)
        tensors[prefix.removesuffix("model.").removesuffix("model.language_") + "lm_head.weight"] = tensors[
            prefix + "embed_tokens.weight"
        ]
    shapes = shapes_of("gemma3_text")
    names = match_tensors("gemma3_text", shapes, folder_of(tmp_path, tensors))
    assert names["final_norm.scale"] == prefix + "norm.weight"
    assert names.keys() == shapes.keys()


def test_vision_in_a_text_model_is_not_passed_over(tmp_path):
    tensors = tensors_of("gemma2") | {"vision_tower.x": np.zeros(3, np.float32)}
    with pytest.raises(TensorError, match=r"'vision_tower.x' has no place"):
        match_tensors("gemma2", shapes_of("gemma2"), folder_of(tmp_path, tensors))


def test_tied_heads(tmp_path):
    tensors, shapes = tensors_of("gemma2"), shapes_of("gemma2")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
    match_tensors("gemma2", shapes, folder_of(tmp_path, tensors))
    tensors["lm_head.weight"][-1, -1] += 1
    with pytest.raises(TensorError, match=r"'lm_head.weight' differs from 'model.embed_tokens.weight' in rows 0 to 39"):
        match_tensors("gemma2", shapes, folder_of(tmp_path, tensors))


@pytest.mark.parametrize(("more", "fits"), [(0, True), (24, True), (1024, True), (1025, False), (-1, False)])
def test_padded_vocabularies_are_cut_to_the_config(tmp_path, more, fits):
    tensors, shapes = tensors_of("gemma2"), shapes_of("gemma2")
    padded = np.random.default_rng(1).random((40 + more, 24), np.float32)
    tensors["model.embed_tokens.weight"] = padded
    folder = folder_of(tmp_path, tensors)
    if not fits:
        with pytest.raises(TensorError, match=r"'model.embed_tokens.weight' has shape"):
            match_tensors("gemma2", shapes, folder)
        return
    names = match_tensors("gemma2", shapes, folder)
    assert np.array_equal(read_leaf(folder, names["embedding"], shapes["embedding"]), padded[:40])


@pytest.mark.parametrize("family", MODELS)
def test_every_tensor_is_needed_and_every_shape_checked(tmp_path, family):
    tensors, shapes = tensors_of(family), shapes_of(family)
    for name in list(tensors)[::3]:
        with pytest.raises(TensorError, match=f"{name!r} is missing|no tensor {name!r}"):
            match_tensors(family, shapes, folder_of(tmp_path, {k: x for k, x in tensors.items() if k != name}))
        with pytest.raises(TensorError, match=f"model.safetensors: tensor {name!r} has shape"):
            match_tensors(family, shapes, folder_of(tmp_path, tensors | {name: tensors[name][..., :-1]}))


def test_extra_tensors_and_wrong_dtypes(tmp_path):
    tensors, shapes = tensors_of("gemma"), shapes_of("gemma")
    extra = tensors | {"model.layers.2.mlp.up_proj.weight": np.zeros((32, 24), np.float32)}
    with pytest.raises(TensorError, match=r"'model.layers.2.mlp.up_proj.weight' has no place in this gemma model"):
        match_tensors("gemma", shapes, folder_of(tmp_path, extra))
    for dtype in (np.int8, ml_dtypes.float8_e4m3fn, np.float64):
        with pytest.raises(TensorError, match=r"'model.norm.weight' is .*, not bfloat16"):
            wrong = tensors | {"model.norm.weight": tensors["model.norm.weight"].astype(dtype)}
            match_tensors("gemma", shapes, folder_of(tmp_path, wrong))
