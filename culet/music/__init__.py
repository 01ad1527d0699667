"""Melodies: read, written by a language model, judged by their key and metre, and made to sound."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.music.midi import midi_bytes, write_midi
    from culet.music.notation import Score, read_abc
    from culet.music.rewards import answered_tune, tune_reward
    from culet.music.sound import render
    from culet.music.tokens import tune_tokenizer
    from culet.music.tune import Note, Tune, in_key, in_metre, read_tune, transposed, tune_text

_HOME = {
    "midi": ("midi_bytes", "write_midi"),
    "notation": ("Score", "read_abc"),
    "rewards": ("answered_tune", "tune_reward"),
    "sound": ("render",),
    "tokens": ("tune_tokenizer",),
    "tune": ("Note", "Tune", "in_key", "in_metre", "read_tune", "transposed", "tune_text"),
}

__all__ = [
    "Note",
    "Score",
    "Tune",
    "answered_tune",
    "in_key",
    "in_metre",
    "midi_bytes",
    "read_abc",
    "read_tune",
    "render",
    "transposed",
    "tune_reward",
    "tune_text",
    "tune_tokenizer",
    "write_midi",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
