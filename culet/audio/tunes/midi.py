"""Standard MIDI files (MIDI 1.0, format 0): one track with a tune's notes, key, metre and tempo."""

import re
from pathlib import Path

from culet.audio.tunes.tune import Tune, key_of
from culet.core.files import atomic_write

SIXTEENTH = 120  # ticks
VELOCITY = 80
FIFTHS = {0: 0, 7: 1, 2: 2, 9: 3, 4: 4, 11: 5, 6: 6, 5: -1, 10: -2, 3: -3, 8: -4, 1: -5}  # signature of a major tonic


def midi_bytes(tune: Tune, *, tempo: float = 120.0, program: int = 40) -> bytes:
    """The file; `tempo` is in quarter notes per minute, `program` an instrument of General MIDI (40 is a violin).

    Raises ValueError for a tempo or program that the format cannot hold.
    """
    if not 4 <= tempo <= 6e7:
        raise ValueError(f"a tempo of {tempo} quarter notes per minute; MIDI takes 4 and more")
    if not 0 <= program <= 127:
        raise ValueError(f"program {program}; General MIDI has 0 to 127")
    beats, unit = map(int, re.findall(r"\d+", tune.metre))
    minor = tune.key.endswith("m")
    major_tonic = (key_of(tune.key)[0] + 3 * minor) % 12
    events = [
        (0, b"\xff\x51\x03" + round(6e7 / tempo).to_bytes(3, "big")),
        (0, bytes([0xFF, 0x58, 4, beats, unit.bit_length() - 1, 24, 8])),
        (0, bytes([0xFF, 0x59, 2, FIFTHS[major_tonic] % 256, minor])),
        (0, bytes([0xC0, program])),
    ]
    waited = 0
    for note in tune.notes:
        if note.pitch is None:
            waited += note.length * SIXTEENTH
            continue
        events += [
            (waited, bytes([0x90, note.pitch, VELOCITY])),
            (note.length * SIXTEENTH, bytes([0x80, note.pitch, 0])),
        ]
        waited = 0
    events.append((waited, b"\xff\x2f\x00"))
    track = b"".join(_variable_length(delta) + event for delta, event in events)
    header = (6).to_bytes(4, "big") + b"\x00\x00\x00\x01" + (4 * SIXTEENTH).to_bytes(2, "big")
    return b"MThd" + header + b"MTrk" + len(track).to_bytes(4, "big") + track


def write_midi(path: str | Path, tune: Tune, *, tempo: float = 120.0, program: int = 40) -> None:
    """Writes `midi_bytes` atomically."""
    atomic_write(path, midi_bytes(tune, tempo=tempo, program=program))


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have the eighth bit."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))
