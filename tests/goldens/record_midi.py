"""Records what mido (1.3.3) reads in our MIDI files: `pip install mido`, `python tests/goldens/record_midi.py`.

Writes `midi.json`: for each tune the file, in hexadecimal, and the messages in it with their times in ticks.
"""

import importlib
import io
import json
from pathlib import Path
from typing import Any

from culet.audio.tunes import midi_bytes, read_tune

TUNES = [
    {"text": "K:G M:6/8 D5:2 G5:4 | z:2 F#5:4 | z:6 |", "tempo": 120.0, "program": 40},
    {"text": "K:Bbm M:9/8 z:1 A#3:16 A#3:1 | C-1:3 G9:200 |", "tempo": 61.5, "program": 73},
    {"text": "K:F#m M:2/2 |", "tempo": 4.0, "program": 0},
]


def main() -> None:
    mido: Any = importlib.import_module("mido")
    recorded = []
    for tune in TUNES:
        content = midi_bytes(read_tune(tune["text"]), tempo=tune["tempo"], program=tune["program"])
        file = mido.MidiFile(file=io.BytesIO(content))
        messages = [message.dict() for track in file.tracks for message in track]
        recorded.append(
            {
                **tune,
                "file": content.hex(),
                "type": file.type,
                "ticks_per_beat": file.ticks_per_beat,
                "messages": messages,
            }
        )
    Path(__file__).with_name("midi.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
