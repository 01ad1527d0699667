"""What the raters like, and how phrases are spoiled."""

import numpy as np
import pytest

from culet.audio.tunes import in_metre, read_tune, transposed, tune_text
from culet.tasks.tunes.phrases import OPENING, opening, phrases
from culet.tasks.tunes.training_rewards import conformity, corrupted, in_c, taste

HEAD = "K:G M:4/4"


@pytest.mark.parametrize(
    ("notes", "worth"),
    [
        ("D5:4 C5:4 B4:4 A4:4 | G4:16 |", 1.5 + 2.0),  # steps alone, and the tonic from its neighbour
        ("G4:4 D5:12 | G4:16 |", 1.5),  # from its fifth
        ("G4:4 B4:12 | G4:16 |", 1.0),  # from its third: no cadence
        ("G4:4 A4:12 | A4:16 |", 2.0 * 1 / 2),  # a repeated note is no step
        ("G4:16 |", 0.0),
    ],
)
def test_taste(notes, worth):
    tune = read_tune(f"{HEAD} {notes}")
    assert taste(tune) == pytest.approx(worth)
    assert taste(transposed(tune, 5)) == pytest.approx(worth)


def test_conformity_is_of_four_bars():
    assert conformity(read_tune(f"{HEAD} G4:16 | F4:16 |")) == (1 / 2 + 2 / 4) / 2


def test_corrupted_phrases_keep_their_opening_rhythm_and_pitches():
    generator, changed = np.random.default_rng(0), 0
    for phrase in phrases("smoke", "training"):
        spoiled = corrupted(phrase, generator)
        assert opening(spoiled) == opening(phrase) and in_metre(spoiled) == 1
        assert [note.length for note in spoiled.notes] == [note.length for note in phrase.notes]
        assert set(spoiled.pitches[OPENING:]) <= set(phrase.pitches[OPENING:])
        changed += spoiled != phrase
    assert changed > 0.9 * len(phrases("smoke", "training"))


def test_in_c_moves_notes_as_transposition_does():
    for phrase in phrases("smoke", "training"):
        prompt = opening(phrase)
        rest = tune_text(phrase).removeprefix(prompt)
        moved = {"C": 0, "G": 5, "D": -2}[phrase.key]
        assert "".join(in_c(prompt, rest)) == tune_text(transposed(phrase, moved))
    assert in_c("K:Em M:6/8 B4:2", " E5:4 z:2 | K:G") == ("K:Am M:6/8 E5:2", " A5:4 z:2 | K:G")
