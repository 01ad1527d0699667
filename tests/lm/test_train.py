"""From texts to a trained decoder, on shapes that take a second."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.core import Interrupted, make_mesh
from culet.lm import LoRA, Recipe, answer_rows, distil, evaluate, text_rows, train
from culet.lm.losses import StudentAndTeacher, from_teacher, next_token
from culet.nn import add_lora, lora_filter, merge_lora
from tests.lm.small import Letters, small

TOKENIZER = Letters()
TEXTS = ["abcabcabcabcabcabc" * 2, "ccbbccbbccbb", "abababababab", "cab" * 7, "bacbac"]
ROWS = text_rows(TEXTS, TOKENIZER, 24)
RECIPE = Recipe(steps=12, batch_size=4, learning_rate=3e-2, checkpoint_every=5)
MODEL = small("gemma-2-2b")


def quick(model, rows=ROWS, recipe=RECIPE, **options):
    return train(model, rows, recipe, progress=False, **options)


def nll(model, rows):
    """Mean over the weighted targets, document by document and without packing."""
    total = count = 0.0
    for row in range(len(rows["inputs"])):
        starts = [*np.flatnonzero(rows["positions"][row] == 0), len(rows["inputs"][row])]
        for start, end in itertools.pairwise(starts):
            piece = slice(start, end)
            live = rows["positions"][row, piece] >= 0
            tokens, targets, weights = (rows[name][row, piece][live] for name in ("inputs", "targets", "weights"))
            logits = jax.nn.log_softmax(model(jnp.asarray(tokens)))
            total += float(-(logits[jnp.arange(len(tokens)), targets] * weights).sum())
            count += weights.sum()
    return total / count


@pytest.fixture(scope="module")
def trained():
    return quick(MODEL)


def test_rows_hold_each_text_between_bos_and_eos():
    assert ROWS["inputs"].shape[1] == 24
    assert (ROWS["inputs"] == 2).sum() == len(TEXTS) and (ROWS["targets"] == 1).sum() == len(TEXTS)
    assert ROWS["weights"].sum() == sum(len(text) + 1 for text in TEXTS)
    with pytest.raises(ValueError, match="no text to train on"):
        text_rows([""], TOKENIZER, 24)
    with pytest.raises(ValueError, match="no conversations"):
        answer_rows([], TOKENIZER, 24)


def test_evaluation_is_the_mean_over_documents_and_training_lowers_it(trained):
    before = evaluate(MODEL, ROWS, 4)
    assert before["loss"] == pytest.approx(nll(MODEL, ROWS), rel=1e-4)
    assert before["perplexity"] == pytest.approx(np.exp(before["loss"]))
    assert before["tokens"] == ROWS["weights"].sum()
    assert evaluate(MODEL, ROWS, 3)["loss"] == pytest.approx(before["loss"], rel=1e-5)  # a last batch not full
    assert evaluate(trained, ROWS, 4)["loss"] < before["loss"] - 1.0
    with pytest.raises(ValueError, match="no token has a weight"):
        evaluate(MODEL, {**ROWS, "weights": 0 * ROWS["weights"]}, 4)


def test_packed_documents_do_not_hear_each_other():
    row = next(row for row in range(len(ROWS["inputs"])) if (ROWS["positions"][row] == 0).sum() > 1)
    second = np.flatnonzero(ROWS["positions"][row] == 0)[1]
    logits = eqx.filter_jit(lambda inputs: MODEL(inputs, jnp.asarray(ROWS["positions"][row])))
    changed = ROWS["inputs"][row].copy()
    changed[1:second] = 7
    one, other = logits(ROWS["inputs"][row]), logits(changed)
    np.testing.assert_array_equal(one[second:], other[second:])
    assert np.abs(one[1:second] - other[1:second]).max() > 0.1


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, trained, monkeypatch):
    from culet.core import _fit

    class After7:
        def __init__(self):
            self.asked = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        @property
        def requested(self):
            self.asked += 1
            return self.asked == 7

    monkeypatch.setattr(_fit, "Interrupts", After7)
    with pytest.raises(Interrupted, match="after step 7"):
        quick(MODEL, folder=tmp_path)
    monkeypatch.undo()
    again = quick(MODEL, folder=tmp_path)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(trained), strict=True):
        np.testing.assert_array_equal(one, other)


def test_lora_leaves_the_base_bit_equal_and_merges(getkey):
    adapted = add_lora(MODEL, "", 2, 4.0, key=getkey())
    tuned = quick(adapted, trainable=lora_filter(adapted))
    adapters, base = eqx.partition(tuned, lora_filter(tuned))
    assert all(leaf.any() for leaf in jax.tree.leaves(adapters))
    for one, other in zip(jax.tree.leaves(base), jax.tree.leaves(MODEL), strict=True):
        np.testing.assert_array_equal(one, other)
    merged = merge_lora(tuned)
    assert jax.tree.structure(merged) == jax.tree.structure(MODEL)
    assert evaluate(merged, ROWS, 4)["loss"] < evaluate(MODEL, ROWS, 4)["loss"] - 0.3


def test_lora_is_one_option():
    short = dataclasses.replace(RECIPE, steps=2, seed=3)
    tuned = quick(MODEL, recipe=short, lora=LoRA(rank=2, alpha=4.0, targets="query|down"))
    by_hand = add_lora(MODEL, "query|down", 2, 4.0, key=jax.random.key(3))
    by_hand = quick(by_hand, recipe=short, trainable=lora_filter(by_hand))
    assert eqx.tree_equal(tuned, by_hand)
    further = quick(tuned, recipe=short, lora=LoRA(targets="query|down"))  # the same adapters, trained on
    assert jax.tree.structure(further) == jax.tree.structure(tuned) and not eqx.tree_equal(further, tuned)
    with pytest.raises(ValueError, match="either lora, which trains adapters alone, or trainable"):
        quick(MODEL, lora=LoRA(), trainable=lora_filter(by_hand))
    with pytest.raises(ValueError, match="rank is 0; it must be at least 1"):
        LoRA(rank=0)


def test_a_student_comes_nearer_to_its_teacher_who_stays(trained, tmp_path):
    before = jax.tree.map(np.asarray, trained)
    student = distil(MODEL, trained, ROWS, RECIPE, held_out=ROWS, folder=tmp_path, progress=False)
    assert eqx.tree_equal(jax.tree.map(np.asarray, trained), before)
    assert jax.tree.structure(student) == jax.tree.structure(MODEL)
    assert evaluate(student, ROWS, 4)["loss"] < evaluate(MODEL, ROWS, 4)["loss"] - 1.0


def test_distil_is_train_with_the_losses_own_model(trained):
    short = dataclasses.replace(RECIPE, steps=2)
    student = distil(MODEL, trained, ROWS, short, temperature=2.0, fraction=0.5, progress=False)
    pair = quick(
        StudentAndTeacher(MODEL, trained), recipe=short, trainable=StudentAndTeacher(True, False),
        loss=from_teacher(temperature=2.0, fraction=0.5),
    )  # fmt: skip
    assert eqx.tree_equal(student, pair.student)
    adapted = distil(MODEL, trained, ROWS, short, lora=LoRA(rank=2), progress=False)
    assert eqx.tree_equal(adapted.embedding, MODEL.embedding)
    assert all(leaf.any() for leaf in jax.tree.leaves(eqx.filter(adapted, lora_filter(adapted))))
    with pytest.raises(ValueError, match="student has 40 token ids and the teacher 48"):
        distil(MODEL, dataclasses.replace(MODEL.config, vocabulary=48).init(jax.random.key(0)), ROWS, short)


@pytest.mark.parametrize("name", ["gemma-2-2b", "griffin-100m"])
def test_a_mesh_of_eight_trains_to_the_same_loss(name):
    recipe = dataclasses.replace(RECIPE, steps=3, learning_rate=1e-3)
    rows = {field: np.tile(array, (3, 1)) for field, array in ROWS.items()}
    alone = quick(small(name), rows, recipe)
    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    spread = quick(small(name), rows, recipe, mesh=mesh)
    for one, other in zip(jax.tree.leaves(spread), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    for leaf in (spread.embedding, spread.blocks[0].mlp.down.weight):
        assert leaf.addressable_shards[0].data.size == leaf.size // 4


@pytest.mark.parametrize("wrong", [{"compute_dtype": "int4"}, {"micro_batches": 3}], ids=str)
def test_a_recipe_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match=r"'int4'; it must be|batch_size is 4, which does not divide into 3"):
        dataclasses.replace(RECIPE, **wrong)


def test_seeds_share_what_is_compiled():
    traced = []
    likelihood = next_token()

    def loss(model, batch, key):
        traced.append(1)
        return likelihood(model, batch, key)

    short = dataclasses.replace(RECIPE, steps=1)
    first = quick(MODEL, recipe=short, loss=loss)
    once = len(traced)
    second = quick(MODEL, recipe=dataclasses.replace(short, seed=1), loss=loss)
    assert len(traced) == once and not jnp.array_equal(first.embedding, second.embedding)
    quick(MODEL, recipe=dataclasses.replace(short, learning_rate=1e-3), loss=loss)
    assert len(traced) > once
