"""Distillation from a teacher: its whole distribution, or its k likeliest tokens as stored beforehand.

Unless another divergence is asked for, losses are the cross-entropy from teacher to student, whose gradient is that of
the forward divergence KL(teacher || student), times temperature², which keeps gradients of one size at every
temperature (Hinton, Vinyals and Dean 2015, 1503.02531, section 2). Each reports its divergence, at the temperature and
without the factor, by name and in nats.

Axis letters: T tokens, V vocabulary (U the teacher's, of the same size), D width of the student, E of the teacher,
K stored tokens, B any leading axes (a batch is just more tokens).
"""

from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.objectives.divergences import jensen_shannon, reverse_kl
from culet.objectives.likelihood import weighted_sum
from culet.objectives.loss import Loss
from culet.objectives.vocabulary import Head, LogSum, Rule, chunk_size, over_vocabulary

Divergence = Literal["forward_kl", "reverse_kl", "jensen_shannon"]


class _FullTeacher(Rule):
    """Cross-entropy and KL(teacher || student) of softmaxes at a temperature, from the heads (student, teacher).

    Statistics: the log-sums of both, and under the teacher's unnormalised distribution (relative to its log-sum's
    top) the sums of the student's logits and of teacher's minus student's.
    """

    temperature: float = eqx.field(static=True)

    def init(self, tokens, dtype):
        zeros = jnp.zeros(tokens, dtype)
        return LogSum.empty(tokens, dtype), LogSum.empty(tokens, dtype), zeros, zeros

    def absorb(self, statistics, logits, chunk):
        student_sum, teacher_sum, cross, excess = statistics
        student, teacher = (z / self.temperature for z in logits)
        top, terms, shrinkage = teacher_sum.raise_to(teacher, chunk)
        return (
            student_sum.add(student, chunk),
            LogSum(top, teacher_sum.total * shrinkage + terms.sum(axis=-1)),
            cross * shrinkage + (terms * student).sum(axis=-1),
            excess * shrinkage + (terms * (teacher - student)).sum(axis=-1),
        )

    def values(self, statistics):
        student_sum, teacher_sum, cross, excess = statistics
        cross_entropy = student_sum.value() - cross / teacher_sum.total
        return cross_entropy, excess / teacher_sum.total - teacher_sum.value() + student_sum.value()

    def slope(self, statistics, logits, chunk, weights):
        student, teacher = (
            jnp.exp(z / self.temperature - log_sum.value()[:, None])
            for z, log_sum in zip(logits, statistics[:2], strict=True)
        )
        return ((weights[0] + weights[1]) / self.temperature)[:, None] * (student - teacher)


class _StoredTeacher(Rule):
    """Cross-entropy and KL over K + 1 events, the K stored tokens and "any other token".

    Statistics: the student's logits of the stored tokens, and the log-sum of all its other logits, so that the mass
    of "other" is never one minus something.
    """

    ids: Int[Array, "T K"]
    events: Float[Array, "T K+1"]
    """The teacher's log-probabilities, that of "other" last."""
    temperature: float = eqx.field(static=True)

    def init(self, tokens, dtype):
        return jnp.full(self.ids.shape, jnp.nan, dtype), LogSum.empty(tokens, dtype)

    def absorb(self, statistics, logits, chunk):
        stored, others = statistics
        student = logits[0] / self.temperature
        place, inside = chunk.place(self.ids)
        here = jnp.take_along_axis(student, place, axis=1, mode="clip")
        blanked = _put(student, place, jnp.full(place.shape, -jnp.inf, student.dtype))
        return jnp.where(inside, here, stored), others.add(blanked, chunk)

    def values(self, statistics):
        # An event that the teacher rules out costs nothing, be the student's log-probability minus infinity.
        student, probabilities = self._student_events(statistics), jnp.exp(self.events)
        cross_entropy = jnp.where(probabilities > 0, -probabilities * student, 0).sum(axis=1)
        forward_kl = jnp.where(probabilities > 0, probabilities * (self.events - student), 0).sum(axis=1)
        return cross_entropy, forward_kl

    def slope(self, statistics, logits, chunk, weights):
        # The target is the teacher's distribution, with "other" shared out as the student itself would.
        student, probabilities = logits[0] / self.temperature, jnp.exp(self.events)
        rest, others = probabilities[:, -1:], statistics[1].value()[:, None]
        shared = rest * jnp.exp(student - jnp.where(rest > 0, others, jnp.inf))
        target = _put(shared, chunk.place(self.ids)[0], probabilities[:, :-1])
        mass = probabilities.sum(axis=1, keepdims=True)
        scale = ((weights[0] + weights[1]) / self.temperature)[:, None]
        slope = scale * (mass * jnp.exp(student - self._log_total(statistics)[:, None]) - target)
        return jnp.where(scale == 0, 0, slope)

    def _student_events(self, statistics) -> Array:
        stored, others = statistics
        events = jnp.concatenate([stored, others.value()[:, None]], axis=1)
        return events - self._log_total(statistics)[:, None]

    def _log_total(self, statistics) -> Array:
        stored, others = statistics
        return jnp.logaddexp(jax.nn.logsumexp(stored, axis=1), others.value())


