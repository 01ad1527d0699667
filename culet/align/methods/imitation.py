"""Imitation of demonstrations: likelihood regularised by the reward it implies, and the adversarial variant.

Wulfmeier and others (2024), 2409.01369. Axis letters: B prompts, N new tokens.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.align.experience import Experience, Method, Models, RolloutSource, ends, flat, token_log_probs, written
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
    soft_values,
    token_loss,
)
from culet.objectives.inverse import AdversarialReward


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverseQLearning(Method):
    """`strength` 0 is maximum likelihood, to the bit; more of it keeps the reward that the policy implies small.

    `online` is the fraction of the regulariser that is taken on the policy's own completions.
    """

    strength: float = 0.01
    discount: float = 1.0
    online: float = 0.0

    def __post_init__(self):
        if not self.strength >= 0:
            raise ValueError(f"strength is {self.strength}; it must be at least 0")
        if not 0 <= self.online < 1:
            raise ValueError(f"online is {self.online}; it must be at least 0 and below 1")

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The data, and with `online` the policy too."""
        return {"data": 1, "policy": 1} if self.online else {"data": 1}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """`inverse_q_learning` per token; the squared rewards of the policy's own completions, weighed like those."""
        data = flat(batch.rollouts["data"])
        logs, rewards = _implied(models.policy, data, self.discount)
        strength = self.strength * (1 - self.online)
        loss = inverse_q_learning(logs, rewards, written(data), strength=strength, per="token")
        if not self.online:
            return loss
        own = flat(batch.rollouts["policy"])
        square = jnp.square(token_rewards(models.policy, own, discount=self.discount))
        size = token_loss(square, written(own), {}, per="token")
        size = size.total * loss.weight / jnp.maximum(size.weight, 1)
        metrics = loss.metrics | {"policy_squared_reward": jax.lax.stop_gradient(size)}
        return Loss(loss.total + self.strength * self.online * size, loss.weight, metrics)


def token_rewards(model: Decoder, rollout: Rollout, *, discount: float = 1.0) -> Float[Array, "B N"]:
    """The reward of each token that a policy implies, of a rollout without the axis K (see `recovered_reward`)."""
    return _implied(model, rollout, discount)[1]


def _implied(model: Decoder, rollout: Rollout, discount: float) -> tuple[Float[Array, "B N"], Float[Array, "B N"]]:
    """The log-probability of each token, and the reward that it implies."""
    logs, values = soft_values(hidden(model, rollout), model.embedding, rollout.completions, cap=model.config.logit_cap)
    ended = ends(rollout) & rollout.finished[:, None]
    return logs, recovered_reward(logs, values, written(rollout), ended, discount=discount)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Method):
    """A discriminator tells the data's completions from the policy's, and the policy is rewarded for misleading it.

    `likelihood` weighs the likelihood of the data beside, as the paper does (its section 3.1).
    """

    likelihood: float = 1.0
    form: AdversarialReward = "minus_log_one_minus_d"
    discriminator = True

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """The data and the policy."""
        return {"data": 1, "policy": 1}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """Advantages of the policy's completions, [B]."""
        reward = adversarial_reward(models.discriminator.of_whole(flat(experience.rollouts["policy"])), form=self.form)
        return {"advantages": leave_one_out(reward)}

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """Policy gradient, likelihood and the discriminator's cross-entropy, each a mean over prompts."""
        data, own = batch.rollouts["data"], batch.rollouts["policy"]
        logs, nll = token_log_probs(models.policy, own), -token_log_probs(models.policy, data)
        advantages = jnp.broadcast_to(batch.targets["advantages"][:, None, None], logs.shape)
        gain = reinforce(logs, advantages, written(own), per="sequence")
        likelihood = token_loss(nll, written(data), {"cross_entropy": nll}, per="sequence_mean")
        logits = jnp.concatenate([models.discriminator.of_whole(flat(each)) for each in (data, own)])
        count = len(batch.teacher_ids)
        discrimination = discriminator(logits, jnp.arange(2 * count) < count, jnp.full(2 * count, 0.5))
        return mixture([(1.0, gain), (self.likelihood, likelihood), (1.0, discrimination)])
