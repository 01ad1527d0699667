"""MIDI files, against what another reader (mido) found in them, recorded by `tests/goldens/record_midi.py`."""

import json
from pathlib import Path

import pytest

from culet.audio.tunes import midi_bytes, read_tune, write_midi

RECORDED = json.loads((Path(__file__).parents[2] / "goldens" / "midi.json").read_text())


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["text"])
def test_another_reader_finds_the_tune(recorded, tmp_path):
    tune, settings = read_tune(recorded["text"]), {name: recorded[name] for name in ("tempo", "program")}
    assert midi_bytes(tune, **settings).hex() == recorded["file"]  # what mido read is what we write
    write_midi(tmp_path / "tune.mid", tune, **settings)
    assert (tmp_path / "tune.mid").read_bytes().hex() == recorded["file"]
    heard, sounding, now = [], {}, 0
    for message in recorded["messages"]:
        now += message["time"]
        if message["type"] == "note_on":
            sounding[message["note"]] = now
        elif message["type"] == "note_off":
            heard.append((message["note"], sounding.pop(message["note"]), now))
    wanted, place = [], 0
    for note in tune.notes:
        if note.pitch is not None:
            wanted.append((note.pitch, place * 120, (place + note.length) * 120))
        place += note.length
    assert heard == wanted and now == place * 120 and not sounding
    assert (recorded["type"], recorded["ticks_per_beat"]) == (0, 480)


def test_another_reader_finds_key_metre_tempo_and_instrument():
    found = [{message["type"]: message for message in recorded["messages"]} for recorded in RECORDED]
    assert [each["key_signature"]["key"] for each in found] == ["G", "Bbm", "F#m"]
    metres = [(each["time_signature"]["numerator"], each["time_signature"]["denominator"]) for each in found]
    assert metres == [(6, 8), (9, 8), (2, 2)]
    assert [each["set_tempo"]["tempo"] for each in found] == [500_000, round(6e7 / 61.5), 15_000_000]
    assert [each["program_change"]["program"] for each in found] == [40, 73, 0]


@pytest.mark.parametrize("settings", [{"tempo": 3.0}, {"program": 128}])
def test_what_the_format_cannot_hold_is_refused(settings):
    with pytest.raises(ValueError, match=r"tempo of 3\.0|program 128"):
        midi_bytes(read_tune("K:C M:4/4 C4:4"), **settings)