def distillation(
    student_hidden: Float[Array, "*B D"],
    student_embedding: Float[Array, "V D"],
    teacher_hidden: Float[Array, "*B E"],
    teacher_embedding: Float[Array, "U E"],
    weights: Float[Array, "*B"],
    *,
    divergence: Divergence = "forward_kl",
    mixing: float = 0.5,
    temperature: float = 1.0,
    student_cap: float | None = None,
    teacher_cap: float | None = None,
    chunk: int | None = None,
) -> Loss:
    """Temperature² times the cross-entropy from the teacher's whole distribution to the student's, or a divergence.

    Logits are `cap * tanh(hidden @ embedding.T / cap)`, of both models in chunks of the vocabulary as in
    `token_log_probabilities`; the softmaxes divide them by `temperature`. No gradient goes to the teacher. The mean
    loss has its least value where the two agree, and there it is temperature² times the teacher's entropy, not 0.

    In place of the cross-entropy, `divergence` names what else the student may minimise, P being the teacher and S
    the student (generalised knowledge distillation, 2306.13649, on texts of the data or of the student itself):
    `"reverse_kl"`, KL(S || P), or `"jensen_shannon"`, b KL(P || M) + (1 - b) KL(S || M) with M = b P + (1 - b) S and
    b = `mixing`. The latter over b tends to KL(P || S) for small b, and over 1 - b to KL(S || P) for b near 1. These
    are 0 where the two agree. Metrics: `distillation`, the loss, and the divergence by its name.

    Raises:
        ValueError: the vocabularies differ in size, the divergence is unknown, `mixing` is not between 0 and 1, the
            temperature is not positive, or `chunk` is less than 1.
    """
    if student_embedding.shape[0] != teacher_embedding.shape[0]:
        raise ValueError(
            f"the student has {student_embedding.shape[0]} tokens and the teacher {teacher_embedding.shape[0]}; "
            "distillation needs one vocabulary for both"
        )
    _check_temperature(temperature)
    if divergence not in get_args(Divergence):
        raise ValueError(f"divergence is {divergence!r}; it is one of {', '.join(map(repr, get_args(Divergence)))}")
    if not 0 < mixing < 1:
        raise ValueError(f"mixing is {mixing}; it is the teacher's weight in the mixture, between 0 and 1")
    # Two sets of logits are in memory at once.
    size = chunk_size(2 * weights.size, student_embedding.shape[0], chunk)
    student = Head(student_hidden.reshape(-1, student_hidden.shape[-1]), student_embedding, student_cap)
    teacher = Head(teacher_hidden.reshape(-1, teacher_hidden.shape[-1]), teacher_embedding, teacher_cap)
    heads = (student, jax.lax.stop_gradient(teacher))
    return _loss(_compare(heads, divergence, mixing, temperature, size), divergence, weights, temperature)


