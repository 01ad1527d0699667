"""What a texture is known by, and the loss that makes another sound alike.

Antognini, Hoffman and Weiss (2018, 1806.08002, section 2): statistics of the activations of random one-layer networks
on a spectrogram. The networks are convolutions over time with the frequencies as channels, of several widths, with
random weights that are never trained.

Axis letters: T frames, S frames of the source, F frequencies, W frames in a filter, K filters, L lags.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from scipy.fft import next_fast_len


class RandomFeatures(eqx.Module):
    """Networks of one convolution over time and a rectifier, of the widths 2, 4, 8, ... frames."""

    filters: tuple[Float[Array, "_ F K"], ...]

    def __init__(self, frequencies: int, filters: int, widths: int, *, key: Key[Array, ""]):
        """Weights are normal, scaled so that a standardised spectrogram gives activations of size 1."""
        self.filters = tuple(
            jax.random.normal(one, (2**i, frequencies, filters)) * (2**i * frequencies) ** -0.5
            for i, one in enumerate(jax.random.split(key, widths), start=1)
        )

    def __call__(self, spectrogram: Float[Array, "T F"]) -> list[Float[Array, "T K"]]:
        """Activations of each width. Before the beginning and after the end stand zeros, the mean of the sound."""
        axes = ("NWC", "WIO", "NWC")
        return [
            jax.nn.relu(
                jax.lax.conv_general_dilated(spectrogram[None], filters, (1,), "SAME", dimension_numbers=axes)[0]
            )
            for filters in self.filters
        ]


def gram(activations: Float[Array, "T K"]) -> Float[Array, "K K"]:
    """How strongly filters are active together, averaged over time: timbre without order."""
    return activations.T @ activations / activations.shape[0]


def autocorrelation(activations: Float[Array, "T K"], first: int, last: int) -> Float[Array, "L K"]:
    """The mean over time of `a[t] a[t + lag]` of centred activations, for each lag from `first` to before `last`."""
    frames = activations.shape[0]
    length = next_fast_len(frames + last, real=True)  # what goes round the end comes to lags from `last` on
    assert length is not None
    spectrum = jnp.fft.rfft(_centred(activations), length, axis=0)
    sums = jnp.fft.irfft(jnp.real(spectrum * jnp.conj(spectrum)), length, axis=0)[first:last]
    return sums / (frames - jnp.arange(first, last, dtype=sums.dtype))[:, None]


def shifted_similarity(ones: Float[Array, "T K"], others: Float[Array, "_ K"]) -> Float[Array, "_"]:
    """Cosines in [-1, 1] between centred activations, the first moved round by 0, 1, 2, ... frames.

    Of unequal lengths the shorter is followed by zeros.
    """
    frames = max(ones.shape[0], others.shape[0])
    ones, others = _centred(ones), _centred(others)
    spectrum = jnp.conj(jnp.fft.rfft(ones, frames, axis=0)) * jnp.fft.rfft(others, frames, axis=0)
    products = jnp.fft.irfft(spectrum.sum(axis=1), frames)
    return products / jnp.maximum(jnp.linalg.norm(ones) * jnp.linalg.norm(others), 1e-12)


def relative_distance(given: Float[Array, "*S"], target: Float[Array, "*S"]) -> Float[Array, ""]:
    """The squared Frobenius norm of the difference, as a share of the target's."""
    return jnp.sum(jnp.square(given - target)) / jnp.maximum(jnp.sum(jnp.square(target)), 1e-12)


def _centred(activations: Float[Array, "T K"]) -> Float[Array, "T K"]:
    return activations - activations.mean(axis=0, keepdims=True)


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
