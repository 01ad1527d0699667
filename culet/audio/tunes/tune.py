"""Melodies: notes in bars, with a key and a metre, and the words in which a language model writes them.

A tune as text is "K:G M:6/8 D5:2 G5:4 | F#5:6 |": its key and metre as in ABC notation, then notes, each a pitch (C4 is
the middle C, sharps alone) and a length in sixteenths, rests ("z:4") and the bar lines that close the bars.
"""

import dataclasses
import re

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = frozenset({0, 2, 4, 5, 7, 9, 11})
MINOR = frozenset({0, 2, 3, 5, 7, 8, 9, 10, 11})
"""Semitones above the tonic; of a minor key, those of its natural, harmonic and melodic forms."""
_MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")

_KEY = re.compile(r"([A-G])([b#]?)(m?)")
_METRE = re.compile(r"(\d+)/(2|4|8|16)")
_NOTE = re.compile(r"(?:([A-G]#?)(-?\d+)|z):(\d+)")


@dataclasses.dataclass(frozen=True)
class Note:
    """A note or a rest. Raises ValueError for a pitch outside MIDI's 0 to 127 and for a length below 1."""

    pitch: int | None  # semitones, 60 for the middle C; None for a rest
    length: int  # in sixteenths

    def __post_init__(self):
        if self.pitch is not None and not 0 <= self.pitch <= 127:
            raise ValueError(f"pitch {self.pitch} is outside 0 to 127")
        if self.length < 1:
            raise ValueError(f"a note of {self.length} sixteenths; the shortest has 1")


Bar = tuple[Note, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tune:
    """A melody. Its bars need not be as long as the metre says: see `in_metre`.

    Raises ValueError for a key or metre that is none.
    """

    key: str  # a tonic and "m" if minor: "D", "Bb", "F#m"
    metre: str  # "6/8"
    bars: tuple[Bar, ...]

    def __post_init__(self):
        key_of(self.key)
        bar_length(self.metre)

    @property
    def notes(self) -> list[Note]:
        """All of them in order, rests too."""
        return [note for bar in self.bars for note in bar]

    @property
    def pitches(self) -> list[int]:
        """In order, without rests."""
        return [note.pitch for note in self.notes if note.pitch is not None]


def key_of(key: str) -> tuple[int, frozenset[int]]:
    """The tonic's pitch class, 0 for C, and the pitch classes of the scale. Raises ValueError for what is no key."""
    match = _KEY.fullmatch(key)
    if not match:
        raise ValueError(f"{key!r} is no key; keys are such as D, Bb, F# and, in minor, Em")
    tonic = (LETTERS[match[1]] + {"": 0, "#": 1, "b": -1}[match[2]]) % 12
    return tonic, frozenset((tonic + step) % 12 for step in (MINOR if match[3] else MAJOR))


def bar_length(metre: str) -> int:
    """Sixteenths in a bar. Raises ValueError for what is no metre."""
    match = _METRE.fullmatch(metre)
    if not match or int(match[1]) == 0:
        raise ValueError(f"{metre!r} is no metre; metres are such as 4/4, 3/4 and 6/8")
    return int(match[1]) * 16 // int(match[2])


def tune_text(tune: Tune) -> str:
    """The tune in words, as the head of this file shows; `read_tune` reads them."""
    return " ".join([f"K:{tune.key}", f"M:{tune.metre}", *(word for bar in tune.bars for word in _bar_words(bar))])


def _bar_words(bar: Bar) -> list[str]:
    return [note_word(note) for note in bar] + ["|"]


def note_word(note: Note) -> str:
    """A note in a word: "F#5:2", "z:4"."""
    if note.pitch is None:
        return f"z:{note.length}"
    return f"{PITCH_CLASSES[note.pitch % 12]}{note.pitch // 12 - 1}:{note.length}"


def read_tune(text: str) -> Tune:
    """The tune that a text of words is. A bar that no line closes counts as one.

    Raises ValueError for a text that does not begin with key and metre, and naming the first word that is no note.
    """
    words = text.split()
    if len(words) < 2 or not words[0].startswith("K:") or not words[1].startswith("M:"):
        raise ValueError(f"{text[:40]!r} does not begin with key and metre, as in K:G M:6/8")
    bars: list[Bar] = []
    bar: list[Note] = []
    for word in words[2:]:
        if word == "|":
            bars.append(tuple(bar))
            bar = []
        else:
            bar.append(read_note(word))
    if bar:
        bars.append(tuple(bar))
    return Tune(key=words[0][2:], metre=words[1][2:], bars=tuple(bars))


def read_note(word: str) -> Note:
    """The note that a word is, as `note_word` writes it. Raises ValueError for another word."""
    match = _NOTE.fullmatch(word)
    if not match:
        raise ValueError(f"{word!r} is no note; notes are such as F#5:2, and rests z:4")
    pitch = None if match[1] is None else PITCH_CLASSES.index(match[1]) + 12 * (int(match[2]) + 1)
    return Note(pitch, int(match[3]))


def transposed(tune: Tune, semitones: int) -> Tune:
    """The tune so many semitones higher, in the key of that pitch, spelled with few signs."""
    tonic, mode = (key_of(tune.key)[0] + semitones) % 12, "m" * tune.key.endswith("m")
    key = (_MINOR_TONICS if mode else _MAJOR_TONICS)[tonic] + mode
    bars = tuple(tuple(_moved(note, semitones) for note in bar) for bar in tune.bars)
    return Tune(key=key, metre=tune.metre, bars=bars)


def _moved(note: Note, semitones: int) -> Note:
    return note if note.pitch is None else Note(note.pitch + semitones, note.length)


def in_key(tune: Tune) -> float:
    """The share of its notes that belong to the scale of its key; 0 without notes."""
    _, scale = key_of(tune.key)
    pitches = tune.pitches
    return sum(pitch % 12 in scale for pitch in pitches) / len(pitches) if pitches else 0.0


def in_metre(tune: Tune, bars: int = 1) -> float:
    """The share of its bars that are as long as the metre says; `bars` that are not there are wrong ones."""
    right = sum(sum(note.length for note in bar) == bar_length(tune.metre) for bar in tune.bars)
    return right / max(len(tune.bars), bars, 1)
