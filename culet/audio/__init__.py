"""Sound: textures that go on like a recording, and tunes as notes, MIDI and sound."""

from culet.audio import textures, tunes

__all__ = ["textures", "tunes"]
