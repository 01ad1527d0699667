"""Against the exact gradient of an enumerable policy, loops in float64 and arithmetic by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.objectives import (
    clipped_value_loss,
    generalised_advantages,
    group_advantages,
    leave_one_out,
    ppo,
    reinforce,
    value_loss,
)
from tests.enumerable import MASK, assert_close, expected, kl, parameters, sequence_log_probs, size, token_log_probs

THETA, REFERENCE = parameters(1), parameters(2)
REWARD = np.random.default_rng(5).normal(size=9).astype(np.float32)
ROW = jnp.ones(3, bool)


def expected_reward(theta):
    return (jnp.exp(sequence_log_probs(theta)) * REWARD).sum()


def every_text(loss):
    """The expected value of `loss` of one text [T], over all that the policy draws."""
    return lambda theta, *rows: expected(theta, jax.vmap(lambda *row: loss(*row).total)(token_log_probs(theta), *rows))


def spread(advantages):
    return jnp.broadcast_to(jnp.asarray(advantages)[:, None], MASK.shape)


def test_reinforce_follows_the_expected_reward():
    estimate = every_text(lambda logs, a, mask: reinforce(logs, a, mask, per="sequence"))

    @jax.jit
    def gradients(theta):
        return [jax.grad(estimate)(theta, spread(REWARD - shift), MASK) for shift in (0.0, 1.7)] + [
            jax.grad(expected_reward)(theta)
        ]

    plain, shifted, exact = gradients(THETA)
    assert_close(plain, jax.tree.map(jnp.negative, exact))
    assert_close(shifted, plain)  # a constant baseline changes nothing
    assert size(exact) > 0.05


def pairs(loss_of_group):
    """The expected loss of all groups of two samples: every pair of texts, each with its probability."""

    def total(theta):
        logs, mass = token_log_probs(theta), jax.lax.stop_gradient(jnp.exp(sequence_log_probs(theta)))
        first, second = jnp.repeat(jnp.arange(9), 9), jnp.tile(jnp.arange(9), 9)
        groups = jnp.stack([first, second], axis=1)
        losses = jax.vmap(lambda group: loss_of_group(logs[group], jnp.asarray(REWARD)[group]))(groups)
        return (mass[first] * mass[second] * losses).sum()

    return total


def test_leave_one_out_follows_the_expected_reward_over_all_groups():
    def of_group(advantages_of):
        def loss(logs, rewards):
            advantages = jnp.broadcast_to(advantages_of(rewards)[:, None], logs.shape)
            result = reinforce(logs, advantages, jnp.ones(logs.shape, bool), per="sequence")
            return result.total / result.weight

        return loss

    @jax.jit
    def gradients(theta):
        exact = jax.tree.map(jnp.negative, jax.grad(expected_reward)(theta))
        centred = partial(group_advantages, divide_by_deviation=False)
        return exact, jax.grad(pairs(of_group(leave_one_out)))(theta), jax.grad(pairs(of_group(centred)))(theta)

    exact, left_out, centred = gradients(THETA)
    assert_close(left_out, exact)
    assert_close(jax.tree.map(lambda x: 2 * x, centred), exact)  # (K - 1) / K of it


def test_baselines_by_hand():
    rewards = jnp.array([1.0, 2.0, 6.0])
    assert_close(leave_one_out(rewards), [-3.0, -1.5, 4.5])
    assert_close(group_advantages(rewards, divide_by_deviation=False), [-2.0, -1.0, 3.0])
    scaled = group_advantages(rewards, divide_by_deviation=True)
    assert_close(scaled, np.array([-2.0, -1.0, 3.0]) / np.std([1.0, 2.0, 6.0], ddof=1))
    assert_close(group_advantages(7 + 100 * rewards, divide_by_deviation=True), scaled)
    for equal in (0.1, -3.3, 1e6):  # rounding in the mean must not be blown up to advantages of one
        assert (group_advantages(jnp.full(7, equal), divide_by_deviation=True) == 0).all()
    slope = jax.jacrev(lambda r: group_advantages(r, divide_by_deviation=True))(jnp.ones(3))
    assert (slope == 0).all()
    for advantages in (leave_one_out, lambda r: group_advantages(r, divide_by_deviation=True)):
        with pytest.raises(ValueError, match="at least 2 samples"):
            advantages(jnp.ones(1))


def test_the_regularised_optimum_is_the_fixed_point():
    # Reward less beta * k1, held fixed, as RLOO and PPO have it: at ref * exp(r / beta) nothing is left to follow.
    beta = 0.7
    reference = sequence_log_probs(REFERENCE)
    goal = jax.nn.log_softmax(reference + REWARD / beta)
    table = goal.reshape(3, 3)
    first = jax.nn.logsumexp(table, axis=1)
    optimum = first, table - first[:, None]

    def loss(theta):
        advantages = REWARD - beta * (sequence_log_probs(theta) - reference)
        return every_text(lambda logs, a, mask: reinforce(logs, a, mask, per="sequence"))(
            theta, spread(advantages), MASK
        )

    def exact(theta):
        return beta * kl(sequence_log_probs(theta), reference) - expected_reward(theta)

    gradients = jax.jit(lambda theta: (jax.grad(loss)(theta), jax.grad(exact)(theta)))
    assert size(gradients(optimum)) < 1e-6
    found, wanted = gradients(THETA)
    assert_close(found, wanted)
    assert size(wanted) > 0.05


def numpy_ppo(logs, behaviour, advantages, clip):
    ratio = np.exp(np.float64(logs) - behaviour)
    bounded = np.clip(ratio, 1 - clip, 1 + clip)
    values = -np.minimum(ratio * advantages, bounded * advantages)
    active = np.where(advantages > 0, ratio < 1 + clip, ratio > 1 - clip)
    return values, np.where(active, -ratio * advantages, 0), ~active, ratio - 1 - np.log(ratio)


def test_ppo_is_numpys():
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(3, 40)).astype(np.float32) * np.array([[0.3], [0.3], [1.0]], np.float32)
    values, slope, clipped, k3 = numpy_ppo(rows[0], rows[1], rows[2], 0.2)
    assert 5 < clipped.sum() < 35
    mask = jnp.ones(40, bool)
    behaviour, advantages = jnp.asarray(rows[1:])

    def total(logs):
        return ppo(logs, behaviour, advantages, mask, clip=0.2, per="token")

    gradient, loss = jax.jit(lambda logs: (jax.grad(lambda x: total(x).total)(logs), total(logs)))(rows[0])
    assert_close((loss.total, loss.weight), (values.sum(), 40.0))
    assert_close(gradient, slope)
    metrics = {"policy_loss": values.sum(), "clipped": float(clipped.sum()), "behaviour_kl": k3.sum()}
    assert_close(loss.metrics, metrics)


def test_ppo_starts_as_reinforce_and_weighs_the_behaviours_samples():
    behaviour = token_log_probs(REFERENCE)
    advantages = spread(REWARD)

    def off_policy(theta):
        """One action per text: the ratio of whole texts, on the reference's samples."""
        losses = jax.vmap(lambda *row: ppo(*row, clip=1e9, per="sequence").total)(
            sequence_log_probs(theta)[:, None], behaviour.sum(axis=1, keepdims=True), advantages[:, :1], MASK[:, :1]
        )
        return (jnp.exp(behaviour.sum(axis=1)) * losses).sum()

    def on_policy(theta):
        return ppo(token_log_probs(theta), token_log_probs(THETA), advantages, MASK, clip=0.2, per="token").total

    def plain(theta):
        return reinforce(token_log_probs(theta), advantages, MASK, per="token").total

    grads = jax.jit(lambda t: [jax.grad(f)(t) for f in (off_policy, expected_reward, on_policy, plain)])
    weighed, exact, first, wanted = grads(THETA)
    assert_close(jax.tree.map(jnp.negative, weighed), exact)
    assert_close(first, wanted)


