"""The three terms between a spectrogram and its source.

Axis letters: T frames, S frames of the source, F frequencies, K filters, L lags.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.audio.textures.features import (
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
    """What a new spectrogram is measured against: the source's activations and their statistics, computed once."""

    features: RandomFeatures
    weights: Weights
    source: list[Float[Array, "S K"]]
    grams: list[Float[Array, "K K"]]
    autocorrelations: list[Float[Array, "L K"]]
    lags: tuple[int, int] = eqx.field(static=True)  # of the rhythm: the first one, and the one after the last

    def __init__(
        self, features: RandomFeatures, source: Float[Array, "S F"], frames: int, weights: Weights, first_lag: int
    ):
        """For new spectrograms of as many `frames`.

        Below `first_lag` is timbre, not rhythm, which counts up to half of the shorter of the two sounds.
        """
        self.features, self.weights = features, weights
        self.lags = (first_lag, min(frames, source.shape[0]) // 2)
        self.source = features(source)
        self.grams = [gram(old) for old in self.source]
        self.autocorrelations = [autocorrelation(old, *self.lags) for old in self.source]

    def terms(self, spectrogram: Float[Array, "T F"]) -> Weights:
        """The terms before weighting, each a mean over the widths; 0 for those of weight 0.

        `gram` and `rhythm` are squared distances as shares of the source's squares, `diversity` is the greatest
        similarity of activations over all shifts in time, as a smooth maximum: at most log(T) / SHARPNESS above it.
        """
        activations = self.features(spectrogram)

        def timbre() -> Array:
            return _mean([relative_distance(gram(a), old) for a, old in zip(activations, self.grams, strict=True)])

        def rhythm() -> Array:
            pairs = zip(activations, self.autocorrelations, strict=True)
            return _mean([relative_distance(autocorrelation(a, *self.lags), old) for a, old in pairs])

        def similarity() -> Array:
            by_shift = _mean([shifted_similarity(new, old) for new, old in zip(activations, self.source, strict=True)])
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
