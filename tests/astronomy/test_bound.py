"""The bound against Monte Carlo in float64; its Hessian against automatic differentiation of the whole."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats as scipy_stats

from culet.astronomy import gaussian_psf, sky_prior
from culet.astronomy.bound import Patch, bound, curvature, light, negative_bound, split
from culet.astronomy.field import stack_psfs

stats: Any = scipy_stats  # its stubs take frozen distributions for discrete ones
BANDS, SIDE = 2, 9
PSF, PRIOR = stack_psfs([gaussian_psf(3.0), gaussian_psf(2.5)]), sky_prior(BANDS)
ACROSS, DOWN = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
POINTS = jnp.asarray(np.stack([ACROSS.ravel(), DOWN.ravel()], axis=1), jnp.float32)
STAR = jnp.asarray([7.0, 7.4, -2.5, -3.0, 4.2, 3.7])
GALAXY = jnp.concatenate([STAR, jnp.asarray([0.3, 0.5, 0.2, -0.1])])


def patch():
    others = np.full((BANDS, SIDE * SIDE), 100.0)
    rate = others + np.exp(np.asarray(STAR[:2]))[:, None] * np.asarray(light(split(STAR, BANDS), PSF, POINTS))
    counts = np.random.default_rng(0).poisson(rate)
    weight = np.ones(SIDE * SIDE)
    weight[:9] = 0
    return Patch(*(jnp.asarray(part, jnp.float32) for part in (counts, others, weight)))


@pytest.mark.parametrize("free", [STAR, GALAXY], ids=["star", "galaxy"])
def test_the_bound_is_expected_log_joint_plus_entropy(free):
    """20,000 draws of fluxes; what was taken off each pixel is put back."""
    parts, seen = split(free, BANDS), patch()
    shares = np.asarray(light(parts, PSF, POINTS), np.float64)
    mean, sd = np.asarray(parts.log_flux, np.float64), np.exp(np.asarray(parts.log_sd, np.float64))
    draws = stats.norm(mean, sd).rvs((20_000, 2), random_state=0)
    counts, weight = np.asarray(seen.counts, np.float64), np.asarray(seen.weight, np.float64)
    rate = 100 + np.exp(draws)[:, :, None] * shares
    pixels = (counts * (np.log(rate) - np.log(counts)) - (rate - counts)) @ weight
    kind = PRIOR.galaxy if free.size > 6 else PRIOR.star
    flux = stats.norm(float(kind.flux_mean), float(kind.flux_sd)).logpdf(draws[:, 0])
    colour = np.stack(
        [
            np.log(float(w)) + stats.norm(float(m[0]), float(s)).logpdf(draws[:, 1] - draws[:, 0])
            for w, m, s in zip(kind.colour_weights, kind.colour_means, kind.colour_sds, strict=True)
        ]
    )
    shape = 0.0
    if free.size > 6:
        shape = (
            stats.norm(np.asarray(PRIOR.shape_mean), np.asarray(PRIOR.shape_sd)).logpdf(np.asarray(parts.shape)).sum()
        )
    colour = np.logaddexp.reduce(colour, axis=0)
    expected = pixels.sum(axis=1).mean() + flux.mean() + colour.mean() + shape + stats.norm(0, sd).entropy().sum()
    found = float(bound(parts, light(parts, PSF, POINTS), seen, PRIOR))
    assert found == pytest.approx(expected, abs=0.4)  # the delta method and Jensen's inequality for the kinds of colour


@pytest.mark.parametrize("free", [STAR, GALAXY], ids=["star", "galaxy"])
def test_derivatives_in_two_parts_are_those_of_the_whole(free):
    seen = patch()

    def whole(x):
        parts = split(x, BANDS)
        return -bound(parts, light(parts, PSF, POINTS), seen, PRIOR)

    found = eqx.filter_jit(negative_bound(seen, PSF, PRIOR, POINTS))(free)
    expected = jax.jit(lambda x: (whole(x), jax.grad(whole)(x), jax.hessian(whole)(x)))(free)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


def test_curvature_is_the_inverse_of_what_is_not_a_deviation():
    generator = np.random.default_rng(0)
    root = generator.normal(size=(6, 6))
    hessian = root @ root.T + np.eye(6)
    kept = [0, 1, 4, 5]  # two bands: fluxes, their deviations, position
    found = curvature(jnp.asarray(3.0), jnp.asarray(hessian, jnp.float32), BANDS)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(hessian[np.ix_(kept, kept)]), rtol=1e-3, atol=1e-4)
    volume = 0.5 * np.linalg.slogdet(2 * np.pi * np.linalg.inv(hessian[4:, 4:]))[1]
    assert float(found.evidence) == pytest.approx(-3 + volume, abs=1e-3)
