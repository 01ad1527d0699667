"""Raw logits against transformers itself, on shapes drawn at random, in both directions. Run by `make parity`."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from culet.lm import preset, presets  # noqa: E402
from culet.lm._generate import generate  # noqa: E402
from culet.lm.formats.checkpoint import load_model, save_model  # noqa: E402
from culet.lm.formats.config_json import config_to_transformers  # noqa: E402
from culet.lm.formats.names import transformers_name, transformers_shape  # noqa: E402
from tests.goldens.record_parity import MODELS, VOCABULARY  # noqa: E402
from tests.goldens.transformers_models import FAMILIES, load, random_model, raw_logits  # noqa: E402
from tests.lm.goldens import BAR  # noqa: E402
from tests.lm.small import Letters  # noqa: E402

pytestmark = pytest.mark.parity
SEED = int(os.environ.get("CULET_PARITY_SEED", "0"))  # printed with every failure, as part of the test's name
DRAWS = [SEED + draw for draw in range(3)]


def draw_config(family: str, random: np.random.Generator):
    """A configuration of transformers with every number drawn, within what both sides allow."""

    def one_of(*values):
        return values[random.integers(len(values))]

    def between(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    kv_heads, group, head_dim = one_of(1, 2, 3), one_of(1, 2, 4), one_of(4, 8, 12)
    heads = kv_heads * group
    sizes: dict[str, Any] = {
        "vocab_size": int(random.integers(20, 200)), "hidden_size": heads * int(random.integers(3, 12)),
        "intermediate_size": 2 * int(random.integers(8, 60)), "num_hidden_layers": int(random.integers(1, 10)),
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
    }  # fmt: skip
    rest: dict[str, Any] = {"epsilon": between(1e-6, 1e-2), "rope": between(100, 1e6)}
    window, scalar = int(random.integers(1, 20)), int(random.integers(4, 40))
    caps = (between(1, 50), between(1, 50))
    if family == "gemma2":
        rest |= {"window": window, "scalar": scalar, "caps": caps}
        rest["layer_types"] = [one_of("sliding_attention", "full_attention") for _ in range(sizes["num_hidden_layers"])]
    elif family == "gemma3_text":
        rest |= {"rope_local": rest.pop("rope"), "rope_global": between(100, 1e6), "factor": float(one_of(1, 2, 8))}
        rest |= {"window": window, "scalar": scalar}
    elif family == "vaultgemma":
        rest |= {"scalar": scalar, "caps": caps}
    elif family == "recurrent_gemma":
        sizes["hidden_size"] = heads * sizes.pop("head_dim")
        sizes["lru_width"] = heads * int(random.integers(2, 9))
        blocks = one_of(["recurrent", "attention"], ["attention", "recurrent", "recurrent"], ["recurrent"])
        rest |= {"window": window, "cap": caps[0], "fraction": 0.5, "taps": one_of(2, 4, 5), "block_types": blocks}
    return FAMILIES[family](**sizes, **rest)


def draw(family: str, seed: int):
    """A random model of transformers, tokens for it, and its raw logits."""
    random = np.random.default_rng([seed, len(family)])
    config = draw_config(family, random)
    model = random_model(config, seed, spread=1.2)
    tokens = random.integers(0, config.vocab_size, int(random.integers(2, 50))).astype(np.int32)
    return model, tokens, raw_logits(model, tokens)


def assert_close(logits, truth, bar=BAR):
    assert logits.shape == truth.shape
    assert np.abs(np.asarray(logits) - truth).max() < bar * truth.std()


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("family", FAMILIES)
def test_both_directions(tmp_path, family, seed):
    model, tokens, truth = draw(family, seed)
    model.save_pretrained(tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    logits = ours(jnp.asarray(tokens))
    assert_close(logits, truth)
    save_model(tmp_path / "ours", ours)
    again = load(tmp_path / "ours")
    assert_close(raw_logits(again, tokens), truth, bar=1e-6)
    assert_close(raw_logits(again, tokens), np.asarray(logits))


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_folders(tmp_path, family):
    """The same weights in both: equal to the truth within 1.5 times the rounding of transformers' own bfloat16 run."""
    model, tokens, truth = draw(family, SEED)
    model.to(torch.bfloat16).save_pretrained(tmp_path / "theirs")
    rounded = raw_logits(load(tmp_path / "theirs", torch.bfloat16), tokens)
    ours = load_model(tmp_path / "theirs")
    assert ours.embedding.dtype == jnp.bfloat16
    off, theirs = (
        np.sqrt(np.mean((np.asarray(logits) - truth) ** 2)) for logits in (ours(jnp.asarray(tokens)), rounded)
    )
    assert off < 1.5 * theirs
    save_model(tmp_path / "ours", ours)
    again = load(tmp_path / "ours", torch.bfloat16)
    np.testing.assert_array_equal(raw_logits(again, tokens), rounded)
    assert_close(load_model(tmp_path / "theirs", dtype="float32")(jnp.asarray(tokens)), truth)


@pytest.mark.parametrize("family", FAMILIES)
def test_sharded_folders(tmp_path, family):
    model, tokens, truth = draw(family, SEED)
    model.save_pretrained(tmp_path / "theirs", max_shard_size="1KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    ours = load_model(tmp_path / "theirs")
    assert_close(ours(jnp.asarray(tokens)), truth)
    save_model(tmp_path / "ours", ours, max_shard_bytes=1000)
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 1
    assert_close(raw_logits(load(tmp_path / "ours"), tokens), truth, bar=1e-6)


PRESETS = [name for name in presets() if not name.startswith(("griffin", "hawk"))]  # those that transformers knows


@pytest.mark.parametrize("name", PRESETS)
def test_names_and_shapes_of_every_preset(name):
    """What transformers builds from our config.json, on the meta device, has the parameters that ours has."""
    config = preset(name)
    data = config_to_transformers(config)
    theirs_config = transformers.AutoConfig.for_model(data.pop("model_type"), **data)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(theirs_config)
    theirs = {key: tuple(value.shape) for key, value in model.named_parameters()}
    skeleton = jax.eval_shape(config.init, jax.random.key(0))
    ours = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(skeleton)[0]:
        where = jax.tree_util.keystr(path, simple=True, separator=".")
        ours["model." + transformers_name(config.family, where)] = transformers_shape(where, leaf.shape)
    assert ours == theirs


@pytest.mark.parametrize("prompts", [[24], [24, 3]], ids=["alone", "ragged"])
def test_cached_greedy_generation_past_the_window(tmp_path, prompts):
    """Gemma 2, window 5, 40 new tokens: their cache and ours choose the same ones."""
    model = random_model(FAMILIES["gemma2"](**MODELS["gemma2"]), SEED)
    model.save_pretrained(tmp_path)
    rows: list[list[int]] = [
        np.random.default_rng(length).integers(3, VOCABULARY, length).tolist() for length in prompts
    ]
    completions = generate(load_model(tmp_path), Letters(VOCABULARY), rows, max_new_tokens=40, stop_ids=[])
    for row, completion in zip(rows, completions, strict=True):
        theirs = model.generate(
            torch.as_tensor(row)[None], attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False,
            max_new_tokens=40, min_new_tokens=40, use_cache=True, suppress_tokens=None, eos_token_id=None,
        )  # fmt: skip
        assert completion.tokens == theirs[0, len(row) :].tolist()
