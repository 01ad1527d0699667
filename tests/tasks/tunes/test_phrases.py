"""Phrases are cut where a musician would cut them, and no tune stands on both sides."""

import numpy as np

from culet.audio.tunes import in_metre, read_abc, tune_text
from culet.tasks.tunes.phrases import BARS, METRES, OPENING, SIZES, SLOTS, _cut, opening, phrases, prompts


def cut(notes):
    [score] = read_abc(f"X:1\nT:T\nM:3/4\nL:1/4\nK:G\n{notes}")
    return [tune_text(phrase) for part in score.parts for phrase in _cut(part)]


def test_phrases_are_four_whole_bars_after_the_upbeat():
    assert cut("D|G3|A3|B3|c3|d3|e3|f3|g2|") == [
        "K:G M:3/4 G4:12 | A4:12 | B4:12 | C5:12 |",
        "K:G M:3/4 D5:12 | E5:12 | F#5:12 | G5:12 |",  # the last note is held where the next upbeat would come
    ]


def test_a_bar_that_is_not_whole_begins_anew():
    assert cut("G3|A3|B2|c3|d3|e3|f3|") == ["K:G M:3/4 C5:12 | D5:12 | E5:12 | F#5:12 |"]
    assert cut("G3|A3|B3|") == []


def test_made_up_phrases_fit_their_prompts_and_differ_by_use():
    known, judged = phrases("smoke", "training"), phrases("smoke", "judging")
    assert phrases("smoke", "training", 0) == known[::2] and phrases("smoke", "training", 1) == known[1::2]
    assert not {tune_text(phrase) for phrase in known} & {tune_text(phrase) for phrase in judged}
    for phrase in known:
        assert phrase.metre in METRES and len(phrase.bars) == BARS and in_metre(phrase, BARS) == 1
        assert len(opening(phrase).split()) == 2 + OPENING
        assert len(tune_text(phrase).split()) + 1 <= 2 + OPENING + SIZES["smoke"].new_tokens
    ends = np.mean([phrase.pitches[-1] % 12 == {"C": 0, "G": 7, "D": 2}[phrase.key] for phrase in known])
    assert 0.4 < ends < 0.8
    assert prompts("smoke", "tuning", count=5).prompts.tokens.shape == (5, SLOTS)