def top_k_targets(
    logits: Float[Array, "*B V"], k: int, *, temperature: float = 1.0
) -> tuple[Int[Array, "*B K"], Float[Array, "*B K"]]:
    """The teacher's k likeliest tokens and their log-probabilities in the whole softmax of `logits / temperature`.

    The log-probabilities are not renormalised over the k: what they leave is kept as the mass of all other tokens.

    Raises:
        ValueError: the temperature is not positive, or k is not in `[1, V]`.
    """
    _check_temperature(temperature)
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(f"k is {k}; it is a number of tokens from 1 to the vocabulary's {logits.shape[-1]}")
    scaled = logits.astype(np.promote_types(logits.dtype, np.float32)) / temperature
    top, ids = jax.lax.top_k(scaled, k)
    return ids, top - jax.nn.logsumexp(scaled, axis=-1, keepdims=True)


def top_k_distillation(
    hidden: Float[Array, "*B D"],
    embedding: Float[Array, "V D"],
    ids: Int[Array, "*B K"],
    log_probabilities: Float[Array, "*B K"],
    weights: Float[Array, "*B"],
    *,
    temperature: float = 1.0,
    cap: float | None = None,
    chunk: int | None = None,
) -> Loss:
    """Temperature² times the cross-entropy from stored `top_k_targets` to the student, over K + 1 events.

    The last event is "any other token": the teacher's residual mass against all that the student gives to tokens
    that are not stored. So the student is not taught that the others are impossible, as it would be by renormalised
    targets. By the data-processing inequality this `forward_kl` is at most that of the whole distributions, and with
    K = V it is equal. `temperature` must be the one that the targets were made with. The ids of a token must differ
    from each other. Metrics: `distillation`, the loss, and `forward_kl`.

    Raises:
        ValueError: the temperature is not positive, or `chunk` is less than 1.
    """
    _check_temperature(temperature)
    size = chunk_size(weights.size, embedding.shape[0], chunk)
    head = Head(hidden.reshape(-1, hidden.shape[-1]), embedding, cap)
    k = ids.shape[-1]
    stored = jax.lax.stop_gradient(log_probabilities.reshape(-1, k).astype(head.dtype))
    rest = jnp.maximum(0, -jnp.expm1(jax.nn.logsumexp(stored, axis=1, keepdims=True)))
    if k == embedding.shape[0]:
        rest = jnp.zeros_like(rest)  # what is left is rounding, and no other token could take it
    rule = _StoredTeacher(ids.reshape(-1, k), jnp.concatenate([stored, jnp.log(rest)], axis=1), temperature)
    return _loss(over_vocabulary(rule, (head,), size), "forward_kl", weights, temperature)


def _compare(
    heads: tuple[Head, Head], divergence: Divergence, mixing: float, temperature: float, size: int
) -> tuple[Array, Array]:
    """What to minimise and the divergence to report, both `[T]`."""
    if divergence == "forward_kl":
        return over_vocabulary(_FullTeacher(temperature), heads, size)
    if divergence == "reverse_kl":
        value = reverse_kl(heads, temperature, size)
    else:
        value = jensen_shannon(heads, mixing, temperature, size)
    return value, value


def _loss(values: tuple[Array, Array], divergence: Divergence, weights: Array, temperature: float) -> Loss:
    objective, value = (weighted_sum(weights.ravel(), value) for value in values)
    total = temperature**2 * objective
    return Loss(total, weights.sum(), {"distillation": total, divergence: jax.lax.stop_gradient(value)})


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be positive")


def _put(into: Float[Array, "T C"], place: Int[Array, "T K"], values: Float[Array, "T K"]) -> Float[Array, "T C"]:
    """A copy with `values` at `place` along the second axis; places past its end are dropped."""
    return into.at[jnp.arange(into.shape[0])[:, None], place].set(values, mode="drop")
