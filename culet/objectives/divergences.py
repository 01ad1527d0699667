"""Divergences of a student from its teacher, in one or two passes over chunks of the vocabulary.

Heads are (student, teacher); the gradient goes to the first.

Axis letters: T tokens, V vocabulary, C entries of the vocabulary in one chunk.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.objectives.vocabulary import Head, LogSum, Rule, over_vocabulary


def reverse_kl(heads: tuple[Head, Head], temperature: float, size: int) -> Float[Array, "T"]:
    """KL(student || teacher) of softmaxes at a temperature, in nats. `size` is the entries per chunk."""
    return over_vocabulary(_ReverseKL(temperature), heads, size)


def jensen_shannon(heads: tuple[Head, Head], teacher_weight: float, temperature: float, size: int) -> Float[Array, "T"]:
    """The divergence b KL(P || M) + (1 - b) KL(S || M) with M = b P + (1 - b) S, of teacher P and student S, in nats.

    b is `teacher_weight`, and the softmaxes are at a temperature. `size` is the entries per chunk.
    """
    log_sums: tuple[Array, Array] = jax.lax.stop_gradient(over_vocabulary(_LogSums(temperature), heads, size))
    return over_vocabulary(_JensenShannon(log_sums[0], log_sums[1], teacher_weight, temperature), heads, size)


class _ReverseKL(Rule):
    """One pass. Statistics: the log-sums of both, and the sum of student's logits minus teacher's.

    That sum is under the student's unnormalised distribution, relative to its log-sum's top.
    """

    temperature: float = eqx.field(static=True)

    def init(self, tokens, dtype):
        return LogSum.empty(tokens, dtype), LogSum.empty(tokens, dtype), jnp.zeros(tokens, dtype)

    def absorb(self, statistics, logits, chunk):
        student_sum, teacher_sum, excess = statistics
        student, teacher = (z / self.temperature for z in logits)
        top, terms, shrinkage = student_sum.raise_to(student, chunk)
        return (
            LogSum(top, student_sum.total * shrinkage + terms.sum(axis=-1)),
            teacher_sum.add(teacher, chunk),
            excess * shrinkage + (terms * (student - teacher)).sum(axis=-1),
        )

    def values(self, statistics):
        student_sum, teacher_sum, excess = statistics
        return excess / student_sum.total - student_sum.value() + teacher_sum.value()

    def slope(self, statistics, logits, chunk, weights):
        student, teacher = (
            z / self.temperature - log_sum.value()[:, None] for z, log_sum in zip(logits, statistics[:2], strict=True)
        )
        more = student - teacher - self.values(statistics)[:, None]
        return (weights / self.temperature)[:, None] * jnp.exp(student) * more


class _LogSums(Rule):
    """The log-sums of student and teacher at a temperature: the first of two passes."""

    temperature: float = eqx.field(static=True)

    def init(self, tokens, dtype):
        return LogSum.empty(tokens, dtype), LogSum.empty(tokens, dtype)

    def absorb(self, statistics, logits, chunk):
        return tuple(log_sum.add(z / self.temperature, chunk) for log_sum, z in zip(statistics, logits, strict=True))

    def values(self, statistics):
        return tuple(log_sum.value() for log_sum in statistics)

    def slope(self, statistics, logits, chunk, weights):
        return (weights[0] / self.temperature)[:, None] * jnp.exp(
            logits[0] / self.temperature - statistics[0].value()[:, None]
        )


class _JensenShannon(Rule):
    """The second of two passes: the fields have the log-sums of the first. Statistics: the two divergences.

    What moves the log-sums is in the slope already, so they are constants here.
    """

    student_sum: Float[Array, "T"]
    teacher_sum: Float[Array, "T"]
    teacher_weight: float = eqx.field(static=True)
    temperature: float = eqx.field(static=True)

    def init(self, tokens, dtype):
        return jnp.zeros(tokens, dtype), jnp.zeros(tokens, dtype)

    def absorb(self, statistics, logits, chunk):
        from_student, from_teacher = statistics
        student, teacher, middle = self._logs(logits)

        def add(so_far: Array, log: Array) -> Array:
            return so_far + jnp.where(chunk.fresh[None, :], jnp.exp(log) * (log - middle), 0).sum(axis=-1)

        return add(from_student, student), add(from_teacher, teacher)

    def values(self, statistics):
        from_student, from_teacher = statistics
        # Two distributions that agree differ by rounding alone, which may be negative where the divergence is not.
        return jnp.maximum(0, (1 - self.teacher_weight) * from_student + self.teacher_weight * from_teacher)

    def slope(self, statistics, logits, chunk, weights):
        student, _, middle = self._logs(logits)
        scale = (1 - self.teacher_weight) * weights / self.temperature
        return scale[:, None] * jnp.exp(student) * (student - middle - statistics[0][:, None])

    def _logs(self, logits: list[Array]) -> tuple[Array, Array, Array]:
        """Log-probabilities of one chunk: the student's, the teacher's and the mixture's."""
        student, teacher = logits[0] / self.temperature, logits[1] / self.temperature
        student, teacher = student - self.student_sum[:, None], teacher - self.teacher_sum[:, None]
        log_weights = jnp.log(jnp.array([1 - self.teacher_weight, self.teacher_weight], student.dtype))
        return student, teacher, jnp.logaddexp(student + log_weights[0], teacher + log_weights[1])
