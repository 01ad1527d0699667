import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.objectives import cross_entropy, distillation, top_k_distillation, top_k_targets

T, V, D, E = 6, 29, 5, 7
STUDENT_CAP, TEACHER_CAP = 2.0, 3.0


def make(dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng(1)
    arrays = (rng.normal(size=(T, D)), rng.normal(size=(V, D)), rng.normal(size=(T, E)), rng.normal(size=(V, E)))
    return tuple(jnp.asarray(array.astype(dtype)) for array in (*arrays, rng.uniform(0.5, 2, T)))


def logits(head, cap):
    hidden, embedding = head
    raw = np.asarray(hidden, np.float64) @ np.asarray(embedding, np.float64).T
    return raw if cap is None else cap * np.tanh(raw / cap)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def divergence(p, q, weights, temperature):
    """The loss and the forward KL of two tables of probabilities, in float64."""
    weights = np.asarray(weights, np.float64)
    cross = -(p * np.log(q)).sum(axis=1)
    return temperature**2 * (weights * cross).sum(), (weights * (p * np.log(p / q)).sum(axis=1)).sum()


def events(p, q, k):
    """Both distributions over the k likeliest tokens of the first and "any other"."""
    ids = np.argsort(-p, axis=1)[:, :k]
    kept = (np.take_along_axis(table, ids, axis=1) for table in (p, q))
    return tuple(np.concatenate([table, 1 - table.sum(axis=1, keepdims=True)], axis=1) for table in kept)


@partial(jax.jit, static_argnums=(1, 2))
def full(arrays: Any, temperature=1.0, chunk=None):
    caps: Any = {"student_cap": STUDENT_CAP, "teacher_cap": TEACHER_CAP}
    student, embedding, teacher, teacher_embedding, weights = arrays
    return distillation(
        student, embedding, teacher, teacher_embedding, weights, temperature=temperature, chunk=chunk, **caps
    )


@partial(jax.jit, static_argnums=(4, 5))
def stored(student: Any, ids, log_probabilities, weights, temperature=1.0, chunk=None):
    hidden, embedding = student
    return top_k_distillation(
        hidden, embedding, ids, log_probabilities, weights, temperature=temperature, cap=STUDENT_CAP, chunk=chunk
    )


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("chunk", [None, 1, 4])
def test_full_distribution_matches_float64(temperature, chunk):
    arrays = make()
    student, teacher = logits(arrays[:2], STUDENT_CAP), logits(arrays[2:4], TEACHER_CAP)
    loss = full(arrays, temperature, chunk)
    total, kl = divergence(softmax(teacher / temperature), softmax(student / temperature), arrays[4], temperature)
    np.testing.assert_allclose(loss.total, total, rtol=1e-5)
    np.testing.assert_allclose(loss.metrics["forward_kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(loss.weight, arrays[4].sum(), rtol=1e-6)


@pytest.mark.parametrize("chunk", [None, 4])
def test_full_gradient_is_that_of_finite_differences_and_not_the_teachers(chunk):
    with jax.enable_x64(True):
        arrays = make(np.float64)
        check_grads(
            lambda *student: full((*student, *arrays[2:]), 2.5, chunk).total,
            arrays[:2], order=1, modes=["rev"], rtol=1e-6, atol=1e-6,
        )  # fmt: skip
    arrays = make()
    gradients = jax.grad(lambda arrays: full(arrays, 2.5, chunk).total)(arrays)
    assert gradients[0].any() and gradients[1].any()
    assert not gradients[2].any() and not gradients[3].any()


@pytest.mark.parametrize("chunk", [None, 4])
def test_student_equal_to_teacher_has_no_divergence_and_no_gradient(chunk):
    hidden, embedding, _, _, weights = make()

    def loss(student):
        return distillation(student[0], student[1], hidden, embedding, weights, temperature=2.0, chunk=chunk)

    assert abs(float(jax.jit(loss)((hidden, embedding)).metrics["forward_kl"])) < 1e-6
    for gradient in jax.jit(jax.grad(lambda student: loss(student).total))((hidden, embedding)):
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("temperature", "chunk", "k"), [(1.0, None, 1), (2.5, 4, 3), (1.0, 1, 3), (2.5, None, V - 1), (1.0, 4, V - 1)]
)
def test_top_k_matches_float64_over_k_plus_one_events(temperature, chunk, k):
    arrays = make()
    teacher = logits(arrays[2:4], TEACHER_CAP)
    student = softmax(logits(arrays[:2], STUDENT_CAP) / temperature)
    targets = top_k_targets(jnp.asarray(teacher, jnp.float32), k, temperature=temperature)
    loss = stored(arrays[:2], targets[0], targets[1], arrays[4], temperature, chunk)
    p, q = events(softmax(teacher / temperature), student, k)
    total, kl = divergence(p, q, arrays[4], temperature)
    np.testing.assert_allclose(loss.total, total, rtol=1e-5)
    np.testing.assert_allclose(loss.metrics["forward_kl"], kl, rtol=2e-5, atol=1e-6)
    assert kl <= full(arrays, temperature).metrics["forward_kl"] + 1e-6  # merging events only loses information


@pytest.mark.parametrize("chunk", [None, 4])
def test_top_k_of_all_tokens_is_the_full_distribution(chunk):
    arrays = make()
    targets = top_k_targets(jnp.asarray(logits(arrays[2:4], TEACHER_CAP), jnp.float32), V, temperature=2.5)

    def loss(student):
        return stored(student, targets[0], targets[1], arrays[4], 2.5, chunk)

    expected = full(arrays, 2.5)
    np.testing.assert_allclose(loss(arrays[:2]).total, expected.total, rtol=1e-5)
    np.testing.assert_allclose(loss(arrays[:2]).metrics["forward_kl"], expected.metrics["forward_kl"], rtol=1e-5)
    gradients = jax.grad(lambda student: loss(student).total)(arrays[:2])
    references = jax.grad(lambda student: full((*student, *arrays[2:]), 2.5).total)(arrays[:2])
    for gradient, reference in zip(gradients, references, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [None, 4])
def test_top_k_gradient_matches_finite_differences(chunk):
    with jax.enable_x64(True):
        arrays = make(np.float64)
        targets = top_k_targets(jnp.asarray(logits(arrays[2:4], TEACHER_CAP)), 3, temperature=2.5)
        check_grads(
            lambda *student: stored(student, targets[0], targets[1], arrays[4], 2.5, chunk).total,
            arrays[:2], order=1, modes=["rev"], rtol=1e-6, atol=1e-6,
        )  # fmt: skip


@jax.jit
def both(hidden, embedding, targets, weights):
    certain = top_k_distillation(hidden, embedding, targets[:, None], jnp.zeros((T, 1)), weights, chunk=4)
    return certain, cross_entropy(hidden, embedding, targets, weights)


def test_one_certain_token_is_cross_entropy():
    hidden, embedding, _, _, weights = make()
    certain, expected = both(hidden, embedding, jnp.arange(T) * 4, weights)
    np.testing.assert_allclose(certain.total, expected.total, rtol=1e-6)
    np.testing.assert_allclose(certain.metrics["forward_kl"], expected.total, rtol=1e-6)


def test_students_tiny_residual_is_not_lost_to_rounding():
    # One token 40 nats above 28 others: one minus its probability is 0 in float32, but "other" has log-mass
    # log 28 - 40, and a teacher that gives it half must be answered with just that.
    embedding = jnp.zeros((V, 1)).at[2].set(1.0)
    hidden, ids, half = jnp.array([[40.0]]), jnp.array([[2]]), jnp.log(jnp.array([[0.5]]))

    def loss(hidden):
        return top_k_distillation(hidden, embedding, ids, half, jnp.ones(1), chunk=4).total

    value, gradient = jax.jit(jax.value_and_grad(loss))(hidden)
    np.testing.assert_allclose(value, 0.5 * (40 - np.log(28)), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.5]], rtol=1e-6)


