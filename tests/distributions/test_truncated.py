"""Truncated distributions far out in a tail and on narrow intervals, against integrals in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import culet.distributions as d

INF = np.inf
CASES = np.array([
    (0, 1, 20, 30), (2, 1e-4, 0, 1), (0, 1, -30, -20), (0, 1, 20, INF), (0, 1, 5, 5.001), (0, 1, -1, 2),
    (0, 1, -INF, INF), (3, 2, -INF, -50), (0, 1, 100, 101), (0, 1, 0, 1e-3),
    (0, 1, -1e-6, 1e-6), (0, 1, 3, 3.00001), (0, 1, 8, 8.5), (0, 1, 3.9, 9),
    (0, 1, 4.1, 9), (-1, 3, -40, 2), (0, 1, -2.5, -1), (1e3, 5, 0, 900),
])  # fmt: skip


def relative(loc, scale, mode):
    """The density relative to that at the mode, as a function of the distance from there in units of scale."""
    offset = (mode - loc) / scale
    return lambda s: np.exp(-s * (offset + s / 2))


def exact(loc, scale, low, high, points=4001):
    """A grid over what has mass, log-density, distribution function on the grid, mean and variance, in float64."""
    mode = np.clip(loc, low, high)
    reach = 80 / (np.abs(mode - loc) / scale + np.sqrt(((mode - loc) / scale) ** 2 + 80))
    ends = np.maximum((low - mode) / scale, -reach), np.minimum((high - mode) / scale, reach)
    s = np.linspace(*ends, points)
    weights = relative(loc, scale, mode)(s)
    below = integrate.cumulative_simpson(weights, x=s, initial=0)
    mass = below[-1]
    first = integrate.simpson(weights * s, x=s) / mass
    second = integrate.simpson(weights * (s - first) ** 2, x=s) / mass

    def log_density(x):
        return np.log(relative(loc, scale, mode)((x - mode) / scale) / mass / scale)

    return mode + scale * s, log_density, below / mass, mode + scale * first, scale**2 * second


TRUNCATED = d.TruncatedNormal(*(CASES[:, i].astype(np.float32) for i in range(4)))
DRAWS = np.asarray(TRUNCATED.sample(0, (4000,)), np.float64)


@pytest.mark.parametrize("place", range(len(CASES)), ids=[str(tuple(case)) for case in CASES.tolist()])
def test_truncated_normal(place):
    loc, scale, low, high = CASES[place].astype(np.float32).astype(np.float64)
    grid, log_density, below, mean, variance = exact(loc, scale, low, high)
    one = jax.tree.map(lambda leaf: leaf[place], TRUNCATED)
    spacing = np.spacing(np.abs(np.float32(mean)))  # of floats there, in which a narrow interval has few values
    np.testing.assert_allclose(MEANS[place], mean, rtol=1e-6, atol=1e-5 * np.sqrt(variance))
    np.testing.assert_allclose(VARIANCES[place], variance, rtol=1e-3)
    picked = grid[:: len(grid) // 7].astype(np.float32)
    inside = (picked >= np.float32(low)) & (picked <= np.float32(high))
    scores = log_density(picked[inside].astype(np.float64))
    np.testing.assert_allclose(np.asarray(one.log_prob(picked))[inside], scores, rtol=2e-4, atol=2e-4)
    draws = DRAWS[:, place]
    assert ((draws >= low) & (draws <= high)).all()
    ranked = np.sort(np.interp(draws, grid, below))
    coarse = spacing / np.sqrt(variance) / 3
    assert np.abs(ranked - np.arange(1, 4001) / 4000).max() < 1.95 / np.sqrt(4000) + coarse  # one in a thousand
    assert len(np.unique(draws)) > 0.3 * min(4000, np.sqrt(variance) / spacing)  # of as many as floats can tell apart


MEANS, VARIANCES = (np.asarray(moment, np.float64) for moment in (TRUNCATED.mean(), TRUNCATED.variance()))


def test_gradients_are_finite():
    """Of all that there is, by all parameters; draws are those of `icdf`."""
    middle = jnp.asarray(np.clip(DRAWS[0], CASES[:, 2], CASES[:, 3]), jnp.float32)

    def everything(one):
        parts = (one.log_prob(middle), one.mean(), one.variance(), one.entropy(), one.cdf(middle), one.icdf(0.3))
        return sum(part.sum() for part in parts)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(everything)(TRUNCATED)))
