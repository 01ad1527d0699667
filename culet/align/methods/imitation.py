"""Imitation of demonstrations: likelihood regularised by the reward it implies, and the adversarial variant.

Wulfmeier and others (2024), 2409.01369. Axis letters: B prompts, N new tokens.
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.align.experience import Experience, Method, Writer, ends, flat, token_logs, written
from culet.align.models import Models
from culet.align.rollout import Rollout, hidden
from culet.lm import Decoder
from culet.objectives import (
    Loss,
    adversarial_reward,
    discriminator,
    inverse_q_learning,
    leave_one_out,
    mixture,
    recovered_reward,
    reinforce,
    reward_size,
    soft_values,
    token_loss,
)
from culet.objectives.inverse import AdversarialReward


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverseQLearning(Method):
    """`strength` 0 is maximum likelihood, to the bit; more of it keeps the reward that the policy implies small.

    `online` is the share of the regulariser that is taken on the policy's own completions.
    """

    strength: float = 0.01
    discount: float = 1.0
    online: float = 0.0

    def __post_init__(self):
        if not self.strength >= 0:
            raise ValueError(f"strength is {self.strength}; it must be at least 0")
        if not 0 <= self.online < 1:
            raise ValueError(f"online is {self.online}; it is a share from 0 to below 1")

    def writers(self, step: int) -> Mapping[Writer, int]:
        """The data, and if it is asked for the policy."""
        return {"data": 1, "policy": 1} if self.online else {"data": 1}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`inverse_q_learning` per token; `reward_size` of the policy's own completions, weighed like those."""
        expert = _read(models.policy, flat(batch.rollouts["data"]))
        strength = self.strength * (1 - self.online)
        loss = inverse_q_learning(*expert, strength=strength, discount=self.discount, per="token")
        if not self.online:
            return loss
        own = reward_size(*_read(models.policy, flat(batch.rollouts["policy"])), discount=self.discount, per="token")
        share = self.strength * self.online * loss.weight / jnp.maximum(own.weight, 1)
        size = own.metrics["policy_squared_reward"] * loss.weight / jnp.maximum(own.weight, 1)
        metrics = loss.metrics | {"policy_squared_reward": size}
        return Loss(loss.total + share * own.total, loss.weight, metrics)


def token_rewards(model: Decoder, rollout: Rollout, *, discount: float = 1.0) -> Float[Array, "B N"]:
    """The reward of each token that a policy implies, of a rollout without the axis K (see `recovered_reward`)."""
    return recovered_reward(*_read(model, rollout), discount=discount)


def _read(model: Decoder, rollout: Rollout) -> tuple[Array, Array, Array, Array]:
    """What the objectives ask for: log-probabilities, values, mask, and where the text ended by itself."""
    logs, values = soft_values(hidden(model, rollout), model.embedding, rollout.completions, cap=model.config.logit_cap)
    return logs, values, written(rollout), ends(rollout) & rollout.finished[:, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Method):
    """A discriminator tells the data's completions from the policy's, and the policy is rewarded for misleading it.

    `likelihood` weighs the likelihood of the data beside, as the paper does (its section 3.1).
    """

    likelihood: float = 1.0
    form: AdversarialReward = "minus_log_one_minus_d"
    discriminator = True

    def writers(self, step: int) -> Mapping[Writer, int]:
        """The data and the policy."""
        return {"data": 1, "policy": 1}

    def appraise(self, models: Models, seen: Experience) -> Mapping[str, Array]:
        """Advantages of the policy's completions, [B]."""
        reward = adversarial_reward(models.discriminator.of_whole(flat(seen.rollouts["policy"])), form=self.form)
        return {"advantages": leave_one_out(reward)}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """Policy gradient, likelihood and the discriminator's cross-entropy, each a mean over prompts."""
        data, own = batch.rollouts["data"], batch.rollouts["policy"]
        logs, heard = token_logs(models.policy, own), -token_logs(models.policy, data)
        advantages = jnp.broadcast_to(batch.terms["advantages"][:, None, None], logs.shape)
        gain = reinforce(logs, advantages, written(own), per="sequence")
        likely = token_loss(heard, written(data), {"cross_entropy": heard}, per="sequence_mean")
        judged = jnp.concatenate([models.discriminator.of_whole(flat(each)) for each in (data, own)])
        count = len(batch.lesson)
        told = discriminator(judged, jnp.arange(2 * count) < count, jnp.full(2 * count, 0.5))
        return mixture([(1.0, gain), (self.likelihood, likely), (1.0, told)])
