"""Synthesis: a spectrogram is moved until its statistics are those of the source, then made to sound.

Axis letters: N samples, T frames, F frequencies.
"""

import contextlib
import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Float

from culet.audio.textures.features import RandomFeatures, TextureLoss, Weights
from culet.audio.textures.settings import TextureSettings
from culet.audio.textures.spectrogram import frames_of, in_units, log_magnitude, sound
from culet.core.interrupt import Interrupted, Interrupts
from culet.core.progress import Progress

RHYTHM_SECONDS = 0.2
"""Autocorrelations count from this lag on."""


@dataclasses.dataclass(frozen=True)
class Texture:
    """A synthesised sound."""

    samples: Float[np.ndarray, "N"]
    spectrogram: Float[np.ndarray, "T F"]  # of the samples, not the one that was aimed at
    source_spectrogram: Float[np.ndarray, "_ F"]
    terms: dict[str, float]  # of the loss at the end, before weighting: gram, rhythm, diversity
    iterations: int  # of L-BFGS


def synthesise_texture(
    samples: Float[np.ndarray, "N"],
    settings: TextureSettings | None = None,
    *,
    seconds: float | None = None,
    progress: bool = True,
) -> Texture:
    """A sound of `seconds` (as long as the source if None) with the texture of `samples`, at `settings.rate`.

    L-BFGS (scipy) goes over the log-magnitude spectrogram, from noise with the mean and the spread of each of the
    source's frequencies, so that statistics of random networks agree with those of the source (`TextureLoss`;
    1806.08002, section 2); the phase is Griffin and Lim's. The networks see spectrograms less the source's mean
    spectrum, over its standard deviation.

    Raises ValueError for a sound that is too short, silent or not finite, and for `seconds` too few for a texture;
    `culet.core.Interrupted` after SIGTERM or SIGINT, once the step under way is done.
    """
    settings = settings or TextureSettings()
    window = settings.window
    source, unit = log_magnitude(samples, window)
    if seconds is not None and not 0 < seconds < float("inf"):
        raise ValueError(f"seconds is {seconds}; it must be above 0 and finite")
    count = len(samples) if seconds is None else round(seconds * settings.rate)
    first_lag = round(RHYTHM_SECONDS * settings.rate / (window // 4))
    shortest = min(count, len(samples))
    if shortest < 4 * window or frames_of(shortest, window) // 2 <= first_lag:
        least = max(3 * RHYTHM_SECONDS, 4 * window / settings.rate)
        raise ValueError(
            f"{shortest / settings.rate:.2f} s of sound are too few for a texture; "
            f"use at least {least:.1f} s, for source and result"
        )
    with Interrupts() as interrupts:  # what a signal raises amid a computation of JAX can bring the process down
        filter_key, start_key = jax.random.split(jax.random.key(settings.seed))
        widths = min(settings.widths, frames_of(shortest, window).bit_length() - 1)  # no filter longer than a sound
        sizes = (source.shape[1], settings.filters, widths)
        features = eqx.filter_jit(RandomFeatures)(*sizes, key=filter_key)
        mean, scale = source.mean(axis=0, keepdims=True), source.std()
        weights = Weights(*(jnp.asarray(getattr(settings, name), jnp.float32) for name in Weights._fields))
        frames = frames_of(count, window)
        loss = eqx.filter_jit(TextureLoss)(features, jnp.asarray((source - mean) / scale), frames, weights, first_lag)
        spread = jnp.asarray(source.std(axis=0, keepdims=True) / scale)  # where networks are blind, silence stays
        start = spread * jax.random.normal(start_key, (frames, source.shape[1]))
        best, iterations = _minimise(loss, np.asarray(start), settings.iterations, progress, interrupts)
    target = best * scale + mean
    new = sound(target, unit, window, count, settings.phase_iterations, settings.seed, progress=progress)
    terms = {name: float(value) for name, value in _terms(loss, jnp.asarray(best))._asdict().items()}
    return Texture(new, in_units(new, unit, window), source, terms, iterations)


@eqx.filter_jit
def _terms(loss: TextureLoss, spectrogram: Any) -> Weights:
    return loss.terms(spectrogram)


@eqx.filter_jit
def _value_and_gradient(loss: TextureLoss, spectrogram: Any) -> Any:
    return jax.value_and_grad(loss)(spectrogram)


def _minimise(
    loss: TextureLoss, start: np.ndarray, iterations: int, progress: bool, interrupts: Interrupts
) -> tuple[np.ndarray, int]:
    """L-BFGS: the algebra in float64, in which it does not stall, the loss in float32."""
    done = 0

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        if interrupts.requested:
            raise Interrupted(done, None)
        value, gradient = _value_and_gradient(loss, jnp.asarray(flat.reshape(start.shape), jnp.float32))
        return float(value), np.asarray(gradient, np.float64).ravel()

    with Progress("texture", 0, iterations) if progress else contextlib.nullcontext() as bar:

        def tell(intermediate_result: scipy.optimize.OptimizeResult) -> None:
            nonlocal done
            done += 1
            if bar:
                bar.update(done, float(intermediate_result.fun), None)

        options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "ftol": 0.0, "gtol": 0.0}
        result = scipy.optimize.minimize(
            value_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", callback=tell, options=options
        )
    if not np.isfinite(result.fun):
        raise ArithmeticError(f"the loss of the texture became {result.fun}; use smaller weights")
    return result.x.reshape(start.shape).astype(np.float32), done
