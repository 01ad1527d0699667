"""Whole folders: ours and, under `make parity`, those of transformers; and how much memory loading takes."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from culet.lm import LoRA, Tokenizer, load, save, scaled
from culet.lm.formats.checkpoint import load_model, save_model, staged
from culet.lm.formats.config_json import config_from_transformers
from culet.lm.formats.json_file import ConfigError, TensorError, write_json
from culet.lm.formats.safetensors import TensorFolder, write_tensors
from culet.nn import merge_lora
from tests.lm.record_names import MODELS, RECORD
from tests.weights import random_weights

RECORDED = json.loads(RECORD.read_text())
TOKENIZER = Tokenizer.load(Path(__file__).parents[2] / "goldens" / "tokenizer")
CONFIG = scaled("gemma-2-2b", layers=2, width=32, vocabulary=TOKENIZER.vocabulary + 5, window=8)


def model_of(family, key):
    """A tiny model of the recorded shape in which no weight is zero or one."""
    model = config_from_transformers(RECORDED[family]["config"]).init(key)
    leaves, tree = jax.tree.flatten(model)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_saved_models_load_again(tmp_path, getkey, family, dtype):
    model = model_of(family, getkey())
    save_model(tmp_path, model, dtype=dtype, max_shard_bytes=8000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    wanted = jax.tree.map(lambda leaf: leaf.astype(dtype), model)
    assert_equal(load_model(tmp_path), wanted)
    assert_equal(load_model(tmp_path, dtype="float32"), jax.tree.map(lambda leaf: leaf.astype("float32"), wanted))


def test_griffin_and_hawk_have_folders_too(tmp_path, getkey):
    recurrent = config_from_transformers(RECORDED["recurrent_gemma"]["config"])
    for family, pattern in (("griffin", "RRL"), ("hawk", "R")):
        changes = {"pattern": pattern, "lru_blocks": 2, "embedding_scale": 1.0, "logit_cap": None}
        model = dataclasses.replace(recurrent, family=family, **changes).init(getkey())
        save_model(tmp_path / family, model)
        assert_equal(load_model(tmp_path / family), model)


def test_the_convolution_keeps_its_taps_in_order(tmp_path, getkey):
    model = model_of("recurrent_gemma", getkey())
    save_model(tmp_path, model)
    saved = load_file(tmp_path / "model.safetensors")["model.layers.0.temporal_block.conv_1d.weight"]
    assert saved.shape == (16, 1, 4)
    assert np.array_equal(saved[:, 0, :], np.asarray(model.blocks[0].mixer.conv_weight))  # type: ignore[attr-defined]


def test_without_a_dtype_in_the_config_tensors_keep_theirs(tmp_path, getkey):
    save_model(tmp_path, model_of("gemma", getkey()), dtype="bfloat16")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("dtype") == "bfloat16"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_model(tmp_path).embedding.dtype == ml_dtypes.bfloat16


def test_adapters_are_merged_on_the_way_out(tmp_path, getkey):
    adapted = LoRA(rank=2).adapt(model_of("gemma", getkey()), getkey())
    adapted = jax.tree.map(lambda leaf: leaf + 0.1, adapted)  # they begin at zero
    save_model(tmp_path, adapted)
    assert_equal(load_model(tmp_path), merge_lora(adapted))


def test_shardings(tmp_path, getkey):
    model = model_of("gemma2", getkey())
    save_model(tmp_path, model)
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    assert_equal(load_model(tmp_path, shardings=whole), model)
    tree = jax.tree.map(lambda leaf: rows if leaf.shape[0] % 8 == 0 else whole, model)
    loaded = load_model(tmp_path, shardings=tree)
    assert_equal(loaded, model)
    assert loaded.embedding.sharding == rows and loaded.embedding.addressable_shards[0].data.shape == (5, 24)
    save_model(tmp_path / "again", loaded)
    assert_equal(load_model(tmp_path / "again"), model)


def test_folders_that_do_not_work(tmp_path, getkey):
    with pytest.raises(ConfigError, match=r"config.json: no such file"):
        load_model(tmp_path / "nothing")
    save_model(tmp_path, model_of("gemma", getkey()))
    with pytest.raises(ValueError, match="dtype 'int8' is not one of"):
        load_model(tmp_path, dtype="int8")
    weights = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layers.1.mlp" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(TensorError, match=r"'model.layers.1.mlp.gate_proj.weight' is missing"):
        load_model(tmp_path)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(TensorError, match="truncated"):
        load_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(ConfigError, match=r"config.json: model_type: is 'llama'"):
        load_model(tmp_path)


def test_a_model_that_cannot_be_expressed_leaves_nothing(tmp_path, getkey):
    model = dataclasses.replace(config_from_transformers(RECORDED["gemma"]["config"]), qk_norm=True).init(getkey())
    with pytest.raises(ValueError):
        save_model(tmp_path / "model", model)
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def model():
    return random_weights(CONFIG.init)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_loads_again(tmp_path, model):
    save(tmp_path / "m", model, TOKENIZER)
    again, tokenizer = load(tmp_path / "m")
    assert again.config == CONFIG
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert tokenizer.encode("a cat") == TOKENIZER.encode("a cat") and tokenizer.vocabulary == TOKENIZER.vocabulary
    save(tmp_path / "n", again, tokenizer)
    assert content(tmp_path / "n") == content(tmp_path / "m")


def test_the_ids_in_the_configs_are_the_tokenizers(tmp_path, model):
    swapped = Tokenizer.load(Path(__file__).parents[2] / "goldens" / "tokenizer")
    swapped.bos_id, swapped.eos_id, swapped.pad_id, swapped.stop_ids = 7, 8, 9, (8, 10)
    save(tmp_path, model, swapped)
    generation, config = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("generation_config", "config")
    )
    assert generation == {"bos_token_id": 7, "eos_token_id": [8, 10], "pad_token_id": 9}
    assert [config[f"{role}_token_id"] for role in ("bos", "eos", "pad")] == [7, 8, 9]


def test_dtype_and_shards(tmp_path, model):
    save(tmp_path / "one", model, TOKENIZER)
    save(tmp_path / "many", model, TOKENIZER, dtype="bfloat16", max_shard_bytes=20_000)
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    weights = [sum(file.stat().st_size for file in (tmp_path / name).glob("*.safetensors")) for name in ("one", "many")]
    assert weights[1] < 0.6 * weights[0]
    half, _ = load(tmp_path / "many", dtype="float32")
    np.testing.assert_allclose(half.embedding, model.embedding, rtol=2**-8)
    save(tmp_path / "many", model, TOKENIZER)  # over it: no shard is left
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_a_save_that_fails_changes_nothing(tmp_path, model):
    save(tmp_path, model, TOKENIZER)
    before = content(tmp_path)
    odd = random_weights(dataclasses.replace(CONFIG, biases=True).init)
    with pytest.raises(ConfigError):
        save(tmp_path, odd, TOKENIZER)
    with pytest.raises(ValueError, match="dtype 'int8' is not one of"):
        save(tmp_path, model, TOKENIZER, dtype="int8")
    assert content(tmp_path) == before


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save(tmp_path, random_weights(scaled("gemma-2-2b", layers=1, width=16, vocabulary=8).init), TOKENIZER)
    with pytest.raises(ValueError, match=rf"tokenizer has {TOKENIZER.vocabulary} tokens but the model embeds 8"):
        load(tmp_path)


def write_folder(folder, value, fail=False, **options):
    with staged(folder) as stage:
        write_tensors(stage, {"a": np.full(8, value, np.float32), "b": np.ones(8, np.float32)}, **options)
        if fail:
            raise OSError("disk full")
        write_json(stage / "config.json", {"value": value})


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_save_changes_nothing(tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(OSError):
        write_folder(folder, 1.0, fail=True)
    assert listing(folder) == []
    write_folder(folder, 1.0)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OSError):
        write_folder(folder, 2.0, fail=True, max_shard_bytes=32)
    assert listing(folder) == ["config.json", "model.safetensors", "notes.txt"]
    assert TensorFolder(folder).read("a")[0] == 1.0


def test_a_new_save_replaces_all_weights_of_the_old(tmp_path):
    write_folder(tmp_path, 1.0, max_shard_bytes=32)
    assert len(list(tmp_path.glob("model-*"))) == 2
    (tmp_path / "adapter.safetensors").write_bytes(b"mine")
    write_folder(tmp_path, 2.0)
    assert listing(tmp_path) == ["adapter.safetensors", "config.json", "model.safetensors"]
    assert TensorFolder(tmp_path).read("a")[0] == 2.0


def test_a_folder_between_two_saves_has_no_config(tmp_path, monkeypatch):
    """Killed at any rename, the folder is either whole or without config.json, which every reader asks for first."""
    plain_replace = Path.replace
    for after in range(4):
        folder = tmp_path / str(after)
        write_folder(folder, 1.0)
        left = [after]

        def replace(self, target, left=left):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return plain_replace(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        try:
            write_folder(folder, 2.0, max_shard_bytes=32)
        except KeyboardInterrupt:
            assert not (folder / "config.json").exists()
        else:
            pytest.fail("four renames were expected")
        monkeypatch.setattr(Path, "replace", plain_replace)
        write_folder(folder, 3.0)  # and a later save cleans up
        assert listing(folder) == ["config.json", "model.safetensors"]


def test_leftovers_of_a_killed_save_go(tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model.safetensors").write_bytes(b"half")
    write_folder(tmp_path, 1.0)
    assert listing(tmp_path) == ["config.json", "model.safetensors"]


PEAK = """
import resource, sys
from culet.lm.formats.checkpoint import load_model
from culet.lm import preset
import jax
jax.block_until_ready(jax.numpy.zeros(3).astype("bfloat16"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = load_model(sys.argv[1])
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def test_loading_takes_little_more_memory_than_the_checkpoint(tmp_path):
    """A checkpoint of 300 MB, half of it embeddings, as in the smallest models: the worst case for copies in flight."""
    base = config_from_transformers(RECORDED["gemma2"]["config"])
    config = dataclasses.replace(
        base, width=512, embedding_scale=512**0.5, vocabulary=150_000, hidden=8192, layers=6, heads=8, kv_heads=4,
        head_dim=64, pattern="LG",
    )  # fmt: skip
    shapes = jax.eval_shape(config.init, jax.random.key(0))
    model = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, "bfloat16"), shapes)
    save_model(tmp_path, model, max_shard_bytes=10**8)
    size = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert size > 2.5e8
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.3 * size, f"{float(done.stdout) / size:.2f} times the checkpoint"


