"""Spectrograms against numpy's FFT; the loss's terms; a small synthesis."""

import dataclasses
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.audio.textures import TextureSettings, spectrogram_picture, synthesis, synthesise_texture
from culet.audio.textures.features import RandomFeatures, TextureLoss, Weights
from culet.audio.textures.scores import beat_error, gram_distance, likeness
from culet.audio.textures.sources import birds, clicks, pluck, rain
from culet.audio.textures.spectrogram import frames_of, in_units, log_magnitude, sound
from culet.core import Interrupted

RATE, WINDOW = 2000, 64
SMALL = TextureSettings(iterations=25, filters=16, widths=3, rate=RATE, window=WINDOW, phase_iterations=15)
SOURCE = rain(1.5, RATE, 0)


@pytest.fixture(scope="module")
def made():
    return synthesise_texture(SOURCE, SMALL, progress=False)


def test_spectrogram_is_that_of_numpy():
    found, unit = log_magnitude(SOURCE, WINDOW)
    assert found.shape == (frames_of(len(SOURCE), WINDOW), WINDOW // 2 + 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    padded = np.pad(SOURCE.astype(np.float64), WINDOW)
    starts = WINDOW // 2 + (np.arange(len(found)) - 1) * WINDOW // 4
    spectra = np.abs([np.fft.rfft(window * padded[start : start + WINDOW]) for start in starts])
    np.testing.assert_allclose(unit * np.expm1(found), spectra, atol=2e-4 * spectra.max())
    assert abs(unit - 1e-3 * spectra.max()) < 1e-6 * spectra.max()
    np.testing.assert_allclose(in_units(SOURCE, 2 * unit, WINDOW), np.log1p(spectra / 2 / unit), atol=1e-3)


def test_sound_comes_back():
    """The magnitudes of a sound are enough to hear it again."""
    old, unit = log_magnitude(SOURCE, WINDOW)
    few, many = (in_units(sound(old, unit, WINDOW, len(SOURCE), n, 0), unit, WINDOW) for n in (1, 30))
    errors = [np.linalg.norm(np.expm1(one) - np.expm1(old)) / np.linalg.norm(np.expm1(old)) for one in (few, many)]
    assert errors[1] < 0.3 < 0.36 < errors[0]


def test_terms_vanish_on_the_source_itself(getkey):
    features = RandomFeatures(9, 6, 2, key=getkey())
    spectrogram = jax.random.normal(getkey(), (30, 9))
    ones = Weights(*[jnp.float32(1)] * 3)
    loss = TextureLoss(features, spectrogram, 30, ones, first_lag=4)
    measure = eqx.filter_jit(lambda loss, x: loss.terms(x))
    terms = measure(loss, spectrogram)
    assert float(terms.gram) < 1e-10 and float(terms.rhythm) < 1e-10 and float(terms.diversity) > 1 - 1e-3
    late = measure(loss, jnp.roll(spectrogram, 7, axis=0))
    assert float(late.diversity) > 0.8 and float(late.gram) < 0.05
    other = measure(loss, jax.random.permutation(getkey(), spectrogram))
    assert float(other.diversity) < 0.7 and float(other.rhythm) > 0.1
    np.testing.assert_allclose(eqx.filter_jit(loss)(spectrogram), sum(float(term) for term in terms), rtol=1e-5)
    gram_only = Weights(jnp.float32(2), jnp.float32(0), jnp.float32(0))
    off = eqx.tree_at(lambda loss: loss.weights, loss, gram_only)
    back = spectrogram[::-1]
    found = measure(off, back)
    assert float(found.rhythm) == float(found.diversity) == 0
    np.testing.assert_allclose(eqx.filter_jit(off)(back), 2 * measure(loss, back).gram, rtol=1e-5)


def test_terms_are_those_of_numpy(getkey):
    """Rhythm counts lags from the first one to half of the shorter sound, diversity all shifts and widths at once."""
    features = RandomFeatures(5, 3, 2, key=getkey())
    new, source = (jax.random.normal(getkey(), (frames, 5)) for frames in (22, 30))
    loss = TextureLoss(features, source, 22, Weights(*[jnp.float32(1)] * 3), first_lag=4)
    found = eqx.filter_jit(lambda x: loss.terms(x))(new)
    ones, others = ([np.asarray(part, np.float64) for part in features(one)] for one in (new, source))

    def distance(statistic):
        pairs = [(statistic(a), statistic(b)) for a, b in zip(ones, others, strict=True)]
        return np.mean([np.sum((a - b) ** 2) / np.sum(b**2) for a, b in pairs])

    def lagged(a):
        a = a - a.mean(axis=0)
        return np.array([np.mean(a[lag:] * a[: len(a) - lag], axis=0) for lag in range(4, 11)])

    def cosines(a, b):
        a, b = np.pad(a - a.mean(axis=0), ((0, 8), (0, 0))), b - b.mean(axis=0)
        return [np.sum(np.roll(a, s, axis=0) * b) / np.linalg.norm(a) / np.linalg.norm(b) for s in range(30)]

    np.testing.assert_allclose(found.gram, distance(lambda a: a.T @ a / len(a)), rtol=1e-4)
    np.testing.assert_allclose(found.rhythm, distance(lagged), rtol=1e-4)
    by_shift = np.mean([cosines(a, b) for a, b in zip(ones, others, strict=True)], axis=0)
    np.testing.assert_allclose(found.diversity, np.log(np.sum(np.exp(50 * by_shift))) / 50, rtol=1e-4)


def test_gradient_is_that_of_differences(getkey):
    features = RandomFeatures(5, 4, 2, key=getkey())
    x, direction, source = (jax.random.normal(getkey(), (20, 5)) for _ in range(3))
    loss = TextureLoss(features, source, 20, Weights(*[jnp.float32(1)] * 3), first_lag=3)
    step = 1e-2
    both = eqx.filter_jit(eqx.filter_value_and_grad(lambda spectrogram: loss(spectrogram)))
    wanted = (float(both(x + step * direction)[0]) - float(both(x - step * direction)[0])) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(both(x)[1], direction), wanted, rtol=0.03, atol=1e-3)


