"""Mixtures of Gaussians in the plane: point spread functions, galaxy profiles, and the light they put on pixels.

Positions are (x, y) in pixels, x along columns, whole numbers at the centres of pixels.

Axis letters: P pixels, K components, J components of a profile.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FWHM = 2 * math.sqrt(2 * math.log(2))  # full width at half maximum of a Gaussian, in standard deviations

# Round galaxies of half-light radius 1 as sums of Gaussians: shares of the light, then variances. Fitted by least
# squares to the profiles cut at 6 (exponential) and 8 radii; tests/astronomy/test_mixtures.py compares with
# the profiles.
EXPONENTIAL = (
    (0.00126, 0.013778, 0.075389, 0.249609, 0.434881, 0.225083),
    (0.0042233, 0.028717, 0.1137, 0.35078, 0.94519, 2.4079),
)
DE_VAUCOULEURS = (
    (0.001248, 0.007001, 0.026509, 0.072295, 0.144291, 0.218577, 0.264165, 0.265914),
    (3.0149e-05, 0.00030015, 0.0022211, 0.01371, 0.073137, 0.35042, 1.644, 9.8945),
)


class Mixture(eqx.Module):
    """A density in the plane; `weights` sum to one."""

    weights: Float[Array | np.ndarray, "*B K"]
    means: Float[Array | np.ndarray, "*B K 2"]
    covariances: Float[Array | np.ndarray, "*B K 2 2"]


def gaussian_psf(fwhm: float, wings: float = 0.15) -> Mixture:
    """A round point spread function of this full width at half maximum, in pixels: a core, and wings twice as wide.

    `wings` is their share of the light. Raises `ValueError` unless the width is positive and the share within [0, 1).
    """
    if not fwhm > 0 or not 0 <= wings < 1:
        raise ValueError(f"a PSF needs a positive width and a share of wings in [0, 1), not {fwhm} and {wings}")
    variances = np.square(_core_sigma(fwhm, wings) * np.array([1.0, 2.0]))
    covariances = variances[:, None, None] * np.eye(2)
    return Mixture(
        np.asarray([1 - wings, wings], np.float32),
        np.zeros((2, 2), np.float32),
        covariances.astype(np.float32),
    )


def _core_sigma(fwhm: float, wings: float) -> float:
    """The core's standard deviation that makes the whole fall to half at fwhm / 2, by bisection."""
    low, high = 0.25 * fwhm / FWHM, fwhm / FWHM
    middle = high
    for _ in range(60):
        middle = 0.5 * (low + high)
        core, wide = (0.5 * (fwhm / 2 / (middle * scale)) ** 2 for scale in (1.0, 2.0))
        value = (1 - wings) * math.exp(-core) + wings / 4 * math.exp(-wide)
        low, high = (low, middle) if value > 0.5 * (1 - wings + wings / 4) else (middle, high)
    return middle


@jax.jit
def density(mixture: Mixture, points: Float[Array | np.ndarray, "P 2"]) -> Float[Array, "P"]:
    """The mixture's density at points, per square pixel: the share of the light that falls on a small pixel there."""
    a, b, c = mixture.covariances[:, 0, 0], mixture.covariances[:, 0, 1], mixture.covariances[:, 1, 1]
    determinant = a * c - b * b
    x, y = jnp.moveaxis(points[:, None] - mixture.means[None], 2, 0)
    squares = (x * x * c[None] - 2 * x * y * b[None] + y * y * a[None]) / determinant[None]
    return jnp.exp(-0.5 * squares) @ (mixture.weights / (2 * math.pi * jnp.sqrt(determinant)))


def star(psf: Mixture, position: Float[Array, "2"]) -> Mixture:
    """The light of a star: the point spread function moved to it."""
    return Mixture(psf.weights, psf.means + position[None], psf.covariances)


def galaxy(psf: Mixture, position: Float[Array, "2"], shape: Float[Array, "4"]) -> Mixture:
    """The light of a galaxy: two profiles, stretched and turned by its shape, convolved with the point spread function.

    `shape` is what `galaxy_shape` explains. Gaussian convolved with Gaussian adds means and covariances.
    """
    share = jnp.stack([jnp.exp(-jnp.logaddexp(0.0, shape[0])), jnp.exp(-jnp.logaddexp(0.0, -shape[0]))])
    radius, first, second = jnp.exp(shape[1]), shape[2], shape[3]
    stretch = jnp.sqrt(1 + first * first + second * second)  # det of the matrix below is 1
    warp = jnp.stack([jnp.stack([stretch + first, second]), jnp.stack([second, stretch - first])])
    weights = jnp.concatenate([share[i] * jnp.asarray(p[0]) for i, p in enumerate((EXPONENTIAL, DE_VAUCOULEURS))])
    variances = jnp.asarray(EXPONENTIAL[1] + DE_VAUCOULEURS[1]) * radius * radius
    covariances = psf.covariances[None] + (variances[:, None, None] * warp[None])[:, None]
    means = jnp.broadcast_to(psf.means[None] + position[None, None], (*covariances.shape[:2], 2))
    return Mixture((weights[:, None] * psf.weights[None]).ravel(), means.reshape(-1, 2), covariances.reshape(-1, 2, 2))


def galaxy_shape(share: float, radius: float, axis_ratio: float, angle: float) -> Float[np.ndarray, "4"]:
    """The four free numbers of a shape, any real numbers, from those that people use.

    `share` of the light in the de Vaucouleurs profile, within (0, 1); half-light `radius` in pixels, the geometric
    mean of the two axes; `axis_ratio` of the minor to the major axis, within (0, 1]; `angle` in degrees from the x
    axis to the major one.
    """
    if not 0 < share < 1 or not radius > 0 or not 0 < axis_ratio <= 1:
        raise ValueError(
            f"share {share}, radius {radius} and axis ratio {axis_ratio} describe no galaxy: the share must be in "
            "(0, 1), the radius above 0 and the axis ratio in (0, 1]"
        )
    length = 0.5 * (1 / axis_ratio - axis_ratio)
    turn = 2 * math.radians(angle)
    return np.array([math.log(share / (1 - share)), math.log(radius), length * math.cos(turn), length * math.sin(turn)])


def describe_shape(shape: Float[np.ndarray, "4"]) -> tuple[float, float, float, float]:
    """`(share, radius, axis_ratio, angle)`, the reverse of `galaxy_shape`; the angle is in [0, 180)."""
    logit, log_radius, first, second = (float(number) for number in shape)
    length = math.hypot(first, second)
    axis_ratio = math.sqrt(1 + length * length) - length
    angle = 0.5 * math.degrees(math.atan2(second, first)) % 180
    return 1 / (1 + math.exp(-logit)), math.exp(log_radius), axis_ratio, angle
