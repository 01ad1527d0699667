"""Learning from teachers: on-policy distillation, sequence distillation, several teachers for one student.

Axis letters: B prompts, N new tokens.
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from culet.align.experience import Experience, Method, Models, RolloutSource, flat, token_log_probs, written
from culet.align.rollout import Rollout, hidden
from culet.lm import Decoder
from culet.objectives import Loss, distillation, token_and_mean_log_probabilities, token_loss
from culet.objectives.teacher import Divergence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distil(Method):
    """Generalised knowledge distillation (Agarwal and others 2023, 2306.13649).

    The teacher's distribution is learned at every token of completions: the student's own at a fraction `on_policy` of
    the steps, and those of the data at the others. `sharpness` divides the teacher's logits alone, as policy
    distillation does with 0.01 (Rusu and others 2015, 1511.06295). Each prompt names its teacher in the column
    "teacher", a number from 0.
    """

    divergence: Divergence = "reverse_kl"
    mixing: float = 0.5
    temperature: float = 1.0
    sharpness: float = 1.0
    on_policy: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.on_policy <= 1:
            raise ValueError(f"on_policy is {self.on_policy}; it is a fraction of the steps, from 0 to 1")
        if not self.sharpness > 0:
            raise ValueError(f"sharpness is {self.sharpness}; it must be positive")

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The student or the data, by a random number that depends on seed and step alone."""
        drawn = np.random.default_rng([self.seed, step]).random()
        return {"policy" if drawn < self.on_policy else "data": 1}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`distillation` per token, from each prompt's own teacher. Raises ValueError if there is none."""
        if not models.teachers:
            raise ValueError("there is no teacher to learn from; give align(teachers=(model, ...))")
        (rollout,) = map(flat, batch.rollouts.values())
        before = hidden(models.policy, rollout)
        parts = []
        for number, teacher in enumerate(models.teachers):
            mask = jnp.where((batch.teacher_ids == number)[:, None], rollout.mask, 0)
            parts.append(self._from_teacher(models.policy, before, teacher, rollout, mask))
        metrics = {name: sum((part.metrics[name] for part in parts), jnp.zeros(())) for name in parts[0].metrics}
        return Loss(sum((part.total for part in parts), jnp.zeros(())), rollout.mask.sum(), metrics)

    def _from_teacher(
        self, student: Decoder, before: Float[Array, "B N D"], teacher: Decoder, rollout: Rollout,
        mask: Float[Array, "B N"],
    ) -> Loss:  # fmt: skip
        cap = teacher.config.logit_cap
        return distillation(
            before, student.embedding, hidden(teacher, rollout) / self.sharpness, teacher.embedding, mask,
            divergence=self.divergence, mixing=self.mixing, temperature=self.temperature,
            student_cap=student.config.logit_cap, teacher_cap=None if cap is None else cap / self.sharpness,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Likelihood(Method):
    """Maximum likelihood of completions: supervised fine-tuning on the data, or on what a teacher writes.

    The latter is sequence distillation (Kim and Rush 2016, 1606.07947). `smoothing` of the target is spread evenly over
    the vocabulary (Szegedy and others 2015, 1512.00567, section 7).
    """

    source: RolloutSource = "data"
    smoothing: float = 0.0

    def __post_init__(self):
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is {self.smoothing}; it must be at least 0 and below 1")

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """One completion by the one source."""
        return {self.source: 1}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """Minus the log-probability of each token, mixed with the mean over the vocabulary if targets are smoothed."""
        rollout = batch.rollouts[self.source]
        if not self.smoothing:
            nll = -token_log_probs(models.policy, rollout)
            return token_loss(nll, written(rollout), {"cross_entropy": nll}, per="token")
        rows, policy = flat(rollout), models.policy
        logs, mean_logs = token_and_mean_log_probabilities(
            hidden(policy, rows), policy.embedding, rows.completions, cap=policy.config.logit_cap
        )
        smooth = -(1 - self.smoothing) * logs - self.smoothing * mean_logs
        return token_loss(smooth, written(rows), {"cross_entropy": -logs}, per="token")