def loop(rewards, values, next_values, terminal, last, discount, trace):
    """Every advantage as its own sum over what follows it in its episode."""
    found = []
    for t in range(len(rewards)):
        total, weight = 0.0, 1.0
        for k in range(t, len(rewards)):
            later = 0.0 if terminal[k] else discount * next_values[k]
            total += weight * (rewards[k] + later - values[k])
            weight *= discount * trace
            if last[k] or terminal[k]:
                break
        found.append(total)
    return np.array(found)


advantages_of = jax.jit(generalised_advantages)


def test_generalised_advantages_of_terminated_and_truncated_episodes():
    rng = np.random.default_rng(7)
    rewards, values, next_values = rng.normal(size=(3, 8)).astype(np.float32)
    terminal, last = (np.isin(np.arange(8), places) for places in ([2], [2, 5]))  # 5 was cut off; 7 goes on
    next_values[:-1] = np.where(last[:-1], next_values[:-1], values[1:])
    next_values[2] = np.nan  # nothing follows a terminal step
    for discount, trace in ((0.9, 0.8), (0.99, 0.0), (1.0, 1.0)):
        numbers = {"discount": jnp.float32(discount), "trace": jnp.float32(trace)}
        found = advantages_of(rewards, values, next_values, terminal, last, **numbers)
        wanted = loop(rewards, values, next_values, terminal, last, discount, trace)
        assert_close(found.advantages, wanted)
        assert_close(found.returns, wanted + values)
    # With trace and discount 1 and a terminal end: the return less the value.
    assert_close(found.returns[:3], np.cumsum(rewards[2::-1])[::-1])


