"""The rational-quadratic spline against float64, where floats are few: steep bins, small squares, knots, one bin."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.distributions.bijectors.spline import SMALLEST, RationalQuadraticSpline


def knots(raw, bound):
    weights = np.exp(raw - raw.max())
    shares = SMALLEST + (1 - SMALLEST * len(raw)) * weights / weights.sum()
    return np.concatenate([[-bound], -bound + 2 * bound * np.cumsum(shares)])


def curve(x, raw, bound):
    """y and log dy/dx, one number after the other (Durkan and others, 2019, equations 4 and 5)."""
    widths, heights, slopes = raw
    across, up = knots(widths, bound), knots(heights, bound)
    slopes = np.concatenate([[1], SMALLEST + (1 - SMALLEST) * np.log1p((np.e - 1) * np.exp(slopes)), [1]])
    results = []
    for number in x:
        if abs(number) > bound:
            results.append((number, 0.0))
            continue
        k = min(int(np.searchsorted(across, number, side="right")) - 1, len(widths) - 1)
        width, height = across[k + 1] - across[k], up[k + 1] - up[k]
        place, slope = (number - across[k]) / width, height / width
        between = place * (1 - place)
        bottom = slope + (slopes[k + 1] + slopes[k] - 2 * slope) * between
        y = up[k] + height * (slope * place**2 + slopes[k] * between) / bottom
        top = slopes[k + 1] * place**2 + 2 * slope * between + slopes[k] * (1 - place) ** 2
        results.append((y, np.log(slope**2 * top / bottom**2)))
    return np.array(results).T


STEEP = ([3.0, -3.0], [-3.0, 3.0], [300.0])
FLAT = ([3.0, -3.0], [-3.0, 3.0], [-20.0])
BENT = ([0.5, -1.0, 0.3, 1.0], [-0.7, 0.4, 1.2, 0.1], [-1.0, 2.0, 0.5])
ONE = ([0.3], [-0.2], [])


@pytest.mark.parametrize("raw, bound", [(STEEP, 1.0), (FLAT, 0.0625), (BENT, 3.0), (ONE, 2.0)])
def test_the_spline_is_that_of_float64_both_ways(raw, bound):
    raw = [np.array(part) for part in raw]
    x = bound * np.concatenate([np.linspace(-1.2, 1.2, 301), [-1.0, 1.0]])
    x = x.astype(np.float32).astype(np.float64)
    widths, heights, slopes = (jnp.asarray(part, jnp.float32) for part in raw)
    spline = RationalQuadraticSpline(widths, heights, slopes, bound)

    expected, expected_log_det = curve(x, raw, bound)
    values = np.concatenate([x, expected]).astype(np.float32).astype(np.float64)  # many in the flat bins, many beside

    @eqx.filter_jit
    def both(spline, x, values):
        def scores(x, values):
            forward, inverse = spline.forward_and_log_det(x), spline.inverse_and_log_det(values)
            return sum(jnp.sum(part) for part in (*forward, *inverse)), (forward, inverse)

        return jax.grad(scores, (0, 1), has_aux=True)(x, values)

    gradients, ((y, log_det), (back, inverse_log_det)) = both(
        spline, jnp.asarray(x, jnp.float32), jnp.asarray(values, jnp.float32)
    )
    np.testing.assert_allclose(y, expected, atol=4e-6 * bound)
    np.testing.assert_allclose(log_det, expected_log_det, atol=3e-3)
    again, log_slope = curve(np.asarray(back, np.float64), raw, bound)
    np.testing.assert_array_less(np.abs(again - values), 4e-6 * bound * np.maximum(np.exp(log_slope), 1))
    np.testing.assert_allclose(inverse_log_det, -log_slope, atol=3e-2)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_one_bin_is_the_identity():
    x = jnp.array([-1.5, 0.2, 2.0])
    y, log_det = RationalQuadraticSpline(jnp.zeros(1), jnp.zeros(1), jnp.zeros(0), 2.0).forward_and_log_det(x)
    np.testing.assert_allclose(y, x, rtol=1e-6)
    np.testing.assert_allclose(log_det, np.zeros(3), atol=1e-6)


@pytest.mark.parametrize(
    "bins, bound, words",
    [(1000, 1.0, "there are 1000 bins; use fewer than 1000"), (2, 0.0, "bound is 0.0; it must be positive")],
)
def test_what_is_no_spline_is_told(bins, bound, words):
    with pytest.raises(ValueError, match=words):
        RationalQuadraticSpline(jnp.zeros(bins), jnp.zeros(bins), jnp.zeros(bins - 1), bound)
