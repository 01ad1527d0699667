"""The evidence lower bound of one source in a patch of the sky, its neighbours held fixed.

A source of a type has independent normal log fluxes, one per band (free: means and log standard deviations), and a
position and shape that are single points. The paper's fluxes are one reference flux and colours; a normal per band
spans the same family of means, and its variances are not too small where every band has its own photons.

Axis letters: B bands, P pixels of the patch, D free numbers, F of them of fluxes, G of position and shape, E all but
the deviations of fluxes.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.astronomy.mixtures import Mixture, density, galaxy, star
from culet.astronomy.prior import Prior
from culet.core.minimise import Derivatives
from culet.distributions import Normal

Evaluate = Callable[[Float[Array, "D"]], Derivatives]


class Patch(NamedTuple):
    """The pixels about a source; positions count from the patch's first pixel."""

    counts: Float[Array | np.ndarray, "B P"]
    others: Float[Array | np.ndarray, "B P"]  # expected counts of the sky and the neighbours
    weight: Float[Array | np.ndarray, "P"]  # 0 beyond the border of the image


class Free(NamedTuple):
    """What is fitted, taken apart; a star has no shape."""

    log_flux: Float[Array, "B"]
    log_sd: Float[Array, "B"]
    position: Float[Array, "2"]
    shape: Float[Array, "..."]


def split(free: Float[Array, "D"], bands: int) -> Free:
    """The free numbers of a source by name."""
    return Free(free[:bands], free[bands : 2 * bands], free[2 * bands : 2 * bands + 2], free[2 * bands + 2 :])


def light(free: Free, psf: Mixture, points: Float[Array, "P 2"]) -> Float[Array, "B P"]:
    """The share of the source's light on each pixel, by band."""
    if free.shape.size:
        return jax.vmap(lambda one: density(galaxy(one, free.position, free.shape), points))(psf)
    return jax.vmap(lambda one: density(star(one, free.position), points))(psf)


def expected_counts(free: Free, shares: Float[Array, "B P"]) -> Float[Array, "B P"]:
    """Expected counts on each pixel of a source whose light falls as `shares` says."""
    return jnp.exp(free.log_flux + 0.5 * jnp.exp(2 * free.log_sd))[:, None] * shares


def bound(free: Free, shares: Float[Array, "B P"], patch: Patch, prior: Prior) -> Float[Array, ""]:
    """The bound in nats, for a star or, if there are shape parameters, a galaxy, whose light falls as `shares` says.

    E[log F] of a pixel's rate F is log E[F] - Var[F] / (2 E[F]^2), the delta method of the paper's section 4. From each
    pixel the likelihood of a rate equal to its counts is taken off, the same for both types, so that float32 will do.
    """
    source = expected_counts(free, shares)
    rate = patch.others + source
    relative = jnp.expm1(jnp.exp(2 * free.log_sd))[:, None] * jnp.square(source / rate)  # Var[F] / E[F]^2
    seen = jnp.maximum(patch.counts, 1.0)
    pixels = patch.counts * (jnp.log(rate / seen) - 0.5 * relative) - (rate - patch.counts)
    sd = jnp.exp(free.log_sd)
    total = jnp.sum(pixels * patch.weight[None]) + jnp.sum(Normal(free.log_flux, sd).entropy())
    if free.shape.size:
        return total + prior.galaxy.expected(free.log_flux, sd) + prior.shape(free.shape)
    return total + prior.star.expected(free.log_flux, sd)


def negative_bound(patch: Patch, psf: Mixture, prior: Prior, points: Float[Array, "P 2"]) -> Evaluate:
    """The function from free numbers to value, gradient and Hessian of minus the bound.

    Only position and shape change how light falls, which is nearly all of the work; so the Hessian's columns of the
    fluxes are taken with that held, and the rest of it by symmetry.
    """
    bands = patch.counts.shape[0]

    def evaluate(x: Float[Array, "D"]) -> Derivatives:
        fluxes, geometry = x[: 2 * bands], x[2 * bands :]
        shares = light(split(x, bands), psf, points)

        def with_light(fluxes: Float[Array, "F"]) -> Float[Array, ""]:
            return -bound(split(jnp.concatenate([fluxes, geometry]), bands), shares, patch, prior)

        def gradient(geometry: Float[Array, "G"]) -> Any:
            def value(x: Float[Array, "D"]) -> Float[Array, ""]:
                free = split(x, bands)
                return -bound(free, light(free, psf, points), patch, prior)

            result, slope = jax.value_and_grad(value)(jnp.concatenate([fluxes, geometry]))
            return slope, (result, slope)

        columns, (value, slope) = jax.jacfwd(gradient, has_aux=True)(geometry)
        left = jnp.concatenate([jax.hessian(with_light)(fluxes), columns[: 2 * bands].T])
        return Derivatives(value, slope, jnp.concatenate([left, columns], axis=1))

    return evaluate


class Curvature(eqx.Module):
    """What the Hessian of the negative bound says of a source of one type."""

    covariance: Float[Array, "E E"]  # of log fluxes, position and shape, in this order
    evidence: Float[Array, ""]  # the bound, with the volume that position and shape have about their best point


def curvature(value: Float[Array, ""], hessian: Float[Array, "D D"], bands: int) -> Curvature:
    """Covariances by linear response (Giordano, Broderick and Jordan, 2015), and Laplace's evidence for the points.

    With the standard deviations held, the inverse Hessian over the rest is the covariance: it has what the flux of a
    galaxy owes to its shape, which a factorised approximation leaves out.
    """
    points = hessian[2 * bands :, 2 * bands :]
    volume = 0.5 * points.shape[0] * math.log(2 * math.pi) - 0.5 * jnp.sum(jnp.log(_positive(points)[0]))
    kept = jnp.concatenate([jnp.arange(bands), jnp.arange(2 * bands, hessian.shape[0])])
    values, directions = _positive(hessian[kept][:, kept])
    return Curvature((directions / values[None]) @ directions.T, volume - value)


def _positive(matrix: Float[Array, "D D"]) -> tuple[Float[Array, "D"], Float[Array, "D D"]]:
    """Eigenvalues, none under a small positive one, and eigenvectors."""
    values, directions = jnp.linalg.eigh(matrix)
    return jnp.maximum(values, 1e-2), directions
