"""What sources are like before an image is seen: types, fluxes, colours, shapes of galaxies.

Axis letters: B bands, C colours (B - 1), K kinds of colour, S sources.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.astronomy.detection import Detections


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


def broad_prior(found: Detections) -> Prior:
    """A wide prior about the fluxes and colours that were detected, for images in any unit; half are stars."""
    logs = np.log(np.maximum(found.flux, found.flux_error))
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
