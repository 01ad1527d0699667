"""What a decoder is trained on: batches of packed rows to the losses of `culet.objectives`.

A batch is a dict of arrays [B, T]: `inputs`, `targets`, `positions` (see `Decoder`) and `weights` (0 where no gradient
comes from). Axis letters: B rows, T tokens, K stored tokens.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Key

from culet.lm.decoder import Decoder
from culet.objectives import (
    Loss,
    Objective,
    cross_entropy,
    distillation,
    mixture,
    top_k_distillation,
    top_k_targets,
)

Batch = Mapping[str, Array]


class StudentAndTeacher(eqx.Module):
    """The model that `from_teacher` takes: a student, and its teacher, who gets no gradient (see `culet.lm.distil`)."""

    student: Any
    teacher: Any


def next_token(*, remat: bool = False, scan: bool = False) -> Objective:
    """Likelihood of each row's next tokens: pre-training, and with weights 0 on prompts supervised fine-tuning."""

    def loss(model: Decoder, batch: Batch, key: Key[Array, ""]) -> Loss:
        del key
        return _likelihood(model, _hidden(model, batch, remat, scan), batch)

    return loss


def from_teacher(
    *, temperature: float = 1.0, fraction: float = 1.0, remat: bool = False, scan: bool = False
) -> Objective:
    """The teacher's whole distribution in place of the one token that came (2408.00118, section 3).

    `fraction` of the loss is distillation and the rest next-token likelihood. The model is a `StudentAndTeacher`.
    """
    _check_fraction(fraction)

    def loss(pair: StudentAndTeacher, batch: Batch, key: Key[Array, ""]) -> Loss:
        del key
        student, teacher = pair.student, pair.teacher
        hidden = _hidden(student, batch, remat, scan)
        distilled = distillation(
            hidden, student.embedding, _hidden(teacher, batch, False, scan), teacher.embedding, batch["weights"],
            temperature=temperature, student_cap=student.config.logit_cap, teacher_cap=teacher.config.logit_cap,
        )  # fmt: skip
        return _mixed(student, hidden, batch, distilled, fraction)

    return loss


def from_stored(
    *, temperature: float = 1.0, fraction: float = 1.0, remat: bool = False, scan: bool = False
) -> Objective:
    """Distillation from `store_top_k`: batches carry `teacher_ids` and `teacher_log_probabilities`, both [B, T, K]."""
    _check_fraction(fraction)

    def loss(model: Decoder, batch: Batch, key: Key[Array, ""]) -> Loss:
        del key
        hidden = _hidden(model, batch, remat, scan)
        distilled = top_k_distillation(
            hidden, model.embedding, batch["teacher_ids"], batch["teacher_log_probabilities"], batch["weights"],
            temperature=temperature, cap=model.config.logit_cap,
        )  # fmt: skip
        return _mixed(model, hidden, batch, distilled, fraction)

    return loss


@eqx.filter_jit
def store_top_k(teacher: Decoder, batch: Batch, k: int, *, temperature: float = 1.0) -> dict[str, Array]:
    """The batch with the teacher's k likeliest tokens at each place, for `from_stored`."""

    def row(inputs, positions):
        return top_k_targets(teacher(inputs, positions), k, temperature=temperature)

    ids, log_probabilities = jax.lax.map(lambda one: row(*one), (batch["inputs"], batch["positions"]))
    return {**batch, "teacher_ids": ids, "teacher_log_probabilities": log_probabilities}


def _hidden(model: Decoder, batch: Batch, remat: bool, scan: bool) -> Array:
    return jax.vmap(lambda inputs, positions: model.hidden(inputs, positions, remat=remat, scan=scan))(
        batch["inputs"], batch["positions"]
    )


def _likelihood(model: Decoder, hidden: Array, batch: Batch) -> Loss:
    return cross_entropy(hidden, model.embedding, batch["targets"], batch["weights"], cap=model.config.logit_cap)


def _mixed(student: Decoder, hidden: Array, batch: Batch, distilled: Loss, fraction: float) -> Loss:
    """`fraction` of distillation and the rest of next-token likelihood, which is among the metrics in any case."""
    if fraction == 1.0:
        nll = _likelihood(student, jax.lax.stop_gradient(hidden), batch)
        return Loss(distilled.total, distilled.weight, distilled.metrics | jax.lax.stop_gradient(nll.metrics))
    return mixture([(fraction, distilled), (1.0 - fraction, _likelihood(student, hidden, batch))])


def _check_fraction(fraction: float) -> None:
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"the fraction of distillation in the loss is {fraction}; it must lie between 0 and 1")
