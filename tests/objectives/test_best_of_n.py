"""Against the notes' figures, sums over all draws of an enumerable policy, and the exact divergences."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.objectives import (
    best_of_n_kl_bound,
    best_of_n_log_probabilities,
    better_of_two,
    bond_return,
    bond_reward,
    j_bond,
    j_bond_return,
    jeffreys,
    leave_one_out,
    quantiles,
)
from tests.enumerable import assert_close, expected, kl, parameters, sequence_log_probs, size

THETA, REFERENCE = parameters(1), parameters(2)
REWARD = np.array([0.3, 1.0, -2.0, 0.3, 5.0, 0.0, 1.0, 1.0, -0.5], np.float32)  # with ties
SMALL = jnp.log(jnp.array([0.5, 0.3, 0.2]))
ASCENDING = jnp.array([-1.0, 0.5, 7.0])

best = jax.jit(best_of_n_log_probabilities, static_argnums=2)


@pytest.mark.parametrize(
    ("n", "masses", "divergence"),
    [(2, (0.25, 0.39, 0.36), 0.1406), (4, (0.0625, 0.3471, 0.5904), 0.5598), (8, None, 1.0685)],
)
def test_three_outcomes_by_hand(n, masses, divergence):
    found = best(SMALL, ASCENDING, n)
    if masses:
        assert_close(jnp.exp(found), np.array(masses))
    assert_close(kl(found, SMALL), divergence, 1e-4)
    assert kl(found, SMALL) < best_of_n_kl_bound(n)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_best_of_n_is_the_sum_over_all_draws_with_ties_broken_at_random(n):
    p, reward = np.array([0.1, 0.4, 0.2, 0.3]), np.array([1.0, 0.0, 1.0, 0.5])
    wanted = np.zeros(4)
    for draw in itertools.product(range(4), repeat=n):
        top = [y for y in draw if reward[y] == reward[list(draw)].max()]
        for y in top:
            wanted[y] += p[list(draw)].prod() / len(top)
    found = best(jnp.log(jnp.asarray(p, jnp.float32)), jnp.asarray(reward, jnp.float32), n)
    assert_close(jnp.exp(found), wanted)


def test_best_of_two_of_best_of_two_is_best_of_four():
    reference = sequence_log_probs(REFERENCE)
    for reward in (REWARD, np.arange(9, dtype=np.float32)):
        twice = best(best(reference, reward, 2), reward, 2)
        assert_close(twice, best(reference, reward, 4))
        assert_close(best(best(reference, reward, 3), reward, 2), best(reference, reward, 6))


def test_large_sets_without_ties_reach_the_bound_and_the_win_rate():
    count = 1000
    reward, reference = np.arange(count, dtype=np.float32), np.full(count, -math.log(count), np.float32)
    for n in (2, 16):
        found = np.asarray(best(reference, reward, n))
        assert_close((np.exp(found) * (found - reference)).sum(), best_of_n_kl_bound(n), 3e-3)
        assert_close((np.exp(found) * (reward + 0.5) / count).sum(), n / (n + 1), 1e-3)


def test_quantiles_exact_and_sampled():
    p = np.exp(np.asarray(sequence_log_probs(REFERENCE), np.float64))
    below, up_to = jax.jit(quantiles)(REWARD, REWARD, p.astype(np.float32))
    assert_close(below, [p[r > REWARD].sum() for r in REWARD])
    assert_close(up_to, [p[r >= REWARD].sum() for r in REWARD])
    drawn = np.random.default_rng(0).choice(REWARD, 20_000, p=p / p.sum())
    assert_close(jax.jit(quantiles)(REWARD, drawn), (below, up_to), 0.02)
    assert_close(jax.jit(quantiles)(np.float32(2), np.array([1, 2, 2, 3], np.float32)), (0.25, 0.75))


def test_bond_reward_has_best_of_n_as_its_regularised_optimum():
    n = 4
    reference = sequence_log_probs(REFERENCE)
    rewards = bond_reward(*quantiles(jnp.asarray(REWARD), jnp.asarray(REWARD), jnp.exp(reference)), n)
    target = best(reference, REWARD, n)
    assert_close(jax.nn.log_softmax(reference + (n - 1) * rewards), target)
    assert_close(reference + (n - 1) * rewards, target)  # normalised as it stands

    def backward(theta):
        advantages = bond_return(rewards, sequence_log_probs(theta), reference, n) + 3.0  # any baseline
        return expected(theta, -advantages * sequence_log_probs(theta))

    def exact(theta):
        return kl(sequence_log_probs(theta), target)

    found, wanted = jax.jit(lambda theta: (jax.grad(backward)(theta), jax.grad(exact)(theta)))(THETA)
    assert_close(found, wanted)
    assert size(wanted) > 0.05


def test_jeffreys_and_its_parts():
    policy, target = sequence_log_probs(THETA), best(sequence_log_probs(REFERENCE), REWARD, 4)
    ends = kl(target, policy), kl(policy, target)
    for beta in (0.0, 0.3, 1.0):
        assert_close(jeffreys(policy, target, beta=beta), (1 - beta) * ends[0] + beta * ends[1])
    assert float(jeffreys(target, target, beta=0.5)) == 0
    slope = jax.grad(lambda policy: jeffreys(jax.nn.log_softmax(policy), target, beta=0.5))(target)
    assert size(slope) < 1e-6


def test_j_bond_return_by_hand():
    references = jnp.array([[1.0, 2.0], [1.0, 2.0], [1.0, 1.0], [3.0, 1.0]])
    policy, reference = jnp.array([-1.0, -1.0, -2.0, -4.0]), jnp.array([-1.0, -3.0, -2.0, -1.0])
    found = j_bond_return(jnp.array([0.5, 1.0, 1.0, 0.0]), references, policy, reference)
    # Worse than both costs log 16; equal to the worse of them costs nothing, nor does equal to both.
    assert_close(found, [-math.log(16), -2.0, 0.0, -math.log(16) + 3])
    assert better_of_two(references).tolist() == [1, 1, 0, 0]
    slope = jax.grad(lambda policy: j_bond_return(jnp.zeros(4), references, policy, reference).sum())(policy)
    assert (slope == 0).all()


def test_j_bond_reward_at_its_start():
    def worse_than_both(masses):
        """How often, if the policy is the reference and its rewards are 0, 1, 2... with these masses."""
        draws = np.array(list(itertools.product(range(len(masses)), repeat=3)))
        rewards, zeros = jnp.asarray(draws, jnp.float32), jnp.zeros(len(draws))
        found = j_bond_return(rewards[:, 0], rewards[:, 1:], zeros, zeros) / -math.log(16)
        return (np.asarray(masses)[draws].prod(axis=1) * np.asarray(found)).sum()

    for k, wanted in ((2, 0.125), (3, 0.185), (5, 0.24), (10, 0.285), (20, 19 * 39 / 2400)):
        assert_close(worse_than_both(np.full(k, 1 / k)), wanted, 1e-3)
    for success, wanted in ((0.05, 0.0024), (0.1, 0.009), (0.3, 0.063), (0.5, 0.125)):
        assert abs(worse_than_both([1 - success, success]) - wanted) < 1e-4
    # With continuous rewards it is 1/3.
    assert_close(-math.log(16) / 3, -0.924, 1e-3)
    # At the median, where p_up_to is 1/2, it is worse than both a quarter of the time: log(1/2) on average.
    assert_close(-math.log(16) / 4, math.log(0.5))


def every_draw(theta, reference, reward, beta, gamma, baseline):
    """The expectation of J-BOND's loss over the policy's text and both of the reference's, all 9³ of them."""
    y, one, two = (x.ravel() for x in jnp.meshgrid(*[jnp.arange(9)] * 3, indexing="ij"))
    policy, fixed = sequence_log_probs(theta), jax.lax.stop_gradient(sequence_log_probs(reference))
    pair = jnp.stack([one, two], axis=1)
    back = j_bond_return(reward[y], reward[pair], policy[y], fixed[y])
    winner = jnp.where(better_of_two(reward[pair]) == 0, one, two)
    mass = jnp.exp(jax.lax.stop_gradient(policy[y]) + fixed[one] + fixed[two])
    regulariser = jnp.full(mass.shape, kl(policy, fixed))
    loss = j_bond(policy[y], back - baseline, policy[winner], regulariser, mass, beta=beta, gamma=gamma)
    return loss.total, loss


