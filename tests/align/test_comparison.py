"""How runs are compared, against enumeration and curves whose answers are known."""

import itertools

import jax
import numpy as np
import pytest

from culet.align import BestPolicy, align, best_of, gain_at_equal_kl, saved_at_equal, win_rates
from culet.align.methods import Likelihood
from tests.align.tiny import policy, prompts, recipe


def _curve(kl, win_rate):
    return {"kl": np.array([kl], float), "win_rate": np.array([win_rate], float)}


def test_best_of_is_the_mean_over_all_choices():
    generator = np.random.default_rng(0)
    rewards, worth = generator.normal(size=(2, 3, 6))
    for n in (1, 2, 4, 6):
        choices = [list(choice) for choice in itertools.combinations(range(6), n)]
        found = [worth[row, choice][rewards[row, choice].argmax()] for row in range(3) for choice in choices]
        np.testing.assert_allclose(best_of(rewards, worth, n), np.mean(found), rtol=1e-12)


def test_gain_at_equal_kl_is_measured_where_the_other_run_was():
    steep, flat = _curve([0, 1, 2], [0.5, 0.7, 0.9]), _curve([0, 0.5, 1.5, 4], [0.5, 0.5, 0.6, 0.9])
    np.testing.assert_allclose(gain_at_equal_kl(steep, flat), 0.15, atol=1e-12)  # 0.6 - 0.5 and 0.8 - 0.6
    np.testing.assert_allclose(gain_at_equal_kl(flat, steep), -0.195, atol=1e-12)  # 0.55 - 0.7 and 0.66 - 0.9
    unordered = _curve([0, 2, 1], [0.5, 0.9, 0.7])  # a run may come back
    np.testing.assert_allclose(gain_at_equal_kl(unordered, steep), 0, atol=1e-12)


def test_a_run_that_is_beyond_at_once_counts_at_its_first_point():
    far = _curve([0, 5, 6], [0.5, 0.95, 0.6])
    np.testing.assert_allclose(gain_at_equal_kl(_curve([0, 2], [0.5, 0.9]), far), -0.05, atol=1e-12)


def test_saved_at_equal_compares_where_both_first_come_as_high():
    low, high = _curve([0, 1, 2], [0.5, 0.6, 0.7]), _curve([0, 1, 9, 10], [0.5, 0.7, 0.9, 0.8])
    np.testing.assert_allclose(saved_at_equal(high, low), 1.0)  # 0.7 at 1 nat, not at 2
    np.testing.assert_allclose(saved_at_equal(low, high), -1.0)


def test_seeds_are_compared_one_by_one():
    both = {"kl": np.array([[0.0, 1.0], [0.0, 2.0]]), "win_rate": np.array([[0.5, 0.6], [0.5, 0.8]])}
    other = {"kl": np.array([[0.0, 1.0], [0.0, 2.0]]), "win_rate": np.array([[0.5, 0.5], [0.5, 0.9]])}
    np.testing.assert_allclose(gain_at_equal_kl(both, other), [0.1, -0.1], atol=1e-12)


def test_the_best_of_n_is_that_of_all_choices_of_n():
    rewards = np.random.default_rng(0).integers(0, 4, (3, 6)).astype(float)
    for n in (1, 2, 5, 6):
        best = [[max(chosen) for chosen in itertools.combinations(row, n)] for row in rewards]
        wins = [
            [np.mean([(one > other) + 0.5 * (one == other) for other in row]) for one in chosen]
            for chosen, row in zip(best, rewards, strict=True)
        ]
        found = best_of(rewards, rewards, n), best_of(rewards, win_rates(rewards, rewards), n)
        np.testing.assert_allclose(found, [np.mean(best), np.mean(wins)])
    assert best_of(rewards, win_rates(rewards, rewards), 1) == pytest.approx(0.5, abs=1e-15)
    with pytest.raises(ValueError, match="best of 7 cannot be taken of 6"):
        best_of(rewards, rewards, 7)


def test_win_rates_count_ties_half():
    np.testing.assert_allclose(win_rates(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0, 1.0, 3.0]])), [[0.5, 0.75]])


def test_a_run_alone_is_compared_as_one_of_several_seeds():
    steep, flat = _curve([0, 1, 2], [0.5, 0.7, 0.9]), _curve([0, 0.5, 1.5, 4], [0.5, 0.5, 0.6, 0.9])
    alone = [{name: column[0] for name, column in run.items()} for run in (steep, flat)]
    for compare in (gain_at_equal_kl, saved_at_equal):
        np.testing.assert_array_equal(compare(alone[0], alone[1]), compare(steep, flat))


def test_the_best_policy_is_kept_while_training_goes_on():
    """The loop gives its memory away at every step: what is kept must be a copy."""
    values, seen = iter([0.3, 0.7, 0.1, 0.7]), []

    def evaluate(policy, step):
        seen.append([np.array(leaf) for leaf in jax.tree.leaves(policy)])
        return {"worth": next(values)}

    best = BestPolicy(evaluate, by="worth")
    numbers = recipe(steps=4, evaluate_every=1)
    align(policy(), Likelihood(), prompts(completions=("ab",)), numbers, evaluate=best, progress=False)
    assert best.point == {"step": 2.0, "worth": 0.7}
    assert [point["worth"] for point in best.points] == [0.3, 0.7, 0.1, 0.7]
    kept = jax.tree.leaves(best.policy)
    assert all(np.array_equal(*pair) for pair in zip(kept, seen[1], strict=True))
    assert any(not np.array_equal(*pair) for pair in zip(kept, seen[3], strict=True))
    with pytest.raises(KeyError, match="no 'reward' to choose the best policy by; measured were step, worth"):
        BestPolicy(lambda policy, step: {"worth": 0.0}, by="reward")(policy(), 1)
