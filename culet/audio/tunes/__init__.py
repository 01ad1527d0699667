"""Melodies: notes in bars, ABC notation, key and metre, MIDI files and sound."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.audio.tunes.midi import midi_bytes, write_midi
    from culet.audio.tunes.notation import Score, read_abc
    from culet.audio.tunes.sound import render
    from culet.audio.tunes.tune import Note, Tune, in_key, in_metre, read_tune, transposed, tune_text

_HOME = {
    "midi": ("midi_bytes", "write_midi"),
    "notation": ("Score", "read_abc"),
    "sound": ("render",),
    "tune": ("Note", "Tune", "in_key", "in_metre", "read_tune", "transposed", "tune_text"),
}

__all__ = [
    "Note",
    "Score",
    "Tune",
    "in_key",
    "in_metre",
    "midi_bytes",
    "read_abc",
    "read_tune",
    "render",
    "transposed",
    "tune_text",
    "write_midi",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
