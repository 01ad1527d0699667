"""Tunes and their words, against what a musician would say of them."""

import pytest

from culet.audio.tunes import Note, Tune, in_key, in_metre, read_tune, transposed, tune_text
from culet.audio.tunes.tune import bar_length, key_of

TEXT = "K:G M:6/8 D5:2 G5:4 | F#5:6 | z:2 C-1:4 |"


def test_words_and_tunes_are_each_others_inverses():
    tune = read_tune(TEXT)
    assert tune == Tune(
        key="G", metre="6/8",
        bars=((Note(74, 2), Note(79, 4)), (Note(78, 6),), (Note(None, 2), Note(0, 4))),
    )  # fmt: skip
    assert tune_text(tune) == TEXT
    assert read_tune(TEXT.removesuffix(" |")) == tune  # an open bar counts


@pytest.mark.parametrize(
    ("key", "tonic", "outside"),
    [("C", 0, {1, 3, 6, 8, 10}), ("Bb", 10, {1, 4, 6, 8, 11}), ("F#", 6, {0, 2, 4, 7, 9}), ("Am", 9, {1, 3, 10})],
)
def test_scales(key, tonic, outside):
    assert key_of(key) == (tonic, frozenset(range(12)) - outside)


def test_conformity_counts_notes_and_bars():
    tune = read_tune("K:D M:2/4 F#4:4 F4:4 | z:4 A4:2 | D5:8 | D5:4 D5:4")
    assert in_key(tune) == 5 / 6  # F natural is not in D
    assert in_metre(tune) == 3 / 4  # the second bar is short
    assert in_metre(tune, bars=6) == 3 / 6
    silent = read_tune("K:D M:2/4")
    assert in_key(silent) == in_metre(silent) == 0


def test_transposition_keeps_moves_and_what_is_in_key():
    tune = read_tune("K:Em M:4/4 E4:4 z:2 F#4:2 A#4:8 |")
    moved = transposed(tune, 3)
    assert tune_text(moved) == "K:Gm M:4/4 G4:4 z:2 A4:2 C#5:8 |"
    assert in_key(moved) == in_key(tune) == 2 / 3
    assert transposed(moved, -3) == tune


def test_lengths_of_bars():
    assert [bar_length(metre) for metre in ("2/4", "3/4", "4/4", "6/8", "9/8", "2/2")] == [8, 12, 16, 12, 18, 16]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("D5:2 |", "does not begin"),
        ("K:H M:6/8 D5:2", "'H' is no key"),
        ("K:G M:6/7 D5:2", "'6/7' is no metre"),
        ("K:G M:0/4 D5:2", "'0/4' is no metre"),
        ("K:G M:6/8 D5:2 K:G", "'K:G' is no note"),
        ("K:G M:6/8 D5:0", "shortest has 1"),
        ("K:G M:6/8 G10:2", "pitch 139"),
    ],
)
def test_other_texts_are_refused(text, why):
    with pytest.raises(ValueError, match=why):
        read_tune(text)
