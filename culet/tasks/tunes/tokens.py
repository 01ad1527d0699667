"""A tokenizer of tunes: one token for each word of `culet.audio.tunes.tune_text`."""

import json
from typing import TYPE_CHECKING, Any

from culet.audio.tunes.tune import Note, note_word

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
KEYS = (
    "C", "G", "D", "A", "E", "B", "F#", "F", "Bb", "Eb", "Ab", "Db",
    "Am", "Em", "Bm", "F#m", "C#m", "G#m", "Dm", "Gm", "Cm", "Fm", "Bbm", "Ebm",
)  # fmt: skip
METRES = ("2/4", "3/4", "4/4", "6/8", "9/8")
PITCHES = range(55, 89)  # G3 to E6, the fiddle's
LENGTHS = (1, 2, 3, 4, 6, 8, 10, 12, 16)  # sixteenths
_SPACE = "\u2581"


def tune_tokenizer() -> "Tokenizer":
    """Its words are those of tunes in `KEYS` and `METRES` with notes of `PITCHES` and `LENGTHS`; others are "<unk>".

    It is saved, loaded and used like any tokenizer of a model. A text that goes on from another begins with a space.
    """
    from culet.lm.tokenizers.tokenizer import JsonFile, Tokenizer

    return Tokenizer(JsonFile(json.dumps(_file()).encode(), "the tokenizer of tunes"))


def _file() -> dict[str, Any]:
    """The content of `tokenizer.json`: every word but the first of a text has its space in front."""
    notes = [note_word(Note(pitch, length)) for pitch in (*PITCHES, None) for length in LENGTHS]
    later = [f"{_SPACE}{word}" for word in (*(f"M:{metre}" for metre in METRES), "|", *notes)]
    ids = {word: i for i, word in enumerate([*SPECIALS, *(f"K:{key}" for key in KEYS), *later])}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[name], "content": name, **plain} for name in SPECIALS],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
        "pre_tokenizer": {
            "type": "Split", "pattern": {"String": _SPACE}, "behavior": "MergedWithNext", "invert": False,
        },
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "}],
        },
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "<unk>"},
    }  # fmt: skip
