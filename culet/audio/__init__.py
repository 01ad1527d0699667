"""Sound: WAV files, textures that go on like a recording, and tunes as notes, MIDI and sound.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.audio import textures, tunes
from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.audio.wav import read_wav, wav_bytes, write_wav

_HOME = {"wav": ("read_wav", "wav_bytes", "write_wav")}

__all__ = ["read_wav", "textures", "tunes", "wav_bytes", "write_wav"]

__getattr__, __dir__ = lazy(__name__, _HOME)