def test_nothing_leaks_over_an_end_or_into_the_values():
    rewards, values = jnp.array([1.0, 2.0, jnp.nan]), jnp.array([0.5, 0.25, jnp.nan])
    last = jnp.array([False, True, False])
    numbers = {"discount": jnp.float32(0.5), "trace": jnp.float32(0.5)}

    def total(values):
        found = advantages_of(rewards, values, jnp.array([0.25, 8.0, jnp.nan]), last & False, last, **numbers)
        return found.advantages[0] + found.returns[1], found.advantages

    slope, advantages = jax.grad(total, has_aux=True)(values)
    assert_close(advantages[:2], [1 + 0.125 - 0.5 + 0.25 * (2 + 4 - 0.25), 2 + 4 - 0.25])
    assert (slope == 0).all()


def test_value_losses_by_hand():
    values, before, returns = jnp.array([1.0, 0.0, 3.0]), jnp.array([0.0, 0.0, 2.95]), jnp.array([2.0, -0.05, 9.0])

    @jax.jit
    def compute(values):
        losses = (
            lambda v: value_loss(v, returns, ROW, per="token"),
            lambda v: clipped_value_loss(v, before, returns, ROW, clip=0.2, per="token"),
        )
        return [(loss(values), jax.grad(lambda v, loss=loss: loss(v).total)(values)) for loss in losses]

    (plain, slope), (held, held_slope) = compute(values)
    assert_close((plain.total, plain.weight), (0.5 * (1 + 0.0025 + 36), 3.0))
    assert_close(slope, [-1, 0.05, -6])
    # The first has gone past the clip towards its return: held at 0.2, where its loss is larger, it has no slope.
    assert_close(held.total, 0.5 * (1.8**2 + 0.0025 + 36))
    assert_close(held_slope, [0, 0.05, -6])
    assert_close(held.metrics["value_loss"], held.total)


def test_the_value_of_going_on_forever_is_not_that_of_ten_steps():
    """One of reward at each step, and a limit of ten: 10 where it cut the episode off, 6.5 where that was the end."""
    ones, ten, end = jnp.ones(10), jnp.full(10, 10.0), jnp.arange(10) == 9
    for trace in (0.0, 0.95, 1.0):
        found = generalised_advantages(ones, ten, ten, jnp.zeros(10, bool), end, discount=0.9, trace=trace)
        assert_close(found.returns, ten)
    ended = generalised_advantages(ones, ten, ten, end, end, discount=0.9, trace=1.0)
    assert_close(ended.returns[0], (1 - 0.9**10) / 0.1)
