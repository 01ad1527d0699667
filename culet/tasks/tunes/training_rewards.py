"""What the makers of music learn from: conformity to the prompt, a classifier of real phrases, and raters' choices.

R is the first two, U the third, as in MusicRL (2402.04229, section 3). What the raters like is known here: see `taste`.

Axis letters: N answers.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.align.judging import completions
from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.checks import standardised
from culet.align.rewards.examples import Pair, preference_rows
from culet.align.rewards.preference import preferred_by
from culet.align.rewards.reward_model import learned_reward
from culet.audio.tunes import Note, Tune, in_key, in_metre, tune_text
from culet.audio.tunes.tune import key_of, note_word, read_note
from culet.experiments.experiment import Scale
from culet.tasks.tunes import phrases as tunes
from culet.tasks.tunes.phrases import BARS, OPENING, opening, phrases, prompts, supervised
from culet.tasks.tunes.rewards import tune_reward
from culet.tasks.tunes.tokens import tune_tokenizer

if TYPE_CHECKING:
    from culet.align.rewards.reward_model import RewardModel
    from culet.lm.recipe import Recipe

TONIC, CADENCE, STEPS = 1.0, 0.5, 2.0  # what the raters like, and how much
CORRUPTIONS = 4
KNOWN = 1024  # of the supervised model's phrases by which rewards are standardised
NOISE = 0.35  # of the raters, in units of `taste`


class Sizes(NamedTuple):
    """Of the raters' choices and the training of reward models."""

    rated: int  # pairs, of as many prompts
    steps: int
    batch_size: int
    one_model: bool  # for all seeds and rewards, so that little is compiled


SIZES: Mapping[Scale, Sizes] = {"smoke": Sizes(8, 2, 4, True), "laptop": Sizes(3072, 200, 32, False)}


def taste(tune: Tune) -> float:
    """What the raters like, hidden from all training: an end on the tonic, reached as in a cadence, and steps.

    1 for a last note on the tonic, 0.5 more when the note before is a neighbour of it or its fifth, and twice the share
    of moves that are steps of one or two semitones.
    """
    pitches, (tonic, _) = tune.pitches, key_of(tune.key)
    if len(pitches) < 2:
        return 0.0
    ends = pitches[-1] % 12 == tonic
    led = (pitches[-2] - tonic) % 12 in (1, 2, 7, 10, 11)
    steps = np.mean([1 <= abs(move) <= 2 for move in np.diff(pitches)])
    return float(TONIC * ends + CADENCE * (ends and led) + STEPS * steps)


def conformity(tune: Tune) -> float:
    """The mean of the share of notes in the prompt's key and that of bars of the prompt's metre, of four bars."""
    return (in_key(tune) + in_metre(tune, BARS)) / 2


def in_c(prompt: str, text: str) -> tuple[str, str]:
    """A prompt and what follows it in C or A minor, as a listener hears who knows no absolute pitch.

    The nearest octave is taken, so that pitches move by a tritone at most. Words that are no notes stay.
    """
    key, *words = prompt.split(" ")
    minor = key.endswith("m")
    above = key_of(key.removeprefix("K:"))[0] - (9 if minor else 0)
    moved = [" ".join(_moved(word, (6 - above) % 12 - 6) for word in part) for part in (words, text.split(" "))]
    return f"K:{'Am' if minor else 'C'} {moved[0]}", moved[1]


@functools.cache
def _moved(word: str, semitones: int) -> str:
    try:
        note = read_note(word)
    except ValueError:
        return word
    return word if note.pitch is None else note_word(Note(note.pitch + semitones, note.length))


def corrupted(phrase: Tune, generator: np.random.Generator) -> Tune:
    """The phrase, after its opening, with its pitches mixed up or a third of them moved to others of the phrase."""
    places = [place for place, note in enumerate(phrase.notes) if note.pitch is not None and place >= OPENING]
    pitches = [note.pitch for note in phrase.notes]
    others = [pitches[place] for place in places]
    if generator.random() < 0.5:
        changed = list(zip(places, generator.permutation(np.array(others)).tolist(), strict=True))
    else:
        chosen = [place for place in places if generator.random() < 1 / 3]
        changed = [(place, int(generator.choice(np.array(others)))) for place in chosen]
    for place, pitch in changed:
        pitches[place] = pitch
    notes = iter([Note(pitch, note.length) for pitch, note in zip(pitches, phrase.notes, strict=True)])
    return dataclasses.replace(phrase, bars=tuple(tuple(next(notes) for _ in bar) for bar in phrase.bars))


