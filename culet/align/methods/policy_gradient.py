"""Reinforcement learning on completions: REINFORCE, RLOO, GRPO and PPO.

Axis letters: B prompts, K completions of each, N new tokens.
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
    flat,
    sequence_log_probs,
    token_log_probs,
    written,
)
from culet.objectives import (
    Loss,
    Per,
    clipped_value_loss,
    generalised_advantages,
    group_advantages,
    leave_one_out,
    mixture,
    ppo,
    reinforce,
    sampled_kl,
    sequence_sum,
)
from culet.objectives.kl import Direction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforce(Method):
    """The policy gradient of E[reward] - beta KL(policy || reference).

    With several `samples` of a prompt the baseline of each is the mean of the prompt's others (RLOO, Ahmadian and
    others 2024, 2402.14740); with one, the mean of the batch's others (REINFORCE).
    """

    samples: int = 2
    beta: float = 0.1
    judged = ("policy",)

    def __post_init__(self):
        _at_least("samples", self.samples, 1)
        _at_least("beta", self.beta, 0)

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The policy alone."""
        return {"policy": self.samples}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Advantages [B, K]; the divergence is part of the reward, by the estimator k1."""
        rollout = experience.rollouts["policy"]
        apart = sequence_sum(rollout.log_probabilities, written(rollout)) - sequence_log_probs(
            models.reference, rollout
        )
        returns = experience.rewards["policy"] - self.beta * apart
        if self.samples == 1:
            return {"advantages": leave_one_out(returns[:, 0])[:, None]}
        return {"advantages": jax.vmap(leave_one_out)(returns)}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`reinforce` per sequence."""
        rollout = batch.rollouts["policy"]
        logs = token_log_probs(models.policy, rollout)
        return reinforce(logs, _spread(batch.targets["advantages"], logs), written(rollout), per="sequence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupRelative(Method):
    """GRPO (Shao and others 2024, 2402.03300): the clipped surrogate with advantages relative to a prompt's group.

    With `divide` the advantages are divided by the group's deviation, as in the paper; without, and `per` "token", it
    is the variant of 2503.20783. The divergence is a loss of its own in the named direction; the paper's estimator k3
    has, differentiated, the gradient of the forward one.
    """

    samples: int = 8
    beta: float = 0.04
    clip: float = 0.2
    divide: bool = True
    direction: Direction = "reverse"
    per: Per = "sequence_mean"
    updates: int = 1
    judged = ("policy",)

    def __post_init__(self):
        _at_least("samples", self.samples, 2)
        _at_least("beta", self.beta, 0)
        _at_least("updates", self.updates, 1)

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The policy alone."""
        return {"policy": self.samples}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Advantages [B, K], and the reference's log-probabilities [B, K, N]."""
        advantages = jax.vmap(lambda group: group_advantages(group, divide_by_deviation=self.divide))
        return {
            "advantages": advantages(experience.rewards["policy"]),
            "reference": token_log_probs(models.reference, experience.rollouts["policy"]),
        }

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`ppo` and `sampled_kl`, normalised alike."""
        rollout, mask = batch.rollouts["policy"], written(batch.rollouts["policy"])
        logs = token_log_probs(models.policy, rollout)
        advantages = _spread(batch.targets["advantages"], logs)
        gain = ppo(logs, rollout.log_probabilities, advantages, mask, clip=self.clip, per=self.per)
        divergence = sampled_kl(logs, batch.targets["reference"], mask, direction=self.direction, per=self.per)
        return mixture([(1.0, gain), (self.beta, divergence)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProximalPolicy(Method):
    """PPO (Schulman and others 2017, 1707.06347) with a critic that begins as a copy of the policy.

    Each token costs beta (log policy - log reference), and the reward comes with the last one. A completion that the
    limit on new tokens cut off has not ended: the critic's value of the text after its last token stands for what would
    have followed.
    """

    samples: int = 1
    beta: float = 0.05
    clip: float = 0.2
    discount: float = 1.0
    trace: float = 0.95
    value_weight: float = 0.5
    updates: int = 2
    judged = ("policy",)
    critic = True

    def __post_init__(self):
        _at_least("samples", self.samples, 1)
        _at_least("updates", self.updates, 1)

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The policy alone."""
        return {"policy": self.samples}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Values, advantages and returns of each token, [B, K, N]."""
        rollout, mask = experience.rollouts["policy"], written(experience.rollouts["policy"])
        episode = flat(rollout).episode(experience.rewards["policy"].ravel())
        costs = self.beta * (rollout.log_probabilities - token_log_probs(models.reference, rollout))
        rewards = episode.reward[:, :-1] - flat(jnp.where(mask, costs, 0))
        values = jnp.where(episode.mask == 0, 0, models.critic.of_states(flat(rollout)))

        def estimate(*row: Array) -> tuple[Array, Array]:
            estimates = generalised_advantages(*row, discount=self.discount, trace=self.trace)
            return estimates.advantages, estimates.returns

        steps = (rewards, values[:, :-1], values[:, 1:], episode.terminal[:, 1:], episode.last[:, 1:])
        advantages, returns = jax.vmap(estimate)(*steps)
        targets = {"values": values[:, :-1], "advantages": advantages, "returns": returns}
        return {name: target.reshape(mask.shape) for name, target in targets.items()}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`ppo` and `clipped_value_loss` per token."""
        rollout, targets = batch.rollouts["policy"], batch.targets
        mask, logs = written(rollout), token_log_probs(models.policy, rollout)
        values = models.critic.before_tokens(flat(rollout)).reshape(mask.shape)
        gain = ppo(logs, rollout.log_probabilities, targets["advantages"], mask, clip=self.clip, per="token")
        critic = clipped_value_loss(values, targets["values"], targets["returns"], mask, clip=self.clip, per="token")
        return mixture([(1.0, gain), (self.value_weight, critic)])


def _spread(advantages: Float[Array, "B K"], like: Float[Array, "B K N"]) -> Float[Array, "B K N"]:
    return jnp.broadcast_to(advantages[..., None], like.shape)


def _at_least(name: str, value: float | int, least: int) -> None:
    if not value >= least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")