@pytest.mark.parity
@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_directions_with_transformers(tmp_path, getkey, family, dtype):
    """Our folder in theirs, to the same logits, and theirs in ours, to the last bit of every weight."""
    import torch
    from transformers import AutoModelForCausalLM

    model = jax.tree.map(lambda leaf: leaf.astype(dtype), model_of(family, getkey()))
    save_model(tmp_path / "ours", model, max_shard_bytes=10_000)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", output_loading_info=True, attn_implementation="eager"
    )
    theirs, report = loaded
    assert not any(report.values()), report
    assert theirs.dtype == getattr(torch, dtype)
    if dtype == "float32":  # two weights of one shape that changed places would show here and nowhere else
        tokens = np.arange(12) * 7 % 40
        with torch.no_grad():
            wanted = theirs(torch.tensor(tokens[None]), use_cache=False).logits[0].numpy()
        assert np.abs(np.asarray(model(jnp.asarray(tokens))) - wanted).max() < 1e-4 * wanted.std()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="10KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    assert_equal(load_model(tmp_path / "theirs"), model)


@pytest.mark.parity
def test_the_text_half_of_their_gemma_3_with_vision(tmp_path):
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = RECORDED["gemma3_text"]["config"]
    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 16,
    }
    torch.manual_seed(0)
    both = Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision))
    both.save_pretrained(tmp_path / "both")
    ours = load_model(tmp_path / "both")
    wanted = both.model.language_model.layers[1].mlp.up_proj.weight.detach().numpy()
    assert np.array_equal(np.asarray(ours.blocks[1].mlp.up.weight), wanted)
