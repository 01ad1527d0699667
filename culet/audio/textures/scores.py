"""How a synthesised texture is judged, by its spectrogram beside that of its source.

Axis letters: T frames, S frames of the source, F frequencies.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.audio.textures.features import RandomFeatures, autocorrelation, gram, relative_distance
from culet.audio.textures.features import shifted_similarity as similarity


def beat_error(source: Float[np.ndarray, "S F"], new: Float[np.ndarray, "T F"], lag: int) -> float:
    """How far the beat's strength is from the source's, as a share of it: 0 is right, 1 is no beat at all.

    The strength is the autocorrelation at `lag` frames, one frame more or less, of the mean over the frequencies of a
    log-magnitude spectrogram, as a share of its variance.
    """
    strengths = [float(_beat(jnp.asarray(one), lag)) for one in (source, new)]
    return abs(strengths[1] - strengths[0]) / max(abs(strengths[0]), 1e-6)


def _beat(spectrogram: Float[Array, "T F"], lag: int) -> Array:
    loudness = spectrogram.mean(axis=1, keepdims=True)
    peak = autocorrelation(loudness, lag - 1, lag + 2).max()
    return peak / jnp.maximum(autocorrelation(loudness, 0, 1).max(), 1e-12)


def likeness(source: Float[np.ndarray, "S F"], new: Float[np.ndarray, "T F"]) -> float:
    """The greatest correlation of the two spectrograms over all shifts in time, their mean spectra taken off.

    Of as many frames, 1 is a copy that begins elsewhere, and two independent sounds have little. Of unequal lengths the
    shorter is followed by silence: S frames within T that are a copy give about sqrt(S / T).
    """
    return float(similarity(jnp.asarray(source), jnp.asarray(new)).max())


@eqx.filter_jit
def gram_distance(features: RandomFeatures, source: Float[Array, "S F"], new: Float[Array, "T F"]) -> Float[Array, ""]:
    """The relative squared distance of Gram matrices, a mean over the widths of `features`.

    Spectrograms go in as they are and are standardised by the source, as in synthesis. To judge, take `features` that
    were not used to synthesise.
    """
    mean, scale = source.mean(axis=0, keepdims=True), source.std()
    pairs = zip(features((new - mean) / scale), features((source - mean) / scale), strict=True)
    return jnp.stack([relative_distance(gram(a), gram(b)) for a, b in pairs]).mean()
