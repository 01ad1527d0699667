"""What `distillation` may minimise instead of cross-entropy: by hand, in float64, by finite differences."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.objectives import distillation
from culet.objectives.divergences import _LogSums
from culet.objectives.vocabulary import Head, over_vocabulary

T, V, D, E = 6, 29, 5, 7
STUDENT_CAP, TEACHER_CAP = 2.0, 3.0


def make(dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng(1)
    arrays = (rng.normal(size=shape) for shape in ((T, D), (V, D), (T, E), (V, E)))
    return tuple(jnp.asarray(array.astype(dtype)) for array in (*arrays, rng.uniform(0.5, 2, T)))


def probabilities(head, cap):
    """At temperature 2.5, in float64."""
    hidden, embedding = head
    logits = cap * np.tanh(np.asarray(hidden, np.float64) @ np.asarray(embedding, np.float64).T / cap) / 2.5
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def compare(p, q, **options: Any):
    """Distillation between tables of probabilities: logits are hidden states, the embedding is the identity."""
    identity, weights = jnp.eye(p.shape[-1]), jnp.ones(p.shape[:-1])
    return distillation(jnp.log(q), identity, jnp.log(p), identity, weights, **options)


def test_divergences_by_hand():
    chunk = 2
    teacher, student = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.25, 0.39, 0.36])

    @jax.jit
    def compute(teacher, student):
        p, q = teacher[None], student[None]
        shares = (0.1, 0.5, 0.9, 1e-3, 0.999)
        mixed = [compare(p, q, divergence="jensen_shannon", mixing=b, chunk=chunk) for b in shares]
        return compare(p, q, chunk=chunk), compare(p, q, divergence="reverse_kl", chunk=chunk), *mixed

    forward, reverse, *mixed = compute(teacher, student)
    np.testing.assert_allclose(forward.metrics["forward_kl"], 0.150307, atol=1e-6)
    np.testing.assert_allclose(reverse.total, 0.140638, atol=1e-6)
    np.testing.assert_allclose(reverse.metrics["reverse_kl"], reverse.total)
    np.testing.assert_allclose([loss.total for loss in mixed[:3]], [0.0133548, 0.0357699, 0.0126709], atol=1e-7)
    np.testing.assert_allclose([mixed[3].total * 1e3, mixed[4].total * 1e3], [0.150307, 0.140638], rtol=2e-3)
    np.testing.assert_allclose(mixed[0].metrics["jensen_shannon"], mixed[0].total)


def test_the_log_sums_of_the_first_pass_have_the_students_gradient():
    hidden, embedding, other, others, _ = make()

    def total(hidden, embedding):
        heads = Head(hidden, embedding, STUDENT_CAP), jax.lax.stop_gradient(Head(other, others, TEACHER_CAP))
        sums: Any = over_vocabulary(_LogSums(2.5), heads, 8)
        return sums[0].sum()

    def plain(hidden, embedding):
        logits = STUDENT_CAP * jnp.tanh(hidden @ embedding.T / STUDENT_CAP)
        return jax.nn.logsumexp(logits / 2.5, axis=-1).sum()

    found, expected = (jax.jit(jax.value_and_grad(f, (0, 1)))(hidden, embedding) for f in (total, plain))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), found, expected)


OTHERS = [("reverse_kl", 0.5), ("jensen_shannon", 0.2)]


def numpy_divergence(p, q, divergence, mixing):
    if divergence == "reverse_kl":
        return (q * np.log(q / p)).sum(axis=1)
    m = mixing * p + (1 - mixing) * q
    return (mixing * p * np.log(p / m) + (1 - mixing) * q * np.log(q / m)).sum(axis=1)


@partial(jax.jit, static_argnums=(1, 2, 3))
def other(arrays: Any, divergence, mixing, chunk=None):
    student, embedding, teacher, teacher_embedding, weights = arrays
    return distillation(
        student, embedding, teacher, teacher_embedding, weights, divergence=divergence, mixing=mixing,
        temperature=2.5, chunk=chunk, student_cap=STUDENT_CAP, teacher_cap=TEACHER_CAP,
    )  # fmt: skip


@pytest.mark.parametrize(("divergence", "mixing"), OTHERS)
@pytest.mark.parametrize("chunk", [None, 4])
def test_other_divergences_match_float64_and_finite_differences(divergence, mixing, chunk):
    arrays = make()
    student, teacher = probabilities(arrays[:2], STUDENT_CAP), probabilities(arrays[2:4], TEACHER_CAP)
    loss = other(arrays, divergence, mixing, chunk)
    value = (np.asarray(arrays[4], np.float64) * numpy_divergence(teacher, student, divergence, mixing)).sum()
    np.testing.assert_allclose(loss.total, 2.5**2 * value, rtol=1e-5)
    np.testing.assert_allclose(loss.metrics[divergence], value, rtol=1e-5)
    with jax.enable_x64(True):
        arrays = make(np.float64)
        check_grads(
            lambda *student: other((*student, *arrays[2:]), divergence, mixing, chunk).total,
            arrays[:2], order=1, modes=["rev"], rtol=1e-6, atol=1e-6,
        )  # fmt: skip


@pytest.mark.parametrize(("divergence", "dtype"), [("reverse_kl", jnp.float32), ("jensen_shannon", jnp.bfloat16)])
def test_agreement_costs_nothing_and_never_less(divergence, dtype):
    hidden, embedding, _, _, weights = make()
    teacher = hidden.astype(dtype)

    def loss(student):
        return distillation(student, embedding, teacher, embedding, weights, divergence=divergence, chunk=4).total

    value, gradient = jax.jit(jax.value_and_grad(loss))(teacher)
    np.testing.assert_allclose(value, 0, atol=1e-5)
    np.testing.assert_allclose(gradient.astype(jnp.float32), 0, atol=1e-5)
    if divergence == "jensen_shannon":
        assert value >= 0
