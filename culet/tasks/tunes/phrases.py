"""Tunes for the experiment on music: phrases of four bars, the prompts that begin them, and a small model of them.

A prompt is a key, a metre and the first notes of a phrase; the model goes on from there.
"""

import functools
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from culet.audio.tunes import Note, Tune, read_abc, transposed, tune_text
from culet.audio.tunes.tune import Bar, bar_length, key_of
from culet.core.text import data_file
from culet.experiments.experiment import Scale
from culet.tasks.tunes.tokens import KEYS, LENGTHS, PITCHES, tune_tokenizer

if TYPE_CHECKING:
    from culet.align.prompts import PromptSet
    from culet.lm import Decoder

Use = Literal["training", "tuning", "judging"]

BARS, OPENING = 4, 3  # bars of a phrase; notes of it that are in the prompt
METRES = ("4/4", "6/8", "3/4")
SLOTS = 2 + OPENING + 1  # tokens of a prompt
_SEEDS: Mapping[Use, int] = {"training": 0, "tuning": 1, "judging": 2}


class Sizes(NamedTuple):
    """Of the data, the model, its training and the evaluation."""

    made_up: Mapping[Use, int] | None  # how many phrases are made up for each use; None: real ones
    new_tokens: int  # of the rest of a phrase with its end
    held_out: int  # prompts that a run is measured on
    width: int
    steps: int
    batch_size: int
    one_model: bool  # for all seeds, as each training is compiled for itself


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes({"training": 120, "tuning": 30, "judging": 30}, 20, 2, 16, 8, 16, True),
    "laptop": Sizes(None, 32, 96, 64, 300, 32, False),
}


@functools.cache
def phrases(scale: Scale, use: Use, half: int | None = None) -> Sequence[Tune]:
    """Phrases to learn from, to tune on or to judge by: real ones (Nottingham), or made up.

    Of ten tunes one is for tuning and one for judging; `half`, 0 or 1, takes every other one of those for learning.
    Raises OSError for real tunes that are not there.
    """
    made_up = SIZES[scale].made_up
    if made_up is not None:
        made = list(_made_up(np.random.default_rng(_SEEDS[use]), made_up[use]))
        return made if half is None else made[half::2]
    parts: Mapping[Use, Sequence[int]] = {"training": range(2, 10), "tuning": [0], "judging": [1]}
    tunes = [tune for number, tune in enumerate(_collection()) if number % 10 in parts[use]]
    chosen = tunes if half is None else tunes[half::2]
    return [phrase for tune in chosen for part in tune for phrase in _cut(part) if _fits(phrase, scale)]


@functools.cache
def _collection() -> Sequence[Sequence[Tune]]:
    """The parts of each tune of the Nottingham collection."""
    with zipfile.ZipFile(io.BytesIO(data_file("nottingham-abc", "ABC_cleaned.zip").read_bytes())) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".abc"))
        return [score.parts for name in names for score in read_abc(archive.read(name).decode("latin-1"))]


def _cut(part: Tune) -> Iterator[Tune]:
    """Groups of four whole bars that follow each other; an upbeat is left out, and the last note is held for it."""
    if part.metre not in METRES or part.key not in KEYS:
        return
    length = bar_length(part.metre)
    group: list[Bar] = []
    for place, bar in enumerate(part.bars):
        missing = length - sum(note.length for note in bar)
        if bar and place == len(part.bars) - 1 and 0 < missing <= length // 2:
            bar = (*bar[:-1], Note(bar[-1].pitch, bar[-1].length + missing))
            missing = 0
        group = [*group, bar] if missing == 0 else []
        if len(group) == BARS:
            yield Tune(key=part.key, metre=part.metre, bars=tuple(group))
            group = []


def _fits(phrase: Tune, scale: Scale) -> bool:
    """Whether there are words for all notes, and few enough of them."""
    known = all(note.length in LENGTHS and (note.pitch is None or note.pitch in PITCHES) for note in phrase.notes)
    longest = 2 + OPENING + SIZES[scale].new_tokens - 1
    return known and len(tune_text(phrase).split()) <= longest and len(phrase.bars[0]) >= OPENING


def _made_up(generator: np.random.Generator, count: int) -> Iterator[Tune]:
    """Walks on the steps of a major scale, of which half end on the tonic."""
    for _ in range(count):
        key = str(generator.choice(["C", "G", "D"]))
        tonic, scale = key_of(key)
        steps = [pitch for pitch in range(60, 82) if pitch % 12 in scale]
        place = int(generator.integers(3, 8))
        walk = place + np.cumsum(generator.choice([-2, -1, 1, 2], size=3 * BARS))
        pitches = [steps[abs(int(step)) % len(steps)] for step in walk]
        if generator.random() < 0.5:
            pitches[-1] = 60 + tonic
        bars = [tuple(Note(pitch, 4) for pitch in pitches[start : start + 3]) for start in range(0, 3 * BARS, 3)]
        yield Tune(key=key, metre="3/4", bars=tuple(bars))


def opening(phrase: Tune) -> str:
    """Key, metre and the first notes of a phrase, in words."""
    return " ".join(tune_text(phrase).split()[: 2 + OPENING])


@functools.cache
def supervised(scale: Scale, seed: int) -> "Decoder":
    """The model that every run begins with, trained on phrases from half of the tunes; one for all variants."""
    size = SIZES[scale]
    if size.one_model and seed:
        return supervised(scale, 0)
    import jax

    from culet.lm import Recipe, scaled, text_rows, train

    tokenizer = tune_tokenizer()
    config = scaled("gemma-2-2b", layers=2, width=size.width, vocabulary=tokenizer.vocabulary, window=32, context=64)
    known = phrases(scale, "training", 0)
    lessons = [*known, *_in_other_keys(known, np.random.default_rng(seed))]
    rows = text_rows([tune_text(phrase) for phrase in lessons], tokenizer, 64)
    recipe = Recipe(steps=size.steps, batch_size=size.batch_size, learning_rate=8e-3, seed=seed)
    return train(config.init(jax.random.key(seed)), rows, recipe, progress=False)


def _in_other_keys(known: Sequence[Tune], generator: np.random.Generator) -> Iterator[Tune]:
    """Each phrase in five other keys up to a fifth away, where it stays within the range that there are words for."""
    for phrase in known:
        for semitones in generator.choice([-7, -5, -4, -3, -2, 2, 3, 4, 5, 7], 5, replace=False).tolist():
            moved = transposed(phrase, semitones)
            if all(pitch in PITCHES for pitch in moved.pitches):
                yield moved


def prompts(scale: Scale, use: Use, *, count: int | None = None) -> "PromptSet":
    """The openings of phrases; with `count`, that many different ones, spread over those that there are."""
    from culet.align.prompts import PromptRow, PromptSet

    tokenizer = tune_tokenizer()
    texts: Iterable[str] = map(opening, phrases(scale, use, 0 if use == "training" else None))
    if count is not None:
        different = list(dict.fromkeys(texts))
        texts = [different[place] for place in np.linspace(0, len(different) - 1, count).astype(int)]
    rows = [PromptRow(text=text, tokens=tokenizer.encode(text, special=False)) for text in texts]
    return PromptSet(rows, tokenizer)
