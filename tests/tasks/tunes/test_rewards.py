"""Rewards of tunes."""

import numpy as np

from culet.align.rewards import Answer, rewards_of
from culet.audio.tunes import in_key
from culet.tasks.tunes.rewards import tune_reward


def test_an_answer_is_judged_as_the_end_of_its_prompts_tune():
    texts = [" F#5:4 |", " F5:4 |", " nonsense", ""]
    answers = [Answer(prompt="K:G M:4/4 G5:4", text=text, tokens=2) for text in texts]
    found = rewards_of(tune_reward(in_key, least=-1.0), answers)
    assert np.array_equal(found, np.array([1.0, 0.5, -1.0, 1.0], np.float32))
