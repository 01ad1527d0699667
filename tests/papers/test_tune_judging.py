"""The listener's ear for quality, which no training sees, tells phrases from spoiled ones."""

import numpy as np

from culet.papers.tune_judging import quality_unseen
from culet.papers.tune_rewards import corrupted
from culet.papers.tunes import phrases


def test_real_phrases_sound_better_than_corrupted_ones():
    generator = np.random.default_rng(7)
    held_out = phrases("smoke", "judging")
    real = np.array([quality_unseen("smoke", phrase) for phrase in held_out])
    spoiled = np.array([quality_unseen("smoke", corrupted(phrase, generator)) for phrase in held_out])
    assert np.mean(real > spoiled) > 0.8
