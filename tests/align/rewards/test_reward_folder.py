"""Folders of reward models: there and back, as transformers reads and writes them, and broken ones."""

import json

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.rewards import load_reward_model, save_reward_model
from culet.lm import load_model, save_model, train_tokenizer
from tests.align.rewards.judges import judge

TOKENIZER = train_tokenizer(["the cat sat on the mat " * 3], 370)
MODEL = eqx.tree_at(
    lambda tree: tree.centre, judge(meaning="entailment", vocabulary=TOKENIZER.vocabulary), jnp.array(0.3)
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save_reward_model(folder, MODEL, TOKENIZER)
    return folder


def test_there_and_back(saved):
    model, tokenizer = load_reward_model(saved)
    assert eqx.tree_equal(model, MODEL)
    assert tokenizer.encode("the cat") == TOKENIZER.encode("the cat")
    assert load_reward_model(saved, dtype="bfloat16")[0].backbone.embedding.dtype == jnp.bfloat16
    config = json.loads((saved / "config.json").read_text())
    assert config["architectures"] == ["Gemma2ForSequenceClassification"] and config["id2label"] == {"0": "entailment"}
    assert config["centre"] == pytest.approx(0.3) and not (saved / ".partial").exists()


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save_reward_model(tmp_path, judge(), TOKENIZER)
    with pytest.raises(ValueError, match=r"the tokenizer has 3\d\d tokens but the model embeds 40"):
        load_reward_model(tmp_path)


def test_a_reward_model_is_no_decoder_and_the_other_way_round(saved, tmp_path):
    with pytest.raises(ValueError, match=r"tensor 'score\.weight' has no place in this gemma2 model"):
        load_model(saved)
    save_model(tmp_path, MODEL.backbone)
    with pytest.raises(ValueError, match=r"config\.json: architectures is .* which is no reward model"):
        load_reward_model(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("architectures", None, "architectures is None, which is no reward model"),
        ("architectures", [], "which is no reward model"),
        ("id2label", {"0": "spam"}, "id2label must hold one label"),
        ("id2label", {"0": "reward", "1": "entailment"}, "id2label must hold one label"),
        ("id2label", {"0": []}, "id2label must hold one label"),
        ("centre", float("nan"), "centre must be a finite number"),
        ("centre", "high", "centre must be a finite number"),
    ],
)
def test_settings_that_cannot_be_used(saved, tmp_path, key, value, message):
    config = json.loads((saved / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ValueError, match=message):
        load_reward_model(tmp_path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (None, r"tensor 'score\.weight' is missing"),
        (np.zeros((2, 16), np.float32), r"is float32\[2, 16\]; it must be floats of \[1, 16\]"),
        (np.zeros((1, 16), np.int32), r"is int32\[1, 16\]; it must be floats"),
    ],
)
def test_heads_that_cannot_be_used(saved, tmp_path, head, message):
    save_model(tmp_path, MODEL.backbone, beside={} if head is None else {"score.weight": jnp.asarray(head)})
    TOKENIZER.save(tmp_path)
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    with pytest.raises(ValueError, match=message):
        load_reward_model(tmp_path)


@pytest.mark.parity
@pytest.mark.parametrize("family", ["gemma", "gemma2", "gemma3_text"])
def test_both_directions_with_transformers(tmp_path, family):
    transformers = pytest.importorskip("transformers")
    from tests.goldens.record_parity import MODELS
    from tests.goldens.transformers_models import FAMILIES, random_model

    config = FAMILIES[family](**{**MODELS[family], "vocab_size": 400})
    config.num_labels = 1
    kind = transformers.AutoModelForSequenceClassification
    theirs = kind.from_config(config).eval()
    theirs.model.load_state_dict(random_model(config, 0).model.state_dict())
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, 19)
    truth = score_of(theirs, tokens)
    theirs.save_pretrained(tmp_path)
    TOKENIZER.save(tmp_path)
    ours, _ = load_reward_model(tmp_path)
    assert ours.meaning == "reward" and abs(truth) > 1e-3
    padded = jnp.asarray(np.append(tokens, [0, 0]))
    np.testing.assert_allclose(ours(padded, jnp.array(19)), truth, rtol=1e-4, atol=1e-5)

    moved = eqx.tree_at(lambda tree: tree.centre, ours, jnp.array(0.5))
    save_reward_model(tmp_path / "ours", moved, TOKENIZER)
    again = kind.from_pretrained(tmp_path / "ours").eval()
    assert score_of(again, tokens) == pytest.approx(truth, rel=1e-5) and again.config.centre == 0.5
    assert again.config.id2label == {0: "reward"}
    padding = np.append(tokens, [again.config.pad_token_id] * 2)
    assert score_of(again, padding) == pytest.approx(truth, rel=1e-4)  # theirs too reads at the last real token


def score_of(model, tokens):
    import torch

    with torch.no_grad():
        return model(torch.as_tensor(tokens)[None]).logits.item()