def test_synthesis_comes_near_its_source_and_is_no_copy(made):
    assert made.samples.shape == SOURCE.shape and made.samples.dtype == np.float32
    features = RandomFeatures(WINDOW // 2 + 1, 16, 3, key=jax.random.key(99))
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(SOURCE)).astype(np.float32)
    _, unit = log_magnitude(SOURCE, WINDOW)
    old = jnp.asarray(made.source_spectrogram)
    near, far = (
        float(gram_distance(features, old, jnp.asarray(one)))
        for one in (made.spectrogram, in_units(noise, unit, WINDOW))
    )
    assert near < 0.5 * far
    assert likeness(made.source_spectrogram, made.spectrogram) < 0.9
    assert set(made.terms) == {"gram", "rhythm", "diversity"} and made.iterations <= SMALL.iterations


def test_same_seed_same_sound_and_another_length():
    short = dataclasses.replace(SMALL, iterations=2, phase_iterations=1)
    ones, others = (synthesise_texture(SOURCE, short, seconds=1.0, progress=False) for _ in range(2))
    np.testing.assert_array_equal(ones.samples, others.samples)
    assert len(ones.samples) == RATE


def test_scores():
    """A metronome against itself begun later, and against one that beats faster."""
    hop = WINDOW // 4
    beat, fast = (log_magnitude(clicks(4.0, RATE, seed, beat=b), WINDOW)[0] for seed, b in ((0, 0.4), (1, 0.33)))
    lag = round(0.4 * RATE / hop)
    assert beat_error(beat, np.roll(beat, 13, axis=0), lag) < 0.15
    assert beat_error(beat, fast, lag) > 0.7
    assert likeness(beat, np.roll(beat, 13, axis=0)) > 0.99
    assert likeness(beat, np.random.default_rng(0).standard_normal(beat.shape).astype(np.float32)) < 0.2


def test_sources():
    for make in (clicks, rain, birds):
        one = make(1.0, 8000, 3)
        assert one.shape == (8000,) and one.dtype == np.float32 and abs(np.abs(one).max() - 0.9) < 1e-6
        assert not np.array_equal(one, make(1.0, 8000, 4))
    string = pluck(200.0, 0.5, 8000, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(string[800:]))
    loudest = np.argmax(spectrum[10:]) + 10
    overtone = loudest * 8000 / 3200 / (8000 / 40.5)  # the average delays by half a sample: the period is 40.5
    assert abs(overtone - round(overtone)) < 0.03
    assert np.abs(string[:400]).mean() > 3 * np.abs(string[-400:]).mean()


def test_picture(made):
    figure = spectrogram_picture({"source": made.source_spectrogram, "new": made.spectrogram}, RATE, WINDOW)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["source", "new"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(4000, np.float32), "silent"),
        (np.ones(100, np.float32), "at least 256"),
        (np.full(4000, np.nan, np.float32), "not finite"),
        (SOURCE[:600], "too few"),
    ],
)
def test_sounds_that_are_no_texture(samples, message):
    with pytest.raises(ValueError, match=message):
        synthesise_texture(samples, SMALL, progress=False)


@pytest.mark.parametrize(
    ("seconds", "message"), [(-1.0, "above 0"), (float("inf"), "finite"), (0.01, "at least 0.6 s")]
)
def test_lengths_that_are_no_texture(seconds, message):
    with pytest.raises(ValueError, match=message):
        synthesise_texture(SOURCE, SMALL, seconds=seconds, progress=False)


@pytest.mark.parametrize("when", ["RandomFeatures", "_value_and_gradient"])
def test_a_signal_stops_it_between_two_steps(when, monkeypatch):
    """In the midst of a computation it could bring the process down; the handler of before is set back."""
    work = getattr(synthesis, when)

    def interrupted(*given, **named):
        signal.raise_signal(signal.SIGINT)
        return work(*given, **named)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(synthesis, when, interrupted)
    short = dataclasses.replace(SMALL, iterations=2, phase_iterations=1)
    with pytest.raises(Interrupted, match="nothing was saved"):
        synthesise_texture(SOURCE, short, seconds=1.0, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "bad", [{"seed": -1}, {"gram": -1.0}, {"gram": 0.0, "rhythm": 0.0}, {"window": 30}, {"filters": 0}]
)
def test_bad_settings(bad):
    with pytest.raises(ValueError):
        TextureSettings(**bad)
