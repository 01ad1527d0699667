"""The listener's ear for quality, which no training sees, tells phrases from spoiled ones."""

import numpy as np

from culet.tasks.tunes.evaluator import first_in, quality_unseen
from culet.tasks.tunes.phrases import phrases
from culet.tasks.tunes.training_rewards import corrupted


def test_real_phrases_sound_better_than_corrupted_ones():
    generator = np.random.default_rng(7)
    held_out = phrases("smoke", "judging")
    real = np.array([quality_unseen("smoke", phrase) for phrase in held_out])
    spoiled = np.array([quality_unseen("smoke", corrupted(phrase, generator)) for phrase in held_out])
    assert np.mean(real > spoiled) > 0.8


def test_prompts_are_found_by_their_metre():
    asked = ["K:G M:4/4 G4:4", "K:G M:6/8 G4:4", "K:D M:6/8 D5:4"]
    assert [first_in(metre, asked) for metre in ("4/4", "6/8", "3/4")] == [0, 1, 0]