gradient_of_draws = jax.jit(jax.grad(every_draw, has_aux=True))


@pytest.mark.parametrize(("beta", "gamma"), [(0.0, 0.0), (1.0, 0.0), (0.5, 2.0)])
def test_j_bond_follows_its_objective(beta, gamma):
    reward, reference = jnp.asarray(REWARD), sequence_log_probs(REFERENCE)

    @jax.jit
    def exact(theta):
        policy = sequence_log_probs(theta)
        up_to = jnp.where(REWARD[None, :] <= REWARD[:, None], jnp.exp(reference)[None, :], 0).sum(axis=1)
        backward = kl(policy, reference) + math.log(16) * (jnp.exp(policy) * (1 - up_to) ** 2).sum()
        forward = -(jnp.exp(best_of_n_log_probabilities(reference, reward, 2)) * policy).sum()
        return (1 - beta) * forward + beta * backward + gamma * kl(policy, reference)

    found, loss = gradient_of_draws(THETA, REFERENCE, reward, beta, gamma, 0.8)
    wanted = jax.grad(exact)(THETA)
    assert_close(found, wanted)
    assert size(wanted) > 0.05
    assert_close(loss.weight, 1.0)
    assert_close(loss.metrics["reference_kl"], kl(sequence_log_probs(THETA), reference))
    parts = loss.metrics["forward"], loss.metrics["backward"], loss.metrics["reference_kl"]
    assert_close(loss.total, sum(c * part for c, part in zip((1 - beta, beta, gamma), parts, strict=True)))


