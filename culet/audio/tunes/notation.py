"""Reading ABC notation, of which folk tunes are written: melodies without chords, graces and words.

The parts of the standard (abcnotation.com, version 2.1) that melodies need are read: fields K, L and M, notes with
accidentals, octaves and lengths, rests, ties within a bar, broken rhythm, tuplets, repeats and endings. Of notes that
sound together the highest is taken; a tie over a bar line strikes the note again.
"""

import dataclasses
import re
from fractions import Fraction

from culet.audio.tunes.tune import LETTERS, Bar, Note, Tune, bar_length, key_of

_FIELD = re.compile(r"([A-Za-z]):\s*(.*)")
_TOKEN = re.compile(
    r"""(?P<bar>:*\|[|:\]]*(?:\[?\d)?|::+|\[\d)        # bar lines, with repeats and endings
    |\[(?P<inline>[KLM]):\s*(?P<value>[^\]]*)\]
    |(?P<chord>\[[^\]|]*\])(?P<times>[\d/]*)
    |(?P<note>[_^=]{0,2}[A-Ga-gzx][,']*[\d/]*)
    |\((?P<tuplet>\d)|(?P<tie>-)|(?P<broken>[<>])""",
    re.VERBOSE,
)
_NOTE = re.compile(r"([_^=]{0,2})([A-Ga-gzx])([,']*)([\d/]*)")
_NOT_MELODY = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|%.*')
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # in the time of how many, of simple metres
_ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_SHARPS = "FCGDAEB"  # in the order in which signatures take them; flats come the other way


@dataclasses.dataclass(frozen=True)
class Score:
    """A tune of a collection: its parts end at double bars, repeats, endings, titles of parts and new keys or metres.

    Bars with lengths that are no whole number of sixteenths (as in triplets) are empty.
    """

    title: str
    parts: tuple[Tune, ...]


def read_abc(text: str) -> list[Score]:
    """The tunes of a text in ABC notation, each from its field X to the next; repeats are written once.

    Tunes with fields that are not understood (a key that is neither major nor minor, no metre) are left out. Raises
    ValueError for a text with no tune.
    """
    tunes = re.split(r"^X:", text, flags=re.MULTILINE)[1:]
    if not tunes:
        raise ValueError("no tune in this text: tunes in ABC notation begin with a line X:")
    scores = []
    for tune in tunes:
        reader = _Reader()
        try:
            for line in tune.splitlines()[1:]:
                reader.read(line)
            reader.close_part()
        except ValueError:
            continue
        scores.append(Score(reader.title, tuple(reader.parts)))
    return scores


def signature(key: str) -> dict[str, int]:
    """What a key does to letters, in semitones: {"F": 1, "C": 1} for D. Raises ValueError for what is no key."""
    key_of(key)
    natural = _SHARPS.index(key[0]) - 1 + 7 * ("#" in key) - 7 * ("b" in key) - 3 * key.endswith("m")
    if natural >= 0:
        return {_SHARPS[place % 7]: 1 + place // 7 for place in range(natural)}
    return {_SHARPS[-1 - place % 7]: -1 - place // 7 for place in range(-natural)}


class _Reader:
    """What has been read of a tune so far."""

    def __init__(self):
        self.title, self.key, self.metre = "", "", ""
        self.unit: Fraction | None = None
        self.parts: list[Tune] = []
        self.bars: list[Bar] = []
        self._new_bar()

    def _new_bar(self) -> None:
        self.notes: list[tuple[int | None, Fraction]] = []
        self.accidentals: dict[tuple[str, int], int] = {}
        self.tied, self.following, self.tuplet = False, Fraction(1), (0, Fraction(1))

    def read(self, line: str) -> None:
        line = _NOT_MELODY.sub("", line).rstrip("\\ ")
        field = _FIELD.match(line)
        if field and not line.startswith("|"):
            self._field(field[1], field[2].strip())
        else:
            for token in _TOKEN.finditer(line):
                self._token(token)

    def _field(self, name: str, value: str) -> None:
        if name == "T":
            self.title = self.title or value
        elif name in "KMLP":
            self.close_part()
        if name == "K":
            self.key = value.replace("maj", "").replace("min", "m").strip()
            self.signature = signature(self.key)
        elif name == "M":
            self.metre = {"C": "4/4", "C|": "2/2"}.get(value, value)
            bar_length(self.metre)
        elif name == "L":
            self.unit = Fraction(value) * 16

    def _token(self, token: re.Match[str]) -> None:
        if token["bar"]:
            self._close_bar()
            if re.search(r"[:\d\]]|\|\|", token["bar"]):
                self.close_part()
        elif token["inline"]:
            self._field(token["inline"], token["value"].strip())
        elif token["chord"]:
            inside = [self._note(note) for note in _NOTE.findall(token["chord"])]
            if inside:
                pitch, length = max(inside, key=lambda note: -1 if note[0] is None else note[0])
                self._add(pitch, length * _times(token["times"]))
        elif token["note"]:
            self._add(*self._note(_NOTE.findall(token["note"])[0]))
        elif token["tuplet"]:
            count = int(token["tuplet"])
            self.tuplet = (count, Fraction(_TUPLETS.get(count, count), count))
        elif token["tie"]:
            self.tied = True
        elif token["broken"] and self.notes:
            first = Fraction(3, 2) if token["broken"] == ">" else Fraction(1, 2)
            self.notes[-1] = (self.notes[-1][0], self.notes[-1][1] * first)
            self.following = 2 - first

    def _note(self, note: tuple[str, str, str, str]) -> tuple[int | None, Fraction]:
        accidental, letter, marks, times = note
        length = self._unit() * _times(times)
        if letter in "zx":
            return None, length
        octave = 5 + letter.islower() + marks.count("'") - marks.count(",")
        place = (letter.upper(), octave)
        if accidental:
            self.accidentals[place] = _ACCIDENTALS.get(accidental, 0)
        raised = self.accidentals.get(place, self.signature.get(letter.upper(), 0))
        return LETTERS[letter.upper()] + raised + 12 * octave, length

    def _unit(self) -> Fraction:
        """The unit note length in sixteenths; where none is given, an eighth, or in short metres a sixteenth."""
        if self.unit is not None:
            return self.unit
        return Fraction(2 if bar_length(self.metre) >= 12 else 1)

    def _add(self, pitch: int | None, length: Fraction) -> None:
        left, factor = self.tuplet
        if left:
            length, self.tuplet = length * factor, (left - 1, factor)
        length, self.following = length * self.following, Fraction(1)
        if self.tied and self.notes and self.notes[-1][0] == pitch:
            self.notes[-1] = (pitch, self.notes[-1][1] + length)
        else:
            self.notes.append((pitch, length))
        self.tied = False

    def _close_bar(self) -> None:
        if self.notes:
            whole = all(length.denominator == 1 and length >= 1 for _, length in self.notes)
            self.bars.append(tuple(Note(pitch, int(length)) for pitch, length in self.notes) if whole else ())
        self._new_bar()

    def close_part(self) -> None:
        """Puts the bars that were read since the last part into a new one."""
        self._close_bar()
        if self.bars:
            self.parts.append(Tune(key=self.key, metre=self.metre, bars=tuple(self.bars)))
        self.bars = []


def _times(text: str) -> Fraction:
    """The factor of a length: "3/2", "2", "/" for a half, "//" for a quarter; 1 for nothing."""
    match = re.match(r"(\d*)(/*)(\d*)", text)
    assert match is not None
    return Fraction(int(match[1] or 1), int(match[3] or 2 ** len(match[2])))
