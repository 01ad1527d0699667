"""Policy gradients: advantages, and the losses that follow them.

A policy is seen through the log-probabilities of what was done, at one action or token after the other, whether it
writes text or swings a pendulum. Advantages, returns and the behaviour's log-probabilities are taken as given: no
gradient goes through them. What the mean is taken over is named by `per` (see `Per`).

Axis letters: K samples of one prompt, T steps (tokens) of a row, B any leading axes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from culet.objectives.kl import kl_estimate
from culet.objectives.loss import Loss, Scalar
from culet.objectives.tokens import Per, masked, token_loss


class Advantages(NamedTuple):
    """How much better each step was than expected, and what its value should have been."""

    advantages: Float[Array, "T"]
    returns: Float[Array, "T"]


def leave_one_out(rewards: Float[Array, "K"]) -> Float[Array, "K"]:
    """Each reward less the mean of the others', a baseline that leaves the gradient without bias (RLOO, 2402.14740).

    With `reinforce` per `"sequence"`, the mean over K samples has the gradient of the expected reward as its
    expectation.

    Raises:
        ValueError: there are fewer than two samples.
    """
    _check_group(rewards)
    count = rewards.shape[0]
    return _centred(rewards) * (count / (count - 1))


def group_advantages(rewards: Float[Array, "K"], *, divide_by_deviation: bool) -> Float[Array, "K"]:
    """Each reward less the mean of its group, itself included (GRPO, 2402.03300, section 4.1).

    With `divide_by_deviation` the advantages are then divided by the group's standard deviation, the one with K - 1:
    they are the same for any increasing affine map of the rewards, and prompts on which the rewards hardly differ
    count as much as others. Without, it is (K - 1) / K times `leave_one_out` (2503.20783). A group whose rewards are
    all the same has advantages of exactly 0 either way, and no constant is added to any deviation.

    Raises:
        ValueError: there are fewer than two samples.
    """
    _check_group(rewards)
    centred = _centred(rewards)
    if not divide_by_deviation:
        return centred
    variance = jnp.square(centred).sum() / (rewards.shape[0] - 1)
    return jnp.where(variance > 0, centred / jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)


def generalised_advantages(
    rewards: Float[Array, "T"],
    values: Float[Array, "T"],
    next_values: Float[Array, "T"],
    terminal: Bool[Array, "T"],
    last: Bool[Array, "T"],
    *,
    discount: Scalar,
    trace: Scalar,
) -> Advantages:
    """Generalised advantage estimation (Schulman and others 2015, 1506.02438, equation 16).

    `values` are those of the states in which the steps were taken and `next_values` of those they led to. `terminal`
    is true where the episode ended by itself, so that nothing follows, whatever `next_values` says; `last` where it
    ended at all: a truncated episode is last but not terminal, and its next value counts. No trace passes over a last
    step, and nothing of what lies behind it, NaN neither. With `trace` (lambda) 0 it is the one-step temporal
    difference, with 1 the discounted return less the value. `returns` are advantages plus values.
    """
    following = jnp.where(terminal, 0, next_values)
    differences = rewards + discount * following - values

    def step(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        difference, ends = now
        advantage = difference + discount * trace * jnp.where(ends, 0, later)
        return advantage, advantage

    start = jnp.zeros((), differences.dtype)
    advantages = jax.lax.stop_gradient(jax.lax.scan(step, start, (differences, last | terminal), reverse=True)[1])
    return Advantages(advantages, advantages + jax.lax.stop_gradient(values))


def reinforce(
    log_probabilities: Float[Array, "*B T"],
    advantages: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """-advantage * log-probability of each step: on samples of the policy itself its gradient is the policy gradient.

    A reward of the whole sequence is an advantage that is the same at each of its steps. Metrics: `policy_loss`.

    Raises:
        ValueError: `per` is unknown.
    """
    policy, advantages = masked(mask, log_probabilities), jax.lax.stop_gradient(masked(mask, advantages))
    loss = -advantages * policy
    return token_loss(loss, mask, {"policy_loss": loss}, per=per, positions=positions)


def ppo(
    log_probabilities: Float[Array, "*B T"],
    behaviour: Float[Array, "*B T"],
    advantages: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    clip: Scalar,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """The clipped surrogate -min(r A, clip(r, 1 - clip, 1 + clip) A) (Schulman and others 2017, 1707.06347).

    `behaviour` are the log-probabilities of the policy that drew the steps, r the ratio of probabilities to it. Where
    the two are equal the gradient is that of `reinforce`. Metrics: `policy_loss`; `clipped`, the number of steps
    without gradient because the ratio is past the clip on the side the advantage wants; and `behaviour_kl`, k3 of
    KL(behaviour || policy). Of one batch they are sums like the loss.

    Raises:
        ValueError: `per` is unknown.
    """
    policy = masked(mask, log_probabilities)
    behaviour, advantages = jax.lax.stop_gradient((masked(mask, behaviour), masked(mask, advantages)))
    ratio = jnp.exp(policy - behaviour)
    free, clipped = ratio * advantages, jnp.clip(ratio, 1 - clip, 1 + clip) * advantages
    loss = -jnp.minimum(free, clipped)
    metrics = {
        "policy_loss": loss,
        "clipped": (clipped < free).astype(loss.dtype),
        "behaviour_kl": kl_estimate(behaviour, policy, estimator="k3"),
    }
    return token_loss(loss, mask, metrics, per=per, positions=positions)


def value_loss(
    values: Float[Array, "*B T"],
    returns: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """(value - return)² / 2 of each step, with no gradient to the returns. Metrics: `value_loss`.

    Raises:
        ValueError: `per` is unknown.
    """
    loss = 0.5 * jnp.square(masked(mask, values) - jax.lax.stop_gradient(masked(mask, returns)))
    return token_loss(loss, mask, {"value_loss": loss}, per=per, positions=positions)


def clipped_value_loss(
    values: Float[Array, "*B T"],
    behaviour_values: Float[Array, "*B T"],
    returns: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    clip: Scalar,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """`value_loss`, or that of the value clipped to `clip` around what it was when the steps were drawn, if worse.

    So a value that has already moved by `clip` towards its return moves no further. Metrics: `value_loss`.

    Raises:
        ValueError: `per` is unknown.
    """
    values = masked(mask, values)
    before, returns = jax.lax.stop_gradient((masked(mask, behaviour_values), masked(mask, returns)))
    clipped = before + jnp.clip(values - before, -clip, clip)
    loss = 0.5 * jnp.maximum(jnp.square(values - returns), jnp.square(clipped - returns))
    return token_loss(loss, mask, {"value_loss": loss}, per=per, positions=positions)


def _centred(rewards: Float[Array, "K"]) -> Float[Array, "K"]:
    """Less the mean; taken relative to the first, so that equal rewards give 0 and not rounding, to be blown up."""
    relative = jax.lax.stop_gradient(rewards - rewards[:1])
    return relative - relative.mean()


def _check_group(rewards: Float[Array, "K"]) -> None:
    if rewards.shape[0] < 2:
        raise ValueError(f"a group has {rewards.shape[0]} sample; its baseline needs at least 2 samples of each prompt")
