"""Reward models: scores, training against NumPy, folders there and back and with transformers, and their uses."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.rewards import (
    Answer,
    Pair,
    RewardModel,
    Statement,
    entailment_reward,
    entailment_scores,
    evaluate_judgement,
    judgement,
    learned_reward,
    load_reward_model,
    preference_rows,
    reward_model,
    rewards_of,
    save_reward_model,
    scores,
    statement_rows,
    train_reward_model,
)
from culet.lm import Recipe, load_model, save_model, train_tokenizer
from culet.nn import add_lora, lora_filter
from culet.objectives import bradley_terry
from tests.align.rewards.judges import judge
from tests.lm.small import Letters, small

TEXTS = [np.random.default_rng(n).integers(3, 40, n).tolist() for n in (1, 5, 9, 31, 32, 33, 50, 7)]
call = eqx.filter_jit(lambda model, tokens, length: model(tokens, length))


def padded(junk):
    """The nine tokens of a text and six others behind them."""
    return jnp.asarray(TEXTS[2] + [junk] * 6)


@pytest.mark.parametrize("name", ["one layer", "griffin-100m"])
def test_it_is_the_last_tokens_product_less_the_centre_whatever_stands_behind(name):
    model = eqx.tree_at(lambda tree: tree.centre, judge(name), jnp.array(0.7))
    hidden = eqx.filter_jit(model.decoder.hidden)(jnp.asarray(TEXTS[2]))
    expected = np.asarray(hidden, np.float64)[-1] @ np.asarray(model.head, np.float64) - 0.7
    for junk in (0, 17):
        np.testing.assert_allclose(call(model, padded(junk), jnp.array(9)), expected, rtol=1e-4, atol=1e-5)
    assert abs(call(model, padded(17), jnp.array(15)) - expected) > 1e-2  # those six do count if they are said to


def test_padding_gets_no_gradient():
    gradient = eqx.filter_jit(eqx.filter_grad(lambda model, tokens: model(tokens, jnp.array(9))))
    one, other = (gradient(judge(), padded(junk)) for junk in (0, 17))
    for leaf, same in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.isfinite(leaf).all()
        np.testing.assert_allclose(leaf, same, rtol=1e-5, atol=1e-6)
    assert not one.decoder.embedding[jnp.array([0, 17])].any() and one.decoder.embedding[TEXTS[2][0]].any()


def test_a_fresh_head_scores_with_the_spread_of_one():
    model = RewardModel(small("gemma-2-2b"), key=jax.random.key(1))
    assert model.meaning == "reward" and model.centre == 0 and 0.5 < 33**0.5 * model.head.std() < 1.5


def test_scores_are_those_one_by_one_in_the_order_given():
    model = judge()
    rows = jnp.asarray([text + [0] * (64 - len(text)) for text in TEXTS])
    alone = [call(model, row, jnp.array(len(text))) for row, text in zip(rows, TEXTS, strict=True)]
    found = scores(model, TEXTS, 3)
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)
    assert found.dtype == np.float32 and np.ptp(found) > 0.5
    np.testing.assert_allclose(scores(model, TEXTS[::-1], 3)[::-1], found, rtol=1e-5, atol=1e-5)
    assert scores(model, []).shape == (0,)


def test_one_program_for_each_power_of_two(monkeypatch):
    shapes = []
    monkeypatch.setattr(reward_model, "_batch_scores", lambda _, tokens, __: shapes.append(tokens.shape) or np.zeros(4))
    scores(judge(), [[3] * n for n in range(1, 129)], 4)
    assert set(shapes) == {(4, 32), (4, 64), (4, 128)} and len(shapes) == 8 + 8 + 16


@pytest.mark.parametrize("length", [0, 129])
def test_nothing_is_cut(length):
    with pytest.raises(ValueError, match=rf"text 1 has {length} tokens; .* reads 1 to 128 and nothing is cut"):
        scores(judge(), [[3], [3] * length])


WORDS = Letters()
LABELS = [1.0, 0.0, 0.7, 0.5, 0.0, 1.0]
PAIRS = [  # more a's are better
    Pair(prompt="c" * (n % 3), first="ab" * n + "a" * k, second="ab" * n + "b" * k, label=1.0)
    for n in range(4)
    for k in (1, 2, 3)
]
PAIRS += [dataclasses.replace(pair, first=pair.second, second=pair.first, label=0.0) for pair in PAIRS]
ROWS = preference_rows(PAIRS, WORDS, 16)
STATEMENTS = [Statement(premise=a * 3, hypothesis=b, label=float(a == b)) for a in "abc" for b in "abc"]
START = eqx.tree_at(lambda tree: tree.head, judge(), -judge().head)  # happens to like b's
RECIPE = Recipe(steps=30, batch_size=8, learning_rate=1e-2, checkpoint_every=10)


def quick(model, rows=ROWS, recipe=RECIPE, **options):
    return train_reward_model(model, rows, recipe, progress=False, **options)


def soft(rows):
    """Six rows of labels of all kinds, one of no weight."""
    rows = {name: array[:6] for name, array in rows.items()}
    return {**rows, "labels": np.array(LABELS, np.float32), "weights": np.array([1, 1, 1, 1, 1, 0], np.float32)}


def texts_of(rows):
    """The tokens of every text, those of an example one after the other."""
    return [
        row[:length].tolist()
        for tokens, lengths in zip(rows["tokens"], rows["lengths"], strict=True)
        for row, length in zip(tokens, lengths, strict=True)
    ]


def margins(model, rows):
    """By what the first text is better than the second, or than 0 where it is alone."""
    found = scores(model, texts_of(rows), 8).astype(np.float64).reshape(rows["lengths"].shape)
    return found[:, 0] - (found[:, 1] if found.shape[1] == 2 else 0)


@eqx.filter_jit
def loss_and_slope(model, batch):
    def total(model):
        found = judgement()(model, batch, jax.random.key(0))
        return found.total, found

    (_, found), slope = eqx.filter_value_and_grad(total, has_aux=True)(model)
    return found, slope


def cross_entropy(margin, labels):
    with np.errstate(divide="ignore"):
        p = 1 / (1 + np.exp(-margin))
        terms = np.stack([labels * np.log(p), (1 - labels) * np.log1p(-p)])
    return -np.where(np.stack([labels, 1 - labels]) == 0, 0, terms).sum(axis=0)


@pytest.mark.parametrize("kind", ["reward", "entailment"])
def test_the_loss_is_the_cross_entropy_of_soft_labels_and_its_gradient_the_error(kind):
    rows = soft(ROWS if kind == "reward" else statement_rows(STATEMENTS, WORDS, 16))
    model = judge(meaning=kind)
    margin = margins(model, rows)
    counted = rows["weights"] > 0
    batch = {name: jnp.asarray(array) for name, array in rows.items()}
    found, slope = loss_and_slope(model, batch)
    assert found.weight == 5
    np.testing.assert_allclose(found.total, cross_entropy(margin, rows["labels"])[counted].sum(), rtol=1e-4)
    agree = np.where(rows["labels"] == 0.5, np.nan, (margin > 0) == (rows["labels"] > 0.5))[counted]
    assert found.metrics["accuracy"] == np.nansum(agree) and found.metrics["decided"] == 4
    result = evaluate_judgement(model, rows, 4)  # the last batch is not full
    assert result == pytest.approx({"loss": float(found.total) / 5, "accuracy": np.nanmean(agree)}, rel=1e-5)

    # Along a change of the head, of which margins are linear: d loss = sum of (sigmoid(margin) - label) d margin.
    move = jax.random.normal(jax.random.key(1), model.head.shape)
    error = 1 / (1 + np.exp(-margin)) - rows["labels"]
    change = error[counted] @ margins(eqx.tree_at(lambda tree: tree.head, model, move), rows)[counted]
    np.testing.assert_allclose(float(slope.head @ move), change, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return quick(START, folder=folder, held_out=ROWS), folder


def test_it_learns_and_its_zero_is_the_mean_of_the_training_pairs(trained):
    model, folder = trained
    before, after = (evaluate_judgement(each, ROWS, 8) for each in (START, model))
    assert after["accuracy"] == 1 and before["accuracy"] < 0.5 and after["loss"] < 0.1 < before["loss"]
    assert abs(scores(model, texts_of(ROWS), 8).mean()) < 1e-4 < abs(model.centre)
    log = (folder / "log.jsonl").read_text()
    assert '"evaluation/accuracy": 1.0' in log and "evaluation/loss" in log


def test_a_finished_run_is_found_again_with_head_and_zero(trained):
    model, folder = trained
    assert eqx.tree_equal(quick(judge(), folder=folder), model)


def test_statements_with_adapters_leave_the_base_and_the_zero():
    start = judge(meaning="entailment")
    decoder = add_lora(start.decoder, "", 2, 4.0, key=jax.random.key(0))
    start = eqx.tree_at(lambda tree: tree.decoder, start, decoder)
    rows = statement_rows(STATEMENTS, WORDS, 16)
    model = quick(start, rows, trainable=lora_filter(decoder))
    assert evaluate_judgement(model, rows, 8)["loss"] < evaluate_judgement(start, rows, 8)["loss"] - 0.2
    assert model.centre == 0 and (model.head != start.head).all()
    _, before = eqx.partition(start.decoder, lora_filter(decoder))
    _, after = eqx.partition(model.decoder, lora_filter(decoder))
    assert eqx.tree_equal(before, after)


def test_rows_of_the_other_kind_are_refused():
    with pytest.raises(ValueError, match="a model of entailment learns from examples of 1 texts, not 2"):
        quick(judge(meaning="entailment"))
    with pytest.raises(ValueError, match="a model of reward learns from examples of 2 texts, not 1"):
        quick(judge(), held_out=statement_rows(STATEMENTS, WORDS, 16))


def test_the_accuracy_of_ties_alone_is_no_number():
    assert np.isnan(evaluate_judgement(judge(), {**soft(ROWS), "labels": np.full(6, 0.5, np.float32)}, 4)["accuracy"])


def test_seeds_share_what_is_compiled(monkeypatch):
    traced = []

    def counted(*given):
        traced.append(1)
        return bradley_terry(*given)

    monkeypatch.setattr(reward_model, "bradley_terry", counted)
    short = dataclasses.replace(RECIPE, steps=1)
    first = quick(START, recipe=short)
    once = len(traced)
    second = quick(START, recipe=dataclasses.replace(short, seed=1))
    assert 0 < once == len(traced) and not jnp.array_equal(first.head, second.head)


ANSWERS = [Answer(prompt="ab", text="c", tokens=2, columns={"document": "ca"})]
ANSWERS += [Answer(prompt="b" * 40, text="", tokens=1, finished=False, columns={"document": "c"})]


def test_a_preference_is_the_score_of_prompt_and_answer_with_the_end_token():
    found = rewards_of(learned_reward(judge(), WORDS), ANSWERS)
    np.testing.assert_array_equal(found, scores(judge(), [[2, 3, 4, 5, 1], [2, *[4] * 40, 1]]))
    alone = rewards_of(learned_reward(judge(), WORDS), ANSWERS[:1])
    np.testing.assert_allclose(alone, found[:1], rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "texts"),
    [(None, [[2, 3, 4, 1, 5, 1], [2, *[4] * 40, 1, 1]]), ("document", [[2, 5, 3, 1, 5, 1], [2, 5, 1, 1]])],
)
def test_entailment_is_the_log_of_the_probability(column, texts):
    model = judge(meaning="entailment")
    log_odds = scores(model, texts).astype(np.float64)
    found = rewards_of(entailment_reward(model, WORDS, premise=column), ANSWERS)
    np.testing.assert_allclose(found, np.log(1 / (1 + np.exp(-log_odds))), rtol=1e-5)
    if column:
        statements = [Statement(premise=a.columns["document"], hypothesis=a.text, label=0.5) for a in ANSWERS]
        np.testing.assert_array_equal(entailment_scores(model, WORDS, statements), log_odds.astype(np.float32))


def test_a_model_of_another_meaning_and_texts_that_are_missing_or_too_long_are_refused():
    with pytest.raises(ValueError, match="score means reward, where a model of entailment is needed"):
        entailment_reward(judge(), WORDS)
    with pytest.raises(ValueError, match="score means entailment, where a model of reward is needed"):
        learned_reward(judge(meaning="entailment"), WORDS)
    with pytest.raises(ValueError, match="answer 0: no text in the column 'source'; columns: document"):
        entailment_reward(judge(meaning="entailment"), WORDS, premise="source")(ANSWERS)
    long = [Answer(prompt="a" * 127, text="", tokens=1)]
    with pytest.raises(ValueError, match=r"text 0 has 129 tokens.*nothing is cut"):
        learned_reward(judge(), WORDS)(long)


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
    assert load_reward_model(saved, dtype="bfloat16")[0].decoder.embedding.dtype == jnp.bfloat16
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
    save_model(tmp_path, MODEL.decoder)
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
    save_model(tmp_path, MODEL.decoder, beside={} if head is None else {"score.weight": jnp.asarray(head)})
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
