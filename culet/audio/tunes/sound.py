"""Tunes as sound: each note a sum of harmonics that die away, the higher ones sooner, as on a plucked string.

Axis letters: N samples, H harmonics, T samples of a note.
"""

import numpy as np
from jaxtyping import Float

from culet.audio.tunes.tune import Tune

HARMONICS = 12
ATTACK, RELEASE = 0.005, 0.06  # seconds; the release rings on into the next note
DECAY = 2.0  # of the fundamental, per second; a harmonic's is as many times that


def render(tune: Tune, *, rate: int = 22050, tempo: float = 120.0) -> Float[np.ndarray, "N"]:
    """Samples at `rate` Hz, within -1 and 1, of a tune at `tempo` quarter notes per minute, in equal temperament.

    Raises ValueError for a tune without notes, for one with a note too high for the rate, and for a rate or tempo that
    is not positive.
    """
    if rate <= 0 or tempo <= 0:
        raise ValueError(f"rate {rate} and tempo {tempo} must be positive")
    if not tune.pitches:
        raise ValueError("this tune has no notes to hear")
    highest = _frequency(max(tune.pitches))
    if highest >= rate / 2:
        raise ValueError(f"the highest note, {highest:.0f} Hz, needs a rate above {2 * highest:.0f} Hz, not {rate}")
    sixteenth = 15 / tempo
    total = sum(note.length for note in tune.notes) * sixteenth
    samples = np.zeros(int((total + RELEASE) * rate) + 1, np.float32)
    place = 0
    for note in tune.notes:
        if note.pitch is not None:
            sound = _pluck(_frequency(note.pitch), note.length * sixteenth, rate)
            start = round(place * sixteenth * rate)
            end = min(start + len(sound), len(samples))
            samples[start:end] += sound[: end - start]
        place += note.length
    return 0.9 * samples / np.abs(samples).max()


def _frequency(pitch: int) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


def _pluck(frequency: float, seconds: float, rate: int) -> Float[np.ndarray, "T"]:
    time = np.arange(int((seconds + RELEASE) * rate)) / rate
    numbers = np.arange(1, HARMONICS + 1)[:, None]
    numbers = numbers[numbers * frequency < rate / 2][:, None]
    waves = np.sin(2 * np.pi * frequency * numbers * time) * np.exp(-DECAY * numbers * time) / numbers**1.5
    fade = np.clip(np.minimum(time / ATTACK, (seconds + RELEASE - time) / RELEASE), 0, 1)
    return (waves.sum(axis=0) * fade).astype(np.float32)
