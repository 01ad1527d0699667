"""Losses of a decoder on packed rows, against the same written out naively from its logits."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.core import pack
from culet.lm.losses import StudentAndTeacher, from_stored, from_teacher, next_token, store_top_k
from tests.lm.small import small
from tests.weights import random_weights

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(2)
BATCH = {
    name: jnp.asarray(rows)
    for name, rows in pack([RANDOM.integers(3, 40, size) for size in (16, 9, 5, 7, 8)], 16).items()
}
STUDENT, TEACHER = small("gemma-2-2b"), small("gemma-2-2b", seed=1)


@eqx.filter_jit
def log_probabilities(model):
    return jax.nn.log_softmax(jax.vmap(model)(BATCH["inputs"], BATCH["positions"]))


@eqx.filter_jit
def value_and_gradient(loss, model, batch):
    def total(model):
        value = loss(model, batch, KEY)
        return value.total, value

    (_, value), gradient = eqx.filter_value_and_grad(total, has_aux=True)(model)
    return value, gradient


@eqx.filter_jit
def evaluated(loss, model, batch):
    return loss(model, batch, KEY)


def naive(values):
    return float((np.asarray(values, np.float64) * np.asarray(BATCH["weights"])).sum())


def nll(model):
    return naive(-jnp.take_along_axis(log_probabilities(model), BATCH["targets"][..., None], -1)[..., 0])


def cross(teacher, student):
    mine, theirs = log_probabilities(student), log_probabilities(teacher)
    return naive(-(jnp.exp(theirs) * mine).sum(-1))


def assert_same_tree(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        scale = float(jnp.abs(b).max()) + 1e-6
        np.testing.assert_allclose(a / scale, b / scale, atol=2e-4)


def test_next_token_is_the_naive_sum():
    plain = evaluated(next_token(), TEACHER, BATCH)
    assert float(plain.total) == pytest.approx(nll(TEACHER), rel=1e-5)
    assert float(plain.weight) == float(BATCH["weights"].sum())


def test_remat_and_scan_change_nothing():
    model = random_weights(dataclasses.replace(STUDENT.config, layers=5).init)  # two periods and a rest
    (plain, gradient), (other, other_gradient) = (
        value_and_gradient(next_token(remat=on, scan=on), model, BATCH) for on in (False, True)
    )
    np.testing.assert_allclose(other.total, plain.total, rtol=1e-5)
    assert_same_tree(other_gradient, gradient)


def test_distillation_is_the_naive_cross_entropy_and_teaches_only_the_student():
    value, gradient = value_and_gradient(from_teacher(), StudentAndTeacher(STUDENT, TEACHER), BATCH)
    assert float(value.total) == pytest.approx(cross(TEACHER, STUDENT), rel=1e-5)
    kl = cross(TEACHER, STUDENT) - cross(TEACHER, TEACHER)
    assert float(value.metrics["forward_kl"]) == pytest.approx(kl, rel=1e-4)
    assert float(value.metrics["cross_entropy"]) == pytest.approx(nll(STUDENT), rel=1e-5)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient.teacher))
    assert all(leaf.any() for leaf in jax.tree.leaves(gradient.student))


def test_a_fraction_of_distillation_mixes_the_two_losses():
    mixed = evaluated(from_teacher(fraction=0.25), StudentAndTeacher(STUDENT, TEACHER), BATCH)
    assert float(mixed.total) == pytest.approx(0.25 * cross(TEACHER, STUDENT) + 0.75 * nll(STUDENT), rel=1e-5)
    assert set(mixed.metrics) == {"distillation", "forward_kl", "cross_entropy"}
    for make in (from_teacher, from_stored):
        with pytest.raises(ValueError, match=r"fraction of distillation in the loss is 1.5"):
            make(fraction=1.5)


def test_all_tokens_stored_are_the_whole_teacher():
    whole, gradient = value_and_gradient(from_teacher(temperature=2.0), StudentAndTeacher(STUDENT, TEACHER), BATCH)
    stored = store_top_k(TEACHER, BATCH, 40, temperature=2.0)
    value, stored_gradient = value_and_gradient(from_stored(temperature=2.0), STUDENT, stored)
    np.testing.assert_allclose(value.total, whole.total, rtol=1e-5)
    assert_same_tree(stored_gradient, gradient.student)


def test_fewer_tokens_keep_the_rest_of_the_mass():
    stored = store_top_k(TEACHER, BATCH, 5)
    theirs = np.asarray(log_probabilities(TEACHER))
    np.testing.assert_allclose(stored["teacher_log_probabilities"], -np.sort(-theirs)[..., :5], atol=1e-4)
    value = evaluated(from_stored(), STUDENT, stored)
    whole = evaluated(from_teacher(), StudentAndTeacher(STUDENT, TEACHER), BATCH)
    assert 0 < float(value.metrics["forward_kl"]) < float(whole.metrics["forward_kl"])