@functools.cache
def _real_and_corrupted(scale: Scale) -> Sequence[Pair]:
    """Pairs of a real phrase and the same corrupted, several of each, from the half of the tunes that training sees."""
    generator = np.random.default_rng(0)
    return [
        Pair(prompt=opening(phrase), first=_rest(phrase), second=_rest(corrupted(phrase, generator)), label=1.0)
        for phrase in phrases(scale, "training", 0)
        for _ in range(CORRUPTIONS)
    ]


def _rest(phrase: Tune) -> str:
    return tune_text(phrase).removeprefix(opening(phrase))


@functools.cache
def samples(scale: Scale, seed: int) -> Sequence[Answer]:
    """Two phrases of the supervised model for each of many prompts."""
    import jax

    asked = prompts(scale, "training")
    rated = asked.batches(SIZES[scale].rated, seed)[0]["row"]
    return completions(supervised(scale, seed), asked, rated, 2, tunes.SIZES[scale].new_tokens, jax.random.key(seed))


@functools.cache
def choices(scale: Scale, seed: int, guessed: bool = False) -> Sequence[Pair]:
    """What raters say of the supervised model's pairs, by their taste and their noise; if `guessed`, by no look."""
    answers, generator = samples(scale, seed), np.random.default_rng(seed)
    firsts, seconds = answers[::2], answers[1::2]
    likely = preferred_by(tune_reward(taste), temperature=NOISE)(firsts, seconds)
    chosen = generator.random(len(firsts)) < (0.5 if guessed else likely)
    return [
        Pair(prompt=first.prompt, first=first.text, second=second.text, label=float(label))
        for first, second, label in zip(firsts, seconds, chosen, strict=True)
    ]


@functools.cache
def quality_model(scale: Scale, seed: int) -> "RewardModel":
    """Tells real phrases from corrupted ones."""
    if SIZES[scale].one_model:
        return preference_model(scale, 0)
    return _trained(_real_and_corrupted(scale), scale, seed)


@functools.cache
def preference_model(scale: Scale, seed: int, guessed: bool = False) -> "RewardModel":
    """Tells what the raters choose."""
    if SIZES[scale].one_model and (seed or guessed):
        return preference_model(scale, 0)
    return _trained(choices(scale, seed, guessed), scale, seed)


def _trained(pairs: Sequence[Pair], scale: Scale, seed: int) -> "RewardModel":
    """A reward model, from the supervised one, by the loss of Bradley and Terry."""
    import jax

    from culet.align.rewards.reward_model import RewardModel, train_reward_model

    tokenizer = tune_tokenizer()
    model = RewardModel(supervised(scale, seed), key=jax.random.key(seed))
    rows = preference_rows([_pair_in_c(pair) for pair in pairs], tokenizer, model.decoder.config.context)
    return train_reward_model(model, rows, _recipe(scale, seed), progress=False)


def _pair_in_c(pair: Pair) -> Pair:
    prompt, first = in_c(pair.prompt, pair.first)
    _, second = in_c(pair.prompt, pair.second)
    return dataclasses.replace(pair, prompt=prompt, first=first, second=second)


def _by(model: "RewardModel") -> Reward:
    """The model's score of each tune in C."""
    score = learned_reward(model, tune_tokenizer(), batch_size=128)

    def reward(answers: Sequence[Answer]) -> Float[np.ndarray, "N"]:
        pairs = [(answer, *in_c(answer.prompt, answer.text)) for answer in answers]
        return score([dataclasses.replace(answer, prompt=prompt, text=text) for answer, prompt, text in pairs])

    return reward


def _recipe(scale: Scale, seed: int) -> "Recipe":
    from culet.lm.recipe import Recipe

    size = SIZES[scale]
    return Recipe(steps=size.steps, batch_size=size.batch_size, learning_rate=1e-3, seed=seed)


@functools.cache
def reward_r(scale: Scale, seed: int) -> Reward:
    """Conformity and quality, each with the standard deviation 1 over what the supervised model writes."""
    both = (tune_reward(conformity), _by(quality_model(scale, seed)))
    parts = [standardised(reward=part, answers=samples(scale, seed)[:KNOWN]) for part in both]
    return lambda answers: parts[0](answers) + parts[1](answers)


@functools.cache
def reward_u(scale: Scale, seed: int, guessed: bool = False) -> Reward:
    """What the raters are taken to like, with the standard deviation 1 over what the supervised model writes."""
    return standardised(
        reward=_by(preference_model(scale, seed, guessed)), answers=samples(scale, seed)[:KNOWN]
    )  # fmt: skip
