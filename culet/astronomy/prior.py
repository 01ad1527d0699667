"""The prior of a source, and fields drawn from it with the truth beside them.

Axis letters: B bands, C colours (B - 1), K kinds of colour, S sources, H rows, W columns.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from culet.astronomy.detection import Detections
from culet.astronomy.field import Field, stack_psfs
from culet.astronomy.mixtures import Mixture, density, galaxy, gaussian_psf, star


class TypePrior(eqx.Module):
    """Fluxes and colours of stars, or of galaxies. Colour c is the log flux of band c + 1 minus that of band c."""

    flux_mean: Float[Array, ""]  # of the log flux of the first band, in counts
    flux_sd: Float[Array, ""]
    colour_weights: Float[Array, "K"]
    colour_means: Float[Array, "K C"]
    colour_sds: Float[Array, "K"]

    def expected(self, mean: Float[Array, "B"], sd: Float[Array, "B"]) -> Float[Array, ""]:
        """A lower bound of E[log p(log fluxes)] for independent normal log fluxes, at its best over kinds of colour."""
        flux = _expected_normal(mean[0] - self.flux_mean, jnp.square(sd[0]), self.flux_sd)
        colour, variance = jnp.diff(mean), jnp.square(sd[1:]) + jnp.square(sd[:-1])
        each = _expected_normal(colour[None] - self.colour_means, variance[None], self.colour_sds[:, None])
        return flux + jax.nn.logsumexp(jnp.log(self.colour_weights) + jnp.sum(each, axis=1))


class Prior(eqx.Module):
    """The prior of a source. Shapes are those of `culet.astronomy.mixtures.galaxy_shape`, each normal."""

    star_share: Float[Array, ""]
    star: TypePrior
    galaxy: TypePrior
    shape_mean: Float[Array, "4"]
    shape_sd: Float[Array, "4"]

    def shape(self, shape: Float[Array, "4"]) -> Float[Array, ""]:
        """Log density of a shape."""
        return jnp.sum(_expected_normal(shape - self.shape_mean, jnp.zeros_like(shape), self.shape_sd))


def sky_prior(bands: int) -> Prior:
    """The prior from which `make_scene` draws: stars blue or red, galaxies redder; some thousand counts."""
    return Prior(
        jnp.asarray(0.7),
        _type_prior(7.3, 0.8, bands, weights=(0.6, 0.4), means=(0.1, 0.6), sds=(0.12, 0.2)),
        _type_prior(7.6, 0.8, bands, weights=(0.5, 0.5), means=(0.4, 0.9), sds=(0.2, 0.2)),
        shape_mean=jnp.asarray([0.0, math.log(2.0), 0.0, 0.0]),
        shape_sd=jnp.asarray([1.5, 0.4, 0.4, 0.4]),
    )


def broad_prior(detections: Detections) -> Prior:
    """A wide prior about the fluxes and colours that were detected, for images in any unit; half are stars."""
    logs = np.log(np.maximum(detections.flux, detections.flux_error))
    middle, colours = np.median(logs[:, 0]), np.median(np.diff(logs, axis=1), axis=0)
    same = TypePrior(
        jnp.asarray(middle, jnp.float32),
        jnp.asarray(2.0),
        jnp.ones(1),
        jnp.asarray(colours[None], jnp.float32),
        jnp.ones(1),
    )
    shape_mean, shape_sd = jnp.asarray([0.0, math.log(2.0), 0.0, 0.0]), jnp.asarray([1.5, 0.6, 0.5, 0.5])
    return Prior(jnp.asarray(0.5), same, same, shape_mean, shape_sd)


def _type_prior(mean: float, sd: float, bands: int, *, weights: tuple, means: tuple, sds: tuple) -> TypePrior:
    colours = np.broadcast_to(np.asarray(means, np.float32)[:, None], (len(means), bands - 1))
    return TypePrior(jnp.asarray(mean), jnp.asarray(sd), jnp.asarray(weights), jnp.asarray(colours), jnp.asarray(sds))


def _expected_normal(offset: Array, variance: Array, sd: Array) -> Array:
    """E[log N(x; 0, sd^2)] for x of mean `offset` and `variance`."""
    return -0.5 * (jnp.square(offset) + variance) / jnp.square(sd) - jnp.log(sd) - 0.5 * math.log(2 * math.pi)


_FWHM = (3.4, 3.0, 3.2)  # pixels, of the bands in turn
_APART = 5.0  # pixels, 1.5 full widths: nearer than that, which light is whose is for no method to say
_MARGIN = 6  # pixels from the border within which no source lies


class Scene(NamedTuple):
    """A field and what is in it."""

    field: Field
    position: Float[np.ndarray, "S 2"]  # (x, y) in pixels
    flux: Float[np.ndarray, "S B"]  # counts
    star: Bool[np.ndarray, "S"]
    shape: Float[np.ndarray, "S 4"]  # of galaxies; see `mixtures.galaxy_shape`


def make_scene(seed: int, *, sources: int = 40, size: int = 128, bands: int = 3, sky: float = 100.0) -> Scene:
    """A square field of `size` pixels with sources from `sky_prior`, and photons drawn by Poisson's law.

    Places are uniform, but no two sources are nearer than 5 pixels. The sky has `sky` counts per pixel. Raises
    `ValueError` for no sources, no bands, a sky that is not positive, a size under 16, or more sources than find a
    place.
    """
    if sources < 1 or bands < 1 or size < 16 or not sky > 0:
        raise ValueError(f"no field has {sources} sources, {bands} bands, {size} pixels a side and a sky of {sky}")
    generator, prior = np.random.default_rng(seed), sky_prior(bands)
    position = _places(generator, sources, size)
    stars = generator.random(sources) < float(prior.star_share)
    flux = np.exp([_draw_log_flux(generator, prior.star if is_star else prior.galaxy) for is_star in stars])
    shape = generator.normal(np.asarray(prior.shape_mean), np.asarray(prior.shape_sd), (sources, 4))
    psf = stack_psfs([gaussian_psf(_FWHM[b % len(_FWHM)]) for b in range(bands)])
    rate = sky + render(psf, position, flux, stars, shape, size)
    counts = generator.poisson(rate).astype(np.float32)
    each = np.ones(bands, np.float32)
    names = tuple(f"band{b}" for b in range(bands))
    return Scene(Field(counts, sky * each, each, psf, names), position, flux, stars, shape)


def render(
    psf: Mixture,
    position: Float[np.ndarray, "S 2"],
    flux: Float[np.ndarray, "S B"],
    stars: Bool[np.ndarray, "S"],
    shape: Float[np.ndarray, "S 4"],
    size: int,
) -> Float[np.ndarray, "B H W"]:
    """Expected counts of the sources alone on a square of `size` pixels, all of their light."""
    across, down = np.meshgrid(*(np.arange(size, dtype=np.float32),) * 2)
    points = np.stack([across.ravel(), down.ravel()], axis=1)

    total = np.zeros((flux.shape[1], size * size))
    for s, is_star in enumerate(stars):
        place = position[s].astype(np.float32)
        light = _star(psf, place, points) if is_star else _galaxy(psf, place, shape[s].astype(np.float32), points)
        total += flux[s][:, None] * np.asarray(light)
    return total.reshape(-1, size, size)


@jax.jit
def _star(psf: Mixture, place: Array, points: Array) -> Array:
    return jax.vmap(lambda one: density(star(one, place), points))(psf)


@jax.jit
def _galaxy(psf: Mixture, place: Array, shape: Array, points: Array) -> Array:
    return jax.vmap(lambda one: density(galaxy(one, place, shape), points))(psf)


def _places(generator: np.random.Generator, sources: int, size: int) -> Float[np.ndarray, "S 2"]:
    places = np.empty((0, 2))
    for _ in range(100 * sources):
        place = generator.uniform(_MARGIN, size - 1 - _MARGIN, (1, 2))
        if np.linalg.norm(places - place, axis=1).min(initial=np.inf) > _APART:
            places = np.concatenate([places, place])
        if len(places) == sources:
            return places
    raise ValueError(f"{sources} sources do not fit into {size} x {size} pixels with {_APART} between them")


def _draw_log_flux(generator: np.random.Generator, prior: TypePrior) -> Float[np.ndarray, "B"]:
    weights = np.asarray(prior.colour_weights, np.float64)
    kind = generator.choice(len(weights), p=weights / weights.sum())
    first = generator.normal(float(prior.flux_mean), float(prior.flux_sd))
    colours = generator.normal(np.asarray(prior.colour_means)[kind], float(np.asarray(prior.colour_sds)[kind]))
    return np.concatenate([[first], first + np.cumsum(colours)])
