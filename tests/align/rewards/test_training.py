"""Learning from judged examples: the loss and its gradient against NumPy, and runs that take a second."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.rewards import (
    Pair,
    Statement,
    evaluate_judgement,
    judgement,
    preference_rows,
    scores,
    statement_rows,
    train_reward_model,
)
from culet.align.rewards import training as training_module
from culet.lm import Recipe
from culet.nn import add_lora, lora_filter
from culet.objectives import bradley_terry
from tests.align.rewards.judges import judge
from tests.lm.small import Letters

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
    backbone = add_lora(start.backbone, "", 2, 4.0, key=jax.random.key(0))
    start = eqx.tree_at(lambda tree: tree.backbone, start, backbone)
    rows = statement_rows(STATEMENTS, WORDS, 16)
    model = quick(start, rows, trainable=lora_filter(backbone))
    assert evaluate_judgement(model, rows, 8)["loss"] < evaluate_judgement(start, rows, 8)["loss"] - 0.2
    assert model.centre == 0 and (model.head != start.head).all()
    _, before = eqx.partition(start.backbone, lora_filter(backbone))
    _, after = eqx.partition(model.backbone, lora_filter(backbone))
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

    monkeypatch.setattr(training_module, "bradley_terry", counted)
    short = dataclasses.replace(RECIPE, steps=1)
    first = quick(START, recipe=short)
    once = len(traced)
    second = quick(START, recipe=dataclasses.replace(short, seed=1))
    assert 0 < once == len(traced) and not jnp.array_equal(first.head, second.head)
