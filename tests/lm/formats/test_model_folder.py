"""A model and its tokenizer in one folder."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from culet.lm import Tokenizer, load, save, scaled
from culet.lm.formats.checkpoint import ConfigError
from tests.weights import random_weights

WORDS = Tokenizer.load(Path(__file__).parents[2] / "goldens" / "tokenizer")
CONFIG = scaled("gemma-2-2b", layers=2, width=32, vocabulary=WORDS.vocabulary + 5, window=8)


@pytest.fixture(scope="module")
def model():
    return random_weights(CONFIG.init)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_loads_again(tmp_path, model):
    save(tmp_path / "m", model, WORDS)
    again, words = load(tmp_path / "m")
    assert again.config == CONFIG
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert words.encode("a cat") == WORDS.encode("a cat") and words.vocabulary == WORDS.vocabulary
    save(tmp_path / "n", again, words)
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
    save(tmp_path / "one", model, WORDS)
    save(tmp_path / "many", model, WORDS, dtype="bfloat16", max_shard_bytes=20_000)
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    weights = [sum(file.stat().st_size for file in (tmp_path / name).glob("*.safetensors")) for name in ("one", "many")]
    assert weights[1] < 0.6 * weights[0]
    half, _ = load(tmp_path / "many", dtype="float32")
    np.testing.assert_allclose(half.embedding, model.embedding, rtol=2**-8)
    save(tmp_path / "many", model, WORDS)  # over it: no shard is left
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_a_save_that_fails_changes_nothing(tmp_path, model):
    save(tmp_path, model, WORDS)
    before = content(tmp_path)
    odd = random_weights(dataclasses.replace(CONFIG, biases=True).init)
    with pytest.raises(ConfigError):
        save(tmp_path, odd, WORDS)
    with pytest.raises(ValueError, match="dtype 'int8' is not one of"):
        save(tmp_path, model, WORDS, dtype="int8")
    assert content(tmp_path) == before


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save(tmp_path, random_weights(scaled("gemma-2-2b", layers=1, width=16, vocabulary=8).init), WORDS)
    with pytest.raises(ValueError, match=rf"tokenizer has {WORDS.vocabulary} tokens but the model embeds 8"):
        load(tmp_path)
