"""Towards the best of N: fine-tuning on it, BOND, and J-BOND.

Sessa and others (2024), 2407.14622. Axis letters: B prompts.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.align.experience import (
    Experience,
    Method,
    Models,
    RolloutSource,
    chosen,
    sequence_kl,
    sequence_log_probs,
    token_log_probs,
    written,
)
from culet.objectives import (
    Loss,
    better_of_two,
    bond_return,
    bond_reward,
    j_bond,
    j_bond_return,
    leave_one_out,
    quantiles,
    sequence_sum,
    token_loss,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestOfN(Method):
    """Supervised fine-tuning on the best of N completions of the reference, which is rejection sampling if it moves."""

    samples: int = 4
    judged = ("reference",)

    def __post_init__(self):
        _at_least_two(self.samples)

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The reference alone."""
        return {"reference": self.samples}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Which of each prompt's completions is best, [B]."""
        return {"best": jnp.argmax(experience.rewards["reference"], axis=1)}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """Minus the log-probability of each token of the best."""
        best = chosen(batch.rollouts["reference"], batch.targets["best"])
        nll = -token_log_probs(models.policy, best)
        return token_loss(nll, written(best), {"cross_entropy": nll}, per="token")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bond(Method):
    """Distils best-of-n of the reference by Jeffreys' divergence, (1 - beta) forward + beta backward.

    Quantiles of the reward are estimated from the reference's `samples`, the policy's own completion among them.
    """

    n: int = 4
    samples: int = 16
    beta: float = 0.5
    judged = ("policy", "reference")

    def __post_init__(self):
        _at_least_two(self.n)
        _check_weight(self.beta)
        if self.samples < self.n:
            raise ValueError(f"samples is {self.samples}; the best of n = {self.n} needs at least as many")

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """One by the policy, for the backward part, and the reference's, for quantiles and the forward part."""
        return {"policy": 1, "reference": self.samples}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Advantages of the policy's completions, and which of the reference's first n is best; [B] both."""
        rollout = experience.rollouts["policy"]
        reward, others = experience.rewards["policy"][:, 0], experience.rewards["reference"]
        below, up_to = jax.vmap(quantiles)(reward, jnp.concatenate([reward[:, None], others], axis=1))
        logs = sequence_sum(rollout.log_probabilities, written(rollout))[:, 0]
        gain = bond_return(
            bond_reward(below, up_to, self.n), logs, sequence_log_probs(models.reference, rollout)[:, 0], self.n
        )
        return {"advantages": leave_one_out(gain), "best": jnp.argmax(others[:, : self.n], axis=1)}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """The two parts, each an expectation over completions."""
        return _two_sided(models, batch, self.beta, jnp.zeros(()), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JBond(Method):
    """J-BOND: one completion of the policy against two of a reference that follows it (algorithm 2).

    Rewards enter through comparisons alone. `gamma` weighs KL(policy || reference), exact over the vocabulary.
    """

    beta: float = 0.5
    gamma: float = 1.0
    judged = ("policy", "reference")
    reference_rate = 0.02

    def __post_init__(self):
        _check_weight(self.beta)
        if not self.gamma >= 0:
            raise ValueError(f"gamma is {self.gamma}; it must be at least 0")

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """One by the policy, two by the reference."""
        return {"policy": 1, "reference": 2}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Advantages of the policy's completions, and which of the reference's is better; [B] both."""
        rollout = experience.rollouts["policy"]
        logs = sequence_sum(rollout.log_probabilities, written(rollout))[:, 0]
        gain = j_bond_return(
            experience.rewards["policy"][:, 0],
            experience.rewards["reference"],
            logs,
            sequence_log_probs(models.reference, rollout)[:, 0],
        )
        return {"advantages": leave_one_out(gain), "best": better_of_two(experience.rewards["reference"])}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`j_bond`."""
        apart = sequence_kl(models.policy, models.reference, batch.rollouts["policy"]) if self.gamma else jnp.zeros(())
        return _two_sided(models, batch, self.beta, apart, self.gamma)


def _two_sided(models: Models, batch: Experience, beta: float, apart: Float[Array, ""], gamma: float) -> Loss:
    """`j_bond` of a batch; `apart`, its divergence from the reference, is spread evenly over the prompts."""
    own, best = batch.rollouts["policy"], chosen(batch.rollouts["reference"], batch.targets["best"])
    logs = sequence_log_probs(models.policy, jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), own, best))
    return j_bond(
        logs[:, 0], batch.targets["advantages"], logs[:, 1], jnp.full(len(logs), apart / len(logs)),
        jnp.ones(len(logs)),
        beta=beta, gamma=gamma,
    )  # fmt: skip


def _at_least_two(n: int) -> None:
    if n < 2:
        raise ValueError(f"n is {n}; the best is taken of at least 2")


def _check_weight(beta: float) -> None:
    if not 0 <= beta <= 1:
        raise ValueError(f"beta is {beta}; it is the weight of the backward divergence, from 0 to 1")
