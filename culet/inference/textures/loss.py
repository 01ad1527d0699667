"""The three terms between a spectrogram and its source.

Axis letters: T frames, S frames of the source, F frequencies, K filters.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.inference.textures.features import (
    RandomFeatures,
    autocorrelation,
    gram,
    relative_distance,
    shifted_similarity,
)

SHARPNESS = 50.0
"""Of the smooth maximum over shifts: `log(sum(exp(SHARPNESS * similarity))) / SHARPNESS`."""


class Weights(NamedTuple):
    """Of the terms; a term of weight 0 is not computed."""

    gram: Float[Array, ""]
    rhythm: Float[Array, ""]
    diversity: Float[Array, ""]


class TextureLoss(eqx.Module):
    """What a new spectrogram is measured against: the activations of the source."""

    features: RandomFeatures
    source: list[Float[Array, "S K"]]
    weights: Weights
    first_lag: int = eqx.field(static=True)  # below it is timbre, not rhythm

    def terms(self, spectrogram: Float[Array, "T F"]) -> Weights:
        """The terms before weighting, each a mean over the widths; 0 for those of weight 0.

        `gram` and `rhythm` are squared distances as shares of the source's squares, `diversity` is the greatest
        similarity of activations over all shifts in time, as a smooth maximum: at most log(T) / SHARPNESS above it.
        """
        activations = self.features(spectrogram)
        pairs = list(zip(activations, self.source, strict=True))
        last_lag = min(activations[0].shape[0], self.source[0].shape[0]) // 2

        def timbre() -> Array:
            return _mean([relative_distance(gram(new), gram(old)) for new, old in pairs])

        def rhythm() -> Array:
            lags = (self.first_lag, last_lag)
            return _mean([relative_distance(autocorrelation(a, *lags), autocorrelation(b, *lags)) for a, b in pairs])

        def similarity() -> Array:
            by_shift = _mean([shifted_similarity(new, old) for new, old in pairs])
            return jax.nn.logsumexp(SHARPNESS * by_shift) / SHARPNESS

        parts = [
            jax.lax.cond(weight > 0, term, lambda: jnp.zeros(()))
            for weight, term in zip(self.weights, (timbre, rhythm, similarity), strict=True)
        ]
        return Weights(*parts)

    def __call__(self, spectrogram: Float[Array, "T F"]) -> Float[Array, ""]:
        """The weighted sum of the terms."""
        products = [weight * term for weight, term in zip(self.weights, self.terms(spectrogram), strict=True)]
        return jnp.stack(products).sum()


def _mean(parts: list[Array]) -> Array:
    return jnp.stack(parts).mean(axis=0)
