"""Inverse reinforcement learning from text (Wulfmeier and others 2024, 2409.01369).

A language model's logits are read as Q(s, a), so that v(s) = logsumexp of the logits is the soft value of a prefix and
log-probability = Q - v. The reward of a token is r = Q(s, a) - discount * v(s') = v + log-probability - discount * v',
with v' = 0 after the end of the text. Likelihood leaves the constant of each row of logits free; here it means
something, so a soft cap of the logits or a z-loss changes the method.

Axis letters: T tokens, B any leading axes.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from culet.objectives.likelihood import weighted_sum
from culet.objectives.loss import Loss, Scalar
from culet.objectives.tokens import Per, masked, sequence_starts, token_loss

AdversarialReward = Literal["log_d", "minus_log_one_minus_d"]


def recovered_reward(
    log_probabilities: Float[Array, "*B T"],
    values: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    terminal: Bool[Array, "*B T"],
    *,
    discount: Scalar,
    positions: Int[Array, "*B T"] | None = None,
) -> Float[Array, "*B T"]:
    """The reward of each token that the mask lets through, from `soft_values`; 0 elsewhere.

    `terminal` is true at the end token, after which v' = 0. A text cut off before its end has none, and since the
    value after its last token is unknown, that token has reward 0 too. With discount 1 the rewards of a whole text
    add up to the value of its prompt plus the text's log-probability. Differentiable in v' as well: the residual
    gradient, not that of temporal differences with a target held fixed. `positions` as in `token_loss`.
    """
    chosen, values = masked(mask, log_probabilities), masked(mask, values)
    goes_on = mask & ~sequence_starts(mask, positions)
    follows = jnp.concatenate([goes_on[..., 1:], jnp.zeros_like(goes_on[..., :1])], axis=-1) & ~terminal
    later = jnp.concatenate([values[..., 1:], jnp.zeros_like(values[..., :1])], axis=-1)
    reward = values + chosen - discount * jnp.where(follows, later, 0)
    return jnp.where(mask & (follows | terminal), reward, 0)


def inverse_q_learning(
    log_probabilities: Float[Array, "*B T"],
    rewards: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    strength: Scalar,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """Maximum likelihood regularised by the size of the reward it implies: strength * r² - log-probability.

    On the expert's tokens, `rewards` being their `recovered_reward`. With strength 0 and per `"token"` it is
    `cross_entropy`, to the bit, its gradient too. Raise the strength slowly on a model whose values start large (a
    pre-trained one's are 20 to 30). Metrics: `cross_entropy`, `squared_reward`.

    Raises:
        ValueError: `per` is unknown.
    """
    nll, square = -masked(mask, log_probabilities), jnp.square(masked(mask, rewards))
    metrics = {"cross_entropy": nll, "squared_reward": square}
    return token_loss(strength * square + nll, mask, metrics, per=per, positions=positions)


def discriminator(logits: Float[Array, "*B"], expert: Bool[Array, "*B"], weights: Float[Array, "*B"]) -> Loss:
    """Cross-entropy of telling the expert's texts from the policy's, D = sigmoid(logits) being "the expert's".

    Its optimum has the logit log(p_expert / p_policy), and if they are alike the mean is log 2. A text with weight 0
    is masked. Metrics: `discriminator`, and `accuracy` of the sign, where a logit of 0 is half right.
    """
    logits = jnp.where(weights == 0, 0, logits)
    signed = jnp.where(expert, logits, -logits)
    total = weighted_sum(weights, jax.nn.softplus(-signed))
    right = weighted_sum(weights, 0.5 * (1 + jnp.sign(signed)))
    return Loss(total, weights.sum(), jax.lax.stop_gradient({"discriminator": total, "accuracy": right}))


def adversarial_reward(logits: Float[Array, "*B"], *, form: AdversarialReward) -> Float[Array, "*B"]:
    """The policy's reward from a discriminator's logits: log D, never positive, or -log(1 - D), never negative.

    The first rewards ending early and the second going on. No gradient flows.

    Raises:
        ValueError: `form` is neither.
    """
    if form not in get_args(AdversarialReward):
        raise ValueError(f"form is {form!r}; it is one of {', '.join(map(repr, get_args(AdversarialReward)))}")
    logits = jax.lax.stop_gradient(logits)
    return -jax.nn.softplus(-logits) if form == "log_d" else jax.nn.softplus(logits)
