"""How runs are compared, against enumeration and curves whose answers are known."""

import itertools

import numpy as np

from culet.tasks.caption_policy import gain_at_equal_kl, saved_at_equal, worth_of_best


def _curve(kl, win_rate):
    return {"kl": np.array([kl], float), "win_rate": np.array([win_rate], float)}


def test_worth_of_best_is_the_mean_over_all_choices():
    generator = np.random.default_rng(0)
    rewards, worth = generator.normal(size=(2, 3, 6))
    for n in (1, 2, 4, 6):
        choices = [list(choice) for choice in itertools.combinations(range(6), n)]
        found = [worth[row, choice][rewards[row, choice].argmax()] for row in range(3) for choice in choices]
        np.testing.assert_allclose(worth_of_best(rewards, worth, n), np.mean(found), rtol=1e-12)


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
