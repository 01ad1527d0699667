"""Reading ABC, against tunes written out by hand after the standard."""

import pytest

from culet.audio.tunes import read_abc, tune_text
from culet.audio.tunes.notation import signature

TUNE = """%abc
X: 1
T:A tune % with a comment
M:6/8
K:D
P:A
A|"D7"d2f {g}a2f|^g2g =g3-|g>f e<d (3efg d z|[ceg]3 A,2:|
[1 c'3 c/2c/c//c// d|[2 D6||
X:2
T:A second
M:2/4
L:1/4
K:Am
CD|[L:1/8]c2 _e2 e|]
X:3
T:Not a key
M:4/4
K:Dmix
d4|
"""


def test_a_tune_is_read_note_for_note():
    first, second = read_abc(TUNE)
    assert (first.title, second.title) == ("A tune", "A second")
    assert [tune_text(part) for part in first.parts] == [
        "K:D M:6/8 A4:2 | D5:4 F#5:2 A5:4 F#5:2 | G#5:4 G#5:2 G5:6 | | G5:6 A3:4 |",  # a triplet empties its bar
        "K:D M:6/8 |",  # and so do notes shorter than a sixteenth
        "K:D M:6/8 D4:12 |",
    ]
    assert [tune_text(part) for part in second.parts] == [
        "K:Am M:2/4 C4:4 D4:4 |",
        "K:Am M:2/4 C5:4 D#5:4 D#5:2 |",
    ]


def test_broken_rhythm_and_tuplets_keep_the_bar():
    [score] = read_abc("X:1\nT:B\nM:4/4\nL:1/4\nK:F\nB>A (3c2d2e2|G<F z2|")
    assert tune_text(score.parts[0]) == "K:F M:4/4 | G4:2 F4:6 z:8 |"
    [score] = read_abc("X:1\nT:B\nM:12/8\nL:1/8\nK:F\n(2cd B>A|")
    assert tune_text(score.parts[0]) == "K:F M:12/8 C5:3 D5:3 A#4:3 A4:1 |"


def test_signatures_are_those_of_the_circle_of_fifths():
    assert [sum(signature(key).values()) for key in ("C", "G", "D", "A", "E", "B", "F#")] == list(range(7))
    assert [sum(signature(key).values()) for key in ("F", "Bb", "Eb", "Ab", "Db")] == [-1, -2, -3, -4, -5]
    assert signature("A") == signature("F#m") == {"F": 1, "C": 1, "G": 1}
    assert signature("Eb") == signature("Cm") == {"B": -1, "E": -1, "A": -1}


def test_a_text_without_tunes_is_refused():
    with pytest.raises(ValueError, match="begin with a line X:"):
        read_abc("Dear Sir")
