"""Rewards out of trained models: the score of prompt and answer, and log P(follows)."""

import numpy as np
import pytest

from culet.align.rewards import (
    Answer,
    Statement,
    entailment_reward,
    entailment_scores,
    learned_reward,
    rewards_of,
    scores,
)
from tests.align.rewards.judges import judge
from tests.lm.small import Letters

WORDS = Letters()
ANSWERS = [Answer(prompt="ab", text="c", tokens=2, columns={"document": "ca"})]
ANSWERS += [Answer(prompt="b" * 40, text="", tokens=1, finished=False, columns={"document": "c"})]


def test_a_preference_is_the_score_of_prompt_and_answer_with_the_end_token():
    found = rewards_of(learned_reward(judge(), WORDS), ANSWERS)
    np.testing.assert_array_equal(found, scores(judge(), [[2, 3, 4, 5, 1], [2, *[4] * 40, 1]]))
    alone = rewards_of(learned_reward(judge(), WORDS), ANSWERS[:1])
    np.testing.assert_allclose(alone, found[:1], rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "texts"),
    [(None, [[2, 3, 4, 1, 5, 1], [2, *[4] * 40, 1, 1]]), ("document", [[2, 5, 3, 1, 5, 1], [2, 5, 1, 1]])],
)
def test_entailment_is_the_log_of_the_probability(column, texts):
    model = judge(meaning="entailment")
    log_odds = scores(model, texts).astype(np.float64)
    found = rewards_of(entailment_reward(model, WORDS, premise=column), ANSWERS)
    np.testing.assert_allclose(found, np.log(1 / (1 + np.exp(-log_odds))), rtol=1e-5)
    if column:
        statements = [Statement(premise=a.columns["document"], hypothesis=a.text, label=0.5) for a in ANSWERS]
        np.testing.assert_array_equal(entailment_scores(model, WORDS, statements), log_odds.astype(np.float32))


def test_mistakes():
    with pytest.raises(ValueError, match="score means reward, where a model of entailment is needed"):
        entailment_reward(judge(), WORDS)
    with pytest.raises(ValueError, match="score means entailment, where a model of reward is needed"):
        learned_reward(judge(meaning="entailment"), WORDS)
    with pytest.raises(ValueError, match="answer 0: no text in the column 'source'; columns: document"):
        entailment_reward(judge(meaning="entailment"), WORDS, premise="source")(ANSWERS)
    long = [Answer(prompt="a" * 127, text="", tokens=1)]
    with pytest.raises(ValueError, match=r"text 0 has 129 tokens.*nothing is cut"):
        learned_reward(judge(), WORDS)(long)