def test_no_residual_and_unused_rows_give_finite_gradients():
    hidden, embedding, _, _, weights = make()
    targets = jnp.full((T, 2), -1).at[1:].set(jnp.array([3, 20]))  # the first row is padding
    log_probabilities = jnp.log(jnp.array([[0.25, 0.75]] * T)).at[5].set(jnp.array([0.0, -jnp.inf]))
    weights = weights.at[0].set(0)

    def loss(hidden, embedding):
        return top_k_distillation(hidden, embedding, targets, log_probabilities, weights, chunk=4).total

    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(hidden, embedding)
    assert jnp.isfinite(value) and all(jnp.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][0].any()


def test_top_k_targets_are_sorted_and_not_renormalised():
    teacher = logits(make()[2:4], None)
    ids, log_probabilities = top_k_targets(jnp.asarray(teacher, jnp.bfloat16).astype(jnp.float32), 3)
    assert ids.shape == log_probabilities.shape == (T, 3)
    rounded = np.asarray(jnp.asarray(teacher, jnp.bfloat16), np.float64)
    expected = np.sort(softmax(rounded), axis=1)[:, ::-1][:, :3]
    np.testing.assert_allclose(np.exp(log_probabilities), expected, rtol=1e-5)
    assert (np.exp(log_probabilities).sum(axis=1) < 0.999).all()


def test_bad_arguments_are_refused():
    student, embedding, teacher, teacher_embedding, weights = make()
    with pytest.raises(ValueError, match="29 tokens and the teacher 28"):
        distillation(student, embedding, teacher, teacher_embedding[1:], weights)
    with pytest.raises(ValueError, match="temperature is 0"):
        distillation(student, embedding, teacher, teacher_embedding, weights, temperature=0.0)
    with pytest.raises(ValueError, match="mixing is 1"):
        distillation(student, embedding, teacher, teacher_embedding, weights, divergence="jensen_shannon", mixing=1.0)
    with pytest.raises(ValueError, match="divergence is 'jsd'; it is one of 'forward_kl'"):
        inspect.unwrap(distillation)(student, embedding, teacher, teacher_embedding, weights, divergence="jsd")
    for k in (0, V + 1):
        with pytest.raises(ValueError, match=f"k is {k}"):
            top_k_targets(jnp.zeros((T, V)), k)
