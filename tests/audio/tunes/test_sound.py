"""Sound against what a spectrum must show."""

import numpy as np
import pytest

from culet.audio.tunes import read_tune, render

RATE = 8000


def loudest(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples)))
    return spectrum.argmax() * RATE / (4 * len(samples))


def test_notes_sound_in_their_order_at_their_pitches():
    tune = read_tune("K:A M:4/4 A4:4 z:4 E5:8 |")
    samples = render(tune, rate=RATE, tempo=60.0)  # a sixteenth is a quarter of a second
    assert samples.dtype == np.float32 and np.isclose(np.abs(samples).max(), 0.9)
    assert 4.0 <= len(samples) / RATE < 4.1
    assert abs(loudest(samples[:RATE]) - 440) < 1
    assert abs(loudest(samples[2 * RATE : 4 * RATE]) - 440 * 2 ** (7 / 12)) < 1
    assert not samples[int(1.1 * RATE) : 2 * RATE].any()  # the rest is silent


def test_tempo_scales_time_and_no_harmonic_folds_over():
    tune = read_tune("K:C M:4/4 C8:16 |")  # 4186 Hz, above half of the rate
    assert len(render(read_tune("K:C M:4/4 C5:16 |"), rate=RATE, tempo=240.0)) / RATE < 1.1
    with pytest.raises(ValueError, match="4186 Hz"):
        render(tune, rate=RATE)


@pytest.mark.parametrize(
    ("text", "settings", "why"),
    [
        ("K:C M:4/4 z:4", {}, "no notes"),
        ("K:C M:4/4 C4:4", {"tempo": 0.0}, "tempo 0"),
        ("K:C M:4/4 C4:4", {"rate": -1}, "rate -1"),
    ],
)
def test_what_cannot_sound_is_refused(text, settings, why):
    with pytest.raises(ValueError, match=why):
        render(read_tune(text), **settings)
