"""People's noise, what a labeller reads, and how its rewards are measured, against what can be counted by hand."""

import re

import numpy as np
from scipy.special import expit

from culet.align.rewards import Answer
from culet.lm import train_tokenizer
from culet.papers.rlaif import labellers
from culet.papers.rlaif.experiment import DIRECT, RLAIF, accuracy, preferred
from culet.papers.rlaif.labellers import HOW, WHICH, learned_tokens, perceived_worth, remarks
from culet.tasks.captions import reward

GOOD, BAD = "runs in the grass", "works in the street"


def test_people_prefer_as_in_the_model_of_bradley_and_terry():
    generator = np.random.default_rng(0)
    better, worse = (perceived_worth("smoke", [text] * 20_000, generator) for text in (GOOD, BAD))
    worths = reward("smoke").of_texts([GOOD, BAD])
    np.testing.assert_allclose(better.mean(), worths[0], atol=0.02)
    wanted = expit((worths[0] - worths[1]) / 0.5)
    assert 0.6 < wanted < 0.999
    np.testing.assert_allclose((better > worse).mean(), wanted, atol=0.015)


def test_a_verdict_goes_with_the_scores_and_either_place_wins():
    read = remarks("smoke")
    verdicts = [re.fullmatch(r"([12]) with (\d+) to (\d+)", answer) for question, answer in read if WHICH in question]
    scores = [int(answer) for question, answer in read if HOW in question]
    assert all(verdicts) and len(verdicts) + len(scores) == len(read)
    found = np.array([[int(part) for part in verdict.groups()] for verdict in verdicts if verdict])
    assert found[:, 1:].min() >= 1 and found[:, 1:].max() <= 10 and set(scores) <= set(range(1, 11))
    apart = found[:, 1] != found[:, 2]
    assert ((found[:, 1] > found[:, 2]) == (found[:, 0] == 1))[apart].all()
    assert abs((found[:, 0] == 1).mean() - 0.5) < 0.1  # of some hundreds


def test_scores_rise_with_the_worth_of_what_is_scored():
    said = [(question, int(answer)) for question, answer in remarks("smoke") if HOW in question]
    texts = [question.removeprefix(HOW).removesuffix("\nScore: ") for question, _ in said]
    worths = reward("smoke").of_texts([" ".join(text.split()[3:]) for text in texts])
    assert np.corrcoef(worths, [score for _, score in said])[0, 1] > 0.7


def test_the_answer_and_its_end_alone_are_learned():
    class Words:
        def encode(self, text, *, bos=True, eos=False, special):
            assert not special
            return [2] * bos + [*text.encode()] + [1] * eos

    tokens, weights = learned_tokens(("how? ", "10"), Words())  # pyright: ignore[reportArgumentType]
    assert tokens == [2, *b"how? 10", 1] and weights == [0.0] * 6 + [1.0] * 3


def test_an_answer_has_the_tokens_that_the_judge_will_look_for():
    read = remarks("smoke")[:200]
    words = train_tokenizer([question + answer for question, answer in read], 512)
    for question, answer in read:
        assert learned_tokens((question, answer), words)[0] == words.encode(question + answer, eos=True, special=False)
        assert len(words.encode(answer[0], bos=False)) == 1


def _answers(*texts):
    return [Answer(prompt="", text=text, tokens=len(text.split())) for text in texts]


def test_a_labeller_is_examined_in_one_order_and_in_both(monkeypatch):
    firsts, seconds = _answers("a", "b", "c"), _answers("d", "e", "f")
    labels = iter([[1, 1, 0], [1, 0, 0]])  # of people, and of other people
    monkeypatch.setattr(labellers, "pairs", lambda *_: (firsts, seconds))
    monkeypatch.setattr(labellers, "people", lambda *_: lambda *_: np.array(next(labels), np.float32))
    said = {False: [0.9, 0.8, 0.6], True: [0.7, 0.1, 0.5]}  # of the one that is shown first
    monkeypatch.setattr(labellers, "_shown", lambda *given: np.array(said[given[-1]], np.float32))
    found = labellers.examined("smoke", 0, "narrow")
    wanted = {
        "agreement": 2 / 3,  # averaged: 0.6, 0.85, 0.55
        "single_agreement": (2 / 3 + 1.5 / 3) / 2,  # 0.9, 0.8, 0.6 and 0.3, 0.9, 0.5
        "people_agree": 2 / 3, "changed": 2 / 3, "averaged_changed": 0, "first": 0.6,
    }  # fmt: skip
    assert found.keys() == wanted.keys()
    np.testing.assert_allclose([found[name] for name in wanted], list(wanted.values()), rtol=1e-6)


def test_accuracy_counts_pairs_in_the_right_order_and_ties_half():
    def long(answers):
        return np.array([float(len(answer.text)) for answer in answers])

    assert len(GOOD) < len(BAD)
    assert accuracy(long, _answers(GOOD, BAD, BAD, GOOD), "smoke") == 0
    assert accuracy(lambda answers: -long(answers), _answers(GOOD, BAD, BAD, GOOD), "smoke") == 1
    assert accuracy(long, _answers(GOOD, GOOD), "smoke") == 0.5


def test_preferred_is_a_comparison_on_the_same_prompts():
    one = {"judged": np.array([[[1.0, 3.0], [0.0, 0.0]]])}  # one seed, two prompts
    other = {"judged": np.array([[[2.0, 2.0], [0.0, 9.0]]])}
    np.testing.assert_allclose(preferred({DIRECT: one, RLAIF: other}), [(0 + 1 + 0.25 + 0.25) / 4])
