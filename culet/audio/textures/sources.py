"""Generated sounds to copy: clicks in time, a rain of plucked strings, singing birds.

Axis letters: N samples.
"""

import numpy as np
import scipy.signal
from jaxtyping import Float


def clicks(seconds: float, rate: int, seed: int, *, beat: float = 0.4) -> Float[np.ndarray, "N"]:
    """A metronome: a short woody click every `beat` seconds, its loudness a little uneven, above faint hiss."""
    random = np.random.default_rng(seed)
    time = np.arange(round(0.05 * rate)) / rate
    click = np.exp(-time / 0.008) * (np.sin(2 * np.pi * 1100 * time) + 0.5 * np.sin(2 * np.pi * 2300 * time))
    starts = np.arange(random.uniform(0, beat), seconds, beat)
    return _scattered(seconds, rate, random, [(start, random.uniform(0.8, 1) * click) for start in starts])


def rain(seconds: float, rate: int, seed: int, *, per_second: float = 12.0) -> Float[np.ndarray, "N"]:
    """Plucked strings (Karplus and Strong 1983) at Poisson times, of random pitch and loudness."""
    random = np.random.default_rng(seed)
    starts = random.uniform(0, seconds, random.poisson(per_second * seconds) + 1)
    grains = [
        (start, random.uniform(0.2, 1) * pluck(float(random.choice([330, 440, 550, 660, 880])), 0.3, rate, random))
        for start in starts
    ]
    return _scattered(seconds, rate, random, grains)


def birds(seconds: float, rate: int, seed: int, *, per_second: float = 3.0) -> Float[np.ndarray, "N"]:
    """Chirps that sweep up or down between 1.5 and 3.5 kHz, two to five in a row, at Poisson times."""
    random = np.random.default_rng(seed)
    grains = []
    for start in random.uniform(0, seconds, random.poisson(per_second * seconds / 3) + 1):
        low, high = random.uniform(1500, 2200), random.uniform(2500, 3500)
        ends = (low, high) if random.random() < 0.5 else (high, low)
        time = np.arange(round(0.08 * rate)) / rate
        chirp = np.hanning(len(time)) * scipy.signal.chirp(time, ends[0], time[-1], ends[1])
        grains += [(start + 0.12 * i, random.uniform(0.5, 1) * chirp) for i in range(random.integers(2, 6))]
    return _scattered(seconds, rate, random, grains)


def pluck(frequency: float, seconds: float, rate: int, random: np.random.Generator) -> Float[np.ndarray, "N"]:
    """A plucked string: noise goes round a delay line of one period, and each time is averaged with its neighbour."""
    period = round(rate / frequency)
    burst = np.zeros(round(seconds * rate))
    burst[:period] = random.uniform(-1, 1, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -0.497, -0.497
    ringing = np.asarray(scipy.signal.lfilter([1.0], loop, burst))
    return ringing * np.exp(-np.arange(len(burst)) / (0.3 * len(burst)))


def _scattered(
    seconds: float, rate: int, random: np.random.Generator, grains: list[tuple[float, np.ndarray]]
) -> Float[np.ndarray, "N"]:
    """Grains put where they start, above hiss; the loudest sample is 0.9."""
    sound = 1e-4 * random.standard_normal(round(seconds * rate))
    for start, grain in grains:
        place = round(start * rate)
        room = sound[place : place + len(grain)]
        room += grain[: len(room)]
    return (0.9 * sound / np.abs(sound).max()).astype(np.float32)
