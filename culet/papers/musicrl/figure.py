"""What an experiment on music shows: figures, scores as piano rolls, and files to listen to.

Axis letters: N seeds, P points of a run, M metres, T tokens.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from culet.audio.tunes import Tune, midi_bytes, read_tune, render
from culet.audio.tunes.tune import bar_length
from culet.audio.wav import wav_bytes
from culet.core.plot import COLOURS
from culet.experiments.experiment import Findings
from culet.tasks.tunes.tokens import tune_tokenizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATE = 8000  # Hz
TEMPO = {"4/4": 160.0, "6/8": 165.0, "3/4": 140.0}  # quarter notes per minute; jigs have 110 dotted ones
PAPER = {"R": 0.65, "U": 0.586, "RU": 0.87}  # wins over the supervised model there, by people


def music_files(findings: Findings, variants: Sequence[str]) -> Mapping[str, bytes]:
    """The first seed's phrases, for the same prompts by each variant, as WAV and MIDI files."""
    files: dict[str, bytes] = {}
    for place in range(len(findings[variants[0]]["shown"][0])):
        for variant in variants:
            tune = shown_tune(findings[variant]["shown"][0, place])
            if tune is not None:
                name, tempo = f"{place + 1}_{tune.metre.replace('/', '-')}_{variant}", TEMPO[tune.metre]
                files[f"{name}.wav"] = wav_bytes(render(tune, rate=RATE, tempo=tempo), RATE)
                files[f"{name}.mid"] = midi_bytes(tune, tempo=tempo)
    return files


def shown_tune(ids: Int[np.ndarray, "T"]) -> Tune | None:
    """The tune of these tokens, or None where they make none that has notes."""
    try:
        tune = read_tune(tune_tokenizer().decode(ids.tolist()))
    except ValueError:
        return None
    return tune if tune.pitches else None


def music_figure(findings: Findings, trained: Sequence[str], variants: Sequence[str]) -> "Figure":
    """Wins, the two sides of the listener against each other, divergence, and the phrases for one prompt."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 11), dpi=100, layout="constrained")
    panels: Any = figure.subplot_mosaic([["W", "W"], ["S", "K"], ["A", "B"], ["C", "D"]], height_ratios=[3, 4, 2, 2])
    _draw_wins(panels["W"], findings, variants)
    for panel, x, y in (("S", "wins_r", "wins_u"), ("K", "kl", "win_rate")):
        for colour, name in zip(COLOURS, trained, strict=False):
            measured = findings[name]
            panels[panel].plot(measured[x].T, measured[y].T, color=colour, alpha=0.3, linewidth=0.7)
            panels[panel].plot(measured[x].mean(axis=0), measured[y].mean(axis=0), ".-", color=colour, label=name)
        panels[panel].legend(frameon=False, fontsize=9)
    panels["S"].set(xlabel="wins by key, metre and quality", ylabel="wins by the raters' taste")
    panels["K"].set(xlabel="KL from the supervised model, nats per phrase", ylabel="win-rate, by the listener")
    panels["S"].set_title("Both sides of the listener, from the start on", loc="left", fontsize=11)
    panels["K"].set_title("Win-rate over the supervised model against divergence", loc="left", fontsize=11)
    for panel, name in zip("ABCD", variants, strict=False):
        _draw_phrase(panels[panel], findings[name]["shown"][0], name)
    return figure


def _draw_wins(axes: "Axes", findings: Findings, variants: Sequence[str]) -> None:
    places = np.arange(len(variants))
    for offset, (measure, label) in enumerate(
        {"win_rate": "the listener", "wins_r": "key, metre, quality", "wins_u": "taste"}.items()
    ):
        values = np.array([findings[name][f"final_{measure}"] for name in variants])
        at = places + 0.27 * (offset - 1)
        axes.bar(at, values.mean(axis=1), 0.25, color=COLOURS[offset], label=f"by {label}", alpha=0.8)
        axes.plot(np.repeat(at[:, None], values.shape[1], 1), values, ".", color="black", markersize=3)
    for place, name in enumerate(variants):
        if name in PAPER:
            axes.plot([place - 0.4, place + 0.4], 2 * [PAPER[name]], "--", color="#555555")
    axes.plot([], [], "--", color="#555555", label="the paper's, by people")
    axes.axhline(0.5, color="#999999", linewidth=0.8)
    axes.set_xticks(places, variants)
    axes.set(ylim=(0, 1.0), ylabel="win-rate over the supervised model")
    axes.legend(frameon=False, fontsize=9, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))


def _draw_phrase(axes: "Axes", shown: Int[np.ndarray, "M T"], name: str) -> None:
    """The second of the phrases that are shown, in 6/8, as a piano roll with lines where the metre has its bars."""
    tune = shown_tune(shown[1])
    axes.set_title(f"{name}: {'no tune' if tune is None else f'in {tune.key}, {tune.metre}'}", loc="left", fontsize=10)
    if tune is None:
        axes.set_axis_off()
        return
    place = 0
    for note in tune.notes:
        if note.pitch is not None:
            axes.barh(note.pitch, note.length - 0.2, 0.9, left=place, color=COLOURS[0])
        place += note.length
    for bar in range(0, place + 1, bar_length(tune.metre)):
        axes.axvline(bar, color="#bbbbbb", linewidth=0.8)
    axes.set(xlabel="sixteenths", ylabel="MIDI pitch", ylim=(54, 90))
