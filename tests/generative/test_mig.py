"""The gap against closed forms and scipy."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from culet.generative import mutual_information, mutual_information_gap

# Every combination of three factors with 2, 4 and 5 values, as often as each other.
FACTORS = np.stack(np.meshgrid(np.arange(2), np.arange(4), np.arange(5), indexing="ij"), axis=-1).reshape(-1, 3)


def test_a_latent_for_each_factor_has_the_gap_one():
    codes = np.concatenate([FACTORS[:, [2, 0, 1]] * 0.1, np.zeros((len(FACTORS), 1))], axis=1)
    np.testing.assert_allclose(mutual_information_gap(codes, FACTORS), 1, atol=1e-9)
    information, entropy = mutual_information(codes, FACTORS)
    np.testing.assert_allclose(entropy, np.log([2, 4, 5]))
    np.testing.assert_allclose(information[1], [np.log(2), 0, 0], atol=1e-9)


def test_two_latents_for_one_factor_have_no_gap():
    codes = FACTORS[:, [0, 0, 1]].astype(float)
    np.testing.assert_allclose(mutual_information_gap(codes, FACTORS), [0, 1, 0], atol=1e-9)


def test_half_known():
    """A latent that tells the parity of four values tells log 2 of log 4; one that tells all leaves a gap of a half."""
    codes = np.stack([FACTORS[:, 1] % 2, FACTORS[:, 1]], axis=1).astype(float)
    np.testing.assert_allclose(mutual_information_gap(codes, FACTORS)[1], 0.5)


def test_information_is_that_of_scipy():
    random = np.random.default_rng(0)
    factors = random.integers(0, 4, (500, 1))
    codes = factors + random.standard_normal((500, 2))
    information, _ = mutual_information(codes, factors, bins=6)
    for z in range(2):
        edges = np.linspace(codes[:, z].min(), codes[:, z].max(), 7)
        table = np.histogram2d(codes[:, z], factors[:, 0], bins=[edges, np.arange(5) - 0.5])[0]
        table = table[table.sum(axis=1) > 0]
        found: Any = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
        wanted = found.statistic / 2 / 500
        np.testing.assert_allclose(information[z, 0], wanted, rtol=1e-9)


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.ones((3, 2)), np.zeros((3, 1), int), "factor 0 has one value only"),
        (np.ones((3, 2)), np.arange(4)[:, None], "3 codes do not go with 4"),
        (np.array([[0.0, np.nan], [1, 2]]), np.arange(2)[:, None], "finite"),
        (np.ones((2, 1)), np.arange(2)[:, None], "two latents"),
    ],
)
def test_bad_input(codes, factors, message):
    with pytest.raises(ValueError, match=message):
        mutual_information_gap(codes, factors)
