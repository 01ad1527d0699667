"""Against the notes' figures, loops in float64, cross-entropy to the bit, and optima in closed form."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.objectives import (
    adversarial_reward,
    cross_entropy,
    discriminator,
    inverse_q_learning,
    recovered_reward,
    soft_values,
    token_log_probabilities,
)
from tests.enumerable import assert_close, size

ROWS = jnp.array([[1.0, 0, -1], [0.5, 0.5, 0], [0, 2, 0]])
ACTIONS = jnp.array([0, 1, 1])
MASK, END = jnp.ones(3, bool), jnp.array([False, False, True])


def scores(rows, actions=ACTIONS):
    values = jax.nn.logsumexp(rows, axis=-1)
    return jnp.take_along_axis(rows, actions[:, None], axis=-1)[:, 0] - values, values


@pytest.mark.parametrize(("discount", "mean"), [(1.0, 2.41193), (0.99, 2.38175), (0.9, 2.13150)])
def test_three_tokens_by_hand(discount, mean):
    chosen, values = scores(ROWS)
    reward = recovered_reward(chosen, values, MASK, END, discount=discount)
    if discount == 1:
        assert_close(reward, [-0.45802, -1.73954, 2.0])
        assert_close(reward.sum(), values[0] + chosen.sum())  # the discounts cancel along a whole text
    loss = inverse_q_learning(chosen, reward, MASK, strength=0.7, per="token")
    found = loss.metrics["squared_reward"] / 3, loss.metrics["cross_entropy"] / 3, loss.total / loss.weight
    assert_close(found, (mean, 0.535057, 0.7 * mean + 0.535057))


T, D, V = 9, 4, 17


def make(dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng(0)
    hidden, embedding = (jnp.asarray(rng.normal(size=shape).astype(dtype)) for shape in ((T, D), (V, D)))
    return hidden, embedding, jnp.asarray(rng.integers(0, V, T).astype(np.int32))


MIDDLE = jnp.array([False, False, True, True, True, True, True, False, False])
LAST = jnp.array([False] * 6 + [True] + [False] * 2)


def learn(hidden, embedding, targets, strength, chunk=None):
    chosen, values = soft_values(hidden, embedding, targets, cap=3.0, chunk=chunk)
    reward = recovered_reward(chosen, values, MIDDLE, LAST, discount=0.9)
    return inverse_q_learning(chosen, reward, MIDDLE, strength=strength, per="token")


def assert_same_bits(found, wanted):
    assert all((x == y).all() for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True))


@pytest.mark.parametrize("chunk", [None, 5])
def test_strength_zero_is_likelihood_to_the_bit(chunk):
    hidden, embedding, targets = make()
    # What is fused with what decides over the last bit, so it is the code generator of users that counts.
    compiled = functools.partial(jax.jit, compiler_options={"xla_cpu_use_fusion_emitters": True})

    def likelihood(hidden, embedding):
        return cross_entropy(hidden, embedding, targets, MIDDLE.astype(jnp.float32), cap=3.0, chunk=chunk).total

    def inverse(hidden, embedding, strength=0.0):
        return learn(hidden, embedding, targets, strength, chunk).total

    wanted = compiled(jax.value_and_grad(likelihood, (0, 1)))(hidden, embedding)
    learning = compiled(jax.value_and_grad(inverse, (0, 1)))
    assert_same_bits(learning(hidden, embedding, jnp.float32(0)), wanted)
    if chunk is None:  # where the compiler knows that it is zero, too
        assert_same_bits(compiled(jax.value_and_grad(inverse, (0, 1)))(hidden, embedding), wanted)
    other = learning(hidden, embedding, jnp.float32(0.1))
    assert size(jax.tree.map(jnp.subtract, other, wanted)) > 0.01


@pytest.mark.parametrize("chunk", [None, 5])
def test_soft_values_are_the_log_sums(chunk):
    hidden, embedding, targets = make()
    chosen, values = jax.jit(lambda *x: soft_values(*x, cap=3.0, chunk=chunk))(hidden, embedding, targets)
    logits = 3 * np.tanh(np.asarray(hidden, np.float64) @ np.asarray(embedding, np.float64).T / 3)
    assert_close(values, np.log(np.exp(logits).sum(axis=1)))
    likelihood = jax.jit(lambda *x: token_log_probabilities(*x, cap=3.0, chunk=chunk))
    assert (chosen == likelihood(hidden, embedding, targets)).all()


@pytest.mark.parametrize("chunk", [None, 5])
def test_gradient_is_that_of_finite_differences(chunk):
    with jax.enable_x64(True):
        hidden, embedding, targets = make(np.float64)
        check_grads(
            jax.jit(lambda *student: learn(student[0], student[1], targets, 0.3, chunk).total),
            (hidden, embedding), order=1, modes=["rev"], rtol=1e-6, atol=1e-6,
        )  # fmt: skip


def loop(chosen, values, mask, terminal, discount, positions):
    found = np.zeros(len(chosen))
    for t in np.flatnonzero(mask):
        later = 0.0
        if not terminal[t]:
            if t + 1 == len(chosen) or not mask[t + 1] or positions[t + 1] == 0:
                continue  # cut off: what the next state is worth is not known
            later = discount * values[t + 1]
        found[t] = values[t] + chosen[t] - later
    return found


def test_rewards_of_packed_and_cut_texts():
    rng = np.random.default_rng(1)
    positions = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3])
    mask = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 0], bool)  # no prompts but the first, and the second is cut off
    terminal = np.isin(np.arange(10), [2, 8])
    chosen, values = (np.where(mask, rng.normal(size=10), np.nan).astype(np.float32) for _ in range(2))
    reward = jax.jit(lambda *rows: recovered_reward(*rows, discount=0.8, positions=jnp.asarray(positions)))
    found = reward(chosen, values, mask, terminal)
    assert_close(found, loop(chosen, values, mask, terminal, 0.8, positions))
    assert (np.flatnonzero(found) == [1, 2, 3, 4, 6, 7, 8]).all()
    assert_close(reward(chosen, values, mask, terminal & False)[7:], [found[7], 0, 0])
    middle = jnp.array([False, True, False])  # what stands behind an end is nobody's future, positions or not
    assert_close(recovered_reward(*scores(ROWS), MASK, middle, discount=0.8)[1], 0.5)


def test_the_constant_of_the_logits_matters_and_likelihood_does_not_see_it():
    def loss(rows):
        chosen, values = scores(rows)
        reward = recovered_reward(chosen, values, MASK, END, discount=0.9)
        return inverse_q_learning(chosen, reward, MASK, strength=1.0, per="token")

    plain, raised = loss(ROWS), loss(ROWS + 2.0)
    assert_close(plain.metrics["cross_entropy"], raised.metrics["cross_entropy"])
    reward = recovered_reward(*scores(ROWS), MASK, END, discount=0.9) + jnp.array([0.2, 0.2, 2.0])
    assert_close(raised.metrics["squared_reward"], jnp.square(reward).sum())
    # Both values are taught: were the later one held fixed, the second row would not feel the first token's reward.
    slope = jax.grad(lambda rows: recovered_reward(*scores(rows), MASK, END, discount=0.9)[0])(ROWS)
    assert_close(slope[1], -0.9 * jax.nn.softmax(ROWS[1]))
    assert_close(slope[0], np.array([1.0, 0, 0]))


def test_discriminator_learns_the_log_ratio():
    expert, policy = np.array([0.5, 0.3, 0.2], np.float32), np.array([0.2, 0.2, 0.6], np.float32)
    weights, labels = jnp.concatenate([expert, policy]), jnp.array([True] * 3 + [False] * 3)

    def loss(logits):
        return discriminator(jnp.concatenate([logits, logits]), labels, weights)

    optimum = jnp.log(expert) - jnp.log(policy)
    evaluate = jax.jit(lambda logits: (jax.grad(lambda z: loss(z).total)(logits), loss(logits)))
    slope, best = evaluate(optimum)
    assert size(slope) < 1e-6
    share = expert / (expert + policy)
    assert_close(best.total, -(expert * np.log(share) + policy * np.log(1 - share)).sum())
    assert_close(best.metrics["accuracy"] / best.weight, (0.5 + 0.3 + 0.6) / 2)
    slope, blank = evaluate(jnp.zeros(3))
    assert_close(blank.total / blank.weight, np.log(2))
    assert_close(slope, (policy - expert) / 2)


def test_discriminator_is_silent_without_weight():
    def loss(z):
        return discriminator(z, jnp.array([True, False]), jnp.array([2.0, 0.0])).total

    value, slope = jax.value_and_grad(loss)(jnp.array([1.0, jnp.nan]))
    assert_close(value, 2 * np.log1p(np.exp(-1.0)))
    assert_close(slope, [-2 / (1 + np.e), 0])


def test_adversarial_rewards():
    logits = jnp.array([-200.0, -1.0, 0.0, 3.0, 200.0])
    p = 1 / (1 + np.exp(-np.array([-1.0, 0.0, 3.0])))
    log_d = adversarial_reward(logits, form="log_d")
    other = adversarial_reward(logits, form="minus_log_one_minus_d")
    assert_close(log_d, [-200, *np.log(p), 0])
    assert_close(other, [0, *-np.log(1 - p), 200])
    assert (jax.grad(lambda z: adversarial_reward(z, form="log_d").sum())(logits) == 0).all()
    with pytest.raises(ValueError, match="form is 'airl'; it is one of 'log_d'"):
        inspect.unwrap(adversarial_reward)(logits, form="airl")
