"""Best-of-N as a distribution, and distilling it into a policy: BOND and J-BOND (Sessa and others 2024, 2407.14622).

Rewards enter only through comparisons, so every strictly increasing map of them gives the same result to the bit.
Log-probabilities are those of whole completions (see `sequence_sum`).

Axis letters: Y completions of an enumerable set, N candidates of which the best is taken, M samples of the reference,
B any leading axes.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from culet.objectives.kl import divergence
from culet.objectives.likelihood import weighted_sum
from culet.objectives.loss import Loss, Scalar

WORSE_THAN_BOTH = -math.log(16)
"""J-BOND's reward for a sample worse than both of the reference's: then its mean at the median is log(1/2)."""


def quantiles(
    rewards: Float[Array, "*B"], reference_rewards: Float[Array, "M"], probabilities: Float[Array, "M"] | None = None
) -> tuple[Float[Array, "*B"], Float[Array, "*B"]]:
    """The probabilities that the reference's reward is less than each of `rewards`, and that it is at most as much.

    With `probabilities`, those of an enumerable reference: exact. Without, `reference_rewards` are of samples and the
    fractions of them are estimates without bias. The estimate of "at most" may be 0, whose logarithm a caller cannot
    use; with the completion itself among the samples it is at least 1 / M.
    """
    mass = jnp.full_like(reference_rewards, 1 / reference_rewards.size) if probabilities is None else probabilities
    every = (*rewards.shape, reference_rewards.size)
    reward, others, mass = rewards[..., None], *(jnp.broadcast_to(x, every) for x in (reference_rewards, mass))
    return jnp.where(others < reward, mass, 0).sum(axis=-1), jnp.where(others <= reward, mass, 0).sum(axis=-1)


def bond_reward(below: Float[Array, "*B"], up_to: Float[Array, "*B"], n: int) -> Float[Array, "*B"]:
    """The reward whose optimum, with KL(policy || reference) weighted by 1 / (n - 1), is best-of-n.

    It is log p_up_to + log(sum over i < n of (p_below / p_up_to)^i) / (n - 1), from `quantiles`; minus infinity
    where `up_to` is 0.

    Raises:
        ValueError: n is less than 2, where best-of-n is the reference and no reward makes it so.
    """
    if n < 2:
        raise ValueError(f"n is {n}; the best is taken of at least 2")
    return jnp.log(up_to) + _log_ties(below, up_to, n) / (n - 1)


def best_of_n_log_probabilities(
    log_probabilities: Float[Array, "Y"], rewards: Float[Array, "Y"], n: int
) -> Float[Array, "Y"]:
    """The log-probabilities of the best of n independent samples of an enumerable reference.

    Ties are broken at random. The completions of one reward together have p_up_to^n - p_below^n, shared among them
    as the reference does.

    Raises:
        ValueError: n is less than 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}; the best is taken of at least 1")
    below, up_to = quantiles(rewards, rewards, jnp.exp(log_probabilities))
    return log_probabilities + (n - 1) * jnp.log(up_to) + _log_ties(below, up_to, n)


def best_of_n_kl_bound(n: int) -> float:
    """KL(best-of-n || reference) without ties: log n - (n - 1) / n nats; with ties it is less (2401.01879).

    Without ties the best of n beats one sample of the reference with probability n / (n + 1).
    """
    return math.log(n) - (n - 1) / n


def jeffreys(policy: Float[Array, "Y"], target: Float[Array, "Y"], *, beta: Scalar) -> Float[Array, ""]:
    """(1 - beta) KL(target || policy) + beta KL(policy || target), of log-probabilities of an enumerable set."""
    return (1 - beta) * divergence(target, policy) + beta * divergence(policy, target)


def bond_return(
    rewards: Float[Array, "*B"], policy: Float[Array, "*B"], reference: Float[Array, "*B"], n: int
) -> Float[Array, "*B"]:
    """What BOND's backward part reinforces, (n - 1) r_bond - (log policy - log reference), without gradient.

    `rewards` are those of `bond_reward` on samples of the policy. As the advantage of `reinforce` per `"sequence"`,
    less a baseline such as `leave_one_out` takes, its gradient is that of KL(policy || best-of-n).
    """
    return jax.lax.stop_gradient((n - 1) * rewards - (policy - reference))


def better_of_two(reference_rewards: Float[Array, "*B 2"]) -> Int[Array, "*B"]:
    """Which of two samples of the reference is the better one; the first where they are equal, the two being alike."""
    return jnp.argmax(reference_rewards, axis=-1)


def j_bond_return(
    reward: Float[Array, "*B"],
    reference_rewards: Float[Array, "*B 2"],
    policy: Float[Array, "*B"],
    reference: Float[Array, "*B"],
) -> Float[Array, "*B"]:
    """What J-BOND's backward part reinforces, of one sample of the policy.

    `WORSE_THAN_BOTH` if its reward is less than both of the reference's two samples', 0 if not, less
    log policy - log reference of the sample; without gradient. To become `advantages` it wants a baseline: the mean
    over the other prompts of the batch, as `leave_one_out` takes.
    """
    worse = reward < reference_rewards.min(axis=-1)
    return jax.lax.stop_gradient(jnp.where(worse, WORSE_THAN_BOTH, 0) - (policy - reference))


def j_bond(
    policy: Float[Array, "*B"],
    advantages: Float[Array, "*B"],
    best: Float[Array, "*B"],
    reference_kl: Float[Array, "*B"],
    weights: Float[Array, "*B"],
    *,
    beta: Scalar,
    gamma: Scalar,
) -> Loss:
    """One step of J-BOND towards the best of two samples of its reference.

    `policy` is the policy's log-probability of its own sample and `advantages` its `j_bond_return` less a baseline;
    `best` is the policy's log-probability of the `better_of_two` of the reference's two samples; `reference_kl` is
    KL(policy || reference), exact in every token (`exact_kl`, summed). The loss is
    (1 - beta) * -best + beta * -advantage * policy + gamma * reference_kl, of each prompt, and the weight counts
    prompts; one with weight 0 is masked. Metrics: `forward`, `backward`, `reference_kl`.
    """
    policy, advantages, best, reference_kl = (
        jnp.where(weights == 0, 0, each) for each in (policy, jax.lax.stop_gradient(advantages), best, reference_kl)
    )
    parts = {"forward": -best, "backward": -advantages * policy, "reference_kl": reference_kl}
    sums = {name: weighted_sum(weights, part) for name, part in parts.items()}
    total = (1 - beta) * sums["forward"] + beta * sums["backward"] + gamma * sums["reference_kl"]
    return Loss(total, weights.sum(), jax.lax.stop_gradient(sums))


def _log_ties(below: Array, up_to: Array, n: int) -> Array:
    """log(sum over i < n of (below / up_to)^i), 0 where nothing is below."""
    ratio = below / jnp.where(up_to > 0, up_to, 1)
    return jnp.log(jnp.polyval(jnp.ones(n, ratio.dtype), ratio))