def test_increasing_maps_of_the_reward_change_no_bit():
    reward = jnp.asarray(REWARD)
    plain = gradient_of_draws(THETA, REFERENCE, reward, 0.5, 1.0, 0.3)
    for stretched in (jnp.exp(reward), 1e3 * reward**3 - 7, jnp.sign(reward) * jnp.sqrt(jnp.abs(reward))):
        found = gradient_of_draws(THETA, REFERENCE, stretched, 0.5, 1.0, 0.3)
        assert all((x == y).all() for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True))
        assert (
            best(sequence_log_probs(REFERENCE), stretched, 4) == best(sequence_log_probs(REFERENCE), reward, 4)
        ).all()
    found = gradient_of_draws(THETA, REFERENCE, -reward, 0.5, 1.0, 0.3)
    assert size(jax.tree.map(jnp.subtract, found[0], plain[0])) > 0.05


def test_j_bond_of_a_batch():
    rng = np.random.default_rng(8)
    policy, back, best, divergence = rng.normal(size=(4, 6)).astype(np.float32)
    advantages = leave_one_out(jnp.asarray(back))
    weights = np.ones(6, np.float32)
    evaluate = jax.jit(lambda *rows: j_bond(*rows, beta=0.4, gamma=0.7))
    whole = evaluate(policy, advantages, best, divergence, weights)
    assert_close(whole.total, (-0.6 * best - 0.4 * advantages * policy + 0.7 * divergence).sum())
    order = rng.permutation(6)
    assert_close(evaluate(*(np.asarray(x)[order] for x in (policy, advantages, best, divergence, weights))), whole)
    padded = [np.append(np.asarray(x), np.float32(np.nan)) for x in (policy, advantages, best, divergence)]
    assert_close(evaluate(*padded, np.append(weights, np.float32(0))), whole)
    slope = jax.jit(jax.grad(lambda x: evaluate(x, *padded[1:], np.append(weights, np.float32(0))).total))(padded[0])
    assert_close(slope, np.append(-0.4 * np.asarray(advantages), 0))
    parts = [evaluate(*(x[i] for x in (policy, advantages, best, divergence, weights)))
             for i in (slice(0, 3), slice(3, 6))]  # fmt: skip
    assert_close(jax.tree.map(jnp.add, *parts), whole)


def test_too_few_candidates_are_refused():
    with pytest.raises(ValueError, match="n is 1"):
        bond_reward(jnp.zeros(2), jnp.ones(2), 1)
    with pytest.raises(ValueError, match="n is 0"):
        best_of_n_log_probabilities(SMALL, ASCENDING, 0)
