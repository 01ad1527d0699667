"""WAV files in and out.

Axis letters: N samples, C channels.
"""

import io
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import scipy.io.wavfile
import scipy.signal
from jaxtyping import Float

from culet.core.files import atomic_write

RATES = range(100, 1_000_001)
"""Samples per second that are believed; what a broken header names would not fit into memory when resampled."""

UNKNOWN_SIZE = 2**31 - 2**16
"""From here on a size says that the file was written to a pipe, of a length then unknown."""


def read_wav(path: str | Path, rate: int | None = None) -> tuple[Float[np.ndarray, "N"], int]:
    """Samples of a WAV file as float32, full scale being 1, and their rate in Hz.

    PCM of 8, 16, 24 and 32 bits and floats are read; the channels are averaged. With a `rate`, the samples are brought
    to it by a polyphase filter (`scipy.signal.resample_poly`).

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no WAV file, or one without samples, cut short, of a rate that no sound has, or with samples
            that are not finite.
    """
    content = Path(path).read_bytes()
    if missing := _missing(content):
        raise ValueError(f"{path} is cut short: {missing} bytes of its sound are missing; copy or record it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)  # of chunks that hold no sound
            own_rate, raw = scipy.io.wavfile.read(io.BytesIO(content))
    except (ValueError, TypeError, EOFError, UnboundLocalError, ZeroDivisionError, struct.error) as problem:
        reason = "no chunk of sound" if isinstance(problem, UnboundLocalError) else problem
        raise ValueError(f"{path} is not a readable WAV file ({reason}); convert it to PCM or float WAV.") from None
    if not raw.size:
        raise ValueError(f"{path} holds no samples.")
    if own_rate not in RATES:
        raise ValueError(f"{path} names a rate of {own_rate} Hz; it should be {RATES.start} to {RATES.stop - 1}.")
    samples = _as_float(raw).reshape(len(raw), -1).mean(axis=1, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} has samples that are not finite; {np.argmin(np.isfinite(samples))} is the first.")
    if rate is None or rate == own_rate:
        return samples, own_rate
    divisor = math.gcd(rate, own_rate)
    resampled = scipy.signal.resample_poly(samples, rate // divisor, own_rate // divisor)
    return np.asarray(resampled, np.float32), rate


def _missing(content: bytes) -> int:
    """Bytes that the data chunk announces but the file has not; SciPy passes over these in silence."""
    order = ">" if content[:4] == b"RIFX" else "<"
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from(f"{order}4sI", content, place)
        place += 8 + size
        if name == b"data":
            return max(0, place - len(content)) if size < UNKNOWN_SIZE else 0
        place += size % 2
    return 0


def _as_float(raw: np.ndarray) -> Float[np.ndarray, "..."]:
    """Full scale becomes 1. SciPy gives 24 bits as the upper ones of 32."""
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - 128) / 128
    if np.issubdtype(raw.dtype, np.signedinteger):
        return (raw / -float(np.iinfo(raw.dtype).min)).astype(np.float32)
    return raw.astype(np.float32)


def wav_bytes(samples: Float[np.ndarray, "N"], rate: int) -> bytes:
    """A WAV file of 16 bits, mono. Samples beyond full scale (1) are brought down together, none is clipped.

    Raises ValueError for no samples, and for samples that are not finite.
    """
    if not samples.size or not np.isfinite(samples).all():
        raise ValueError(f"a WAV file needs samples, all of them finite; got {samples.size}")
    scale = 32767 / max(1.0, float(np.abs(samples).max()))
    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, rate, np.round(samples * scale).astype(np.int16))
    return buffer.getvalue()


def write_wav(path: str | Path, samples: Float[np.ndarray, "N"], rate: int) -> None:
    """Writes `wav_bytes` atomically."""
    atomic_write(path, wav_bytes(samples, rate))
