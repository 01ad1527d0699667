"""The lexical scorer: its table beside a plain loop, its signs by hand, and what it tells apart."""

import collections

import numpy as np
import pytest

from culet.align.rewards import (
    LexicalScorer,
    Statement,
    area_under_curve,
    entailed,
    statements_about,
    train_lexical_scorer,
)
from culet.align.rewards.answer import Answer
from culet.align.rewards.captions import KINDS
from culet.align.rewards.lexical import COPIED, FLOOR, RAREST, ROUNDS, SIGNS
from culet.tasks.summaries import captions


def follows(premise, hypothesis, label=1.0):
    return Statement(premise=premise, hypothesis=hypothesis, label=label)


@pytest.fixture(scope="module")
def scorer():
    return train_lexical_scorer(statements_about(captions("smoke", "training")))


def test_lifts_are_those_of_a_loop_over_words_and_pairs():
    texts = [("red dog", "dog"), ("red dog park", "park dog"), ("cat park", "cat"), ("dog cat", "cat dog")] * 4
    learned = [follows(*text) for text in texts]
    weighed = [follows("dog", "dog"), follows("dog", "cat", 0.0)] * 3  # the last quarter or so
    found = train_lexical_scorer([*learned[:16], *weighed[:5]])  # of 21 statements the first 15
    used = texts[:15]
    counts = collections.Counter(word for _, said in used for word in said.split())
    known = [word for word in counts if counts[word] >= RAREST]
    base = {word: counts[word] / sum(counts[other] for other in known) for word in known}
    table = {read: dict(base) for read in known}
    for _ in range(ROUNDS):
        totals = {read: collections.defaultdict(float) for read in known}
        for premise, said in used:
            beside = [word for word in premise.split() if word in base]
            for word in said.split():
                for read in beside if word in base else ():
                    totals[read][word] += table[read][word] / sum(table[other][word] for other in beside)
        table = {
            read: {word: (totals[read][word] + base[word]) / (sum(totals[read].values()) + 1) for word in known}
            for read in known
        }
    assert set(found.vocabulary) == set(known) and "red" not in found.vocabulary
    for read in known:
        for word in known:
            lift = found.lifts[found.vocabulary[read], found.vocabulary[word]]
            assert lift == pytest.approx(table[read][word] / base[word], rel=1e-5)


def test_signs_by_hand():
    lifts = np.array([[4.0, 1.0], [1.0, 2.0]])
    bare = LexicalScorer({"dog": 0, "red": 1}, lifts, np.ones(len(SIGNS)))
    premise = "a dog in a red coat"
    present, other, unknown, empty = bare.signs(
        [follows(premise, text) for text in ("the dogs are red", "a blue cat", "a zebra coat", "")]
    )
    names = list(KINDS)
    assert present[0] == 1 and present[-2] == pytest.approx(np.mean(np.log([(4 + 1) / 2 + FLOOR, (1 + 2) / 2 + FLOOR])))
    assert other[0] == 0 and other[-2] == pytest.approx(np.log(FLOOR))
    assert dict(zip(names, other[1:4], strict=True)) == {"colour": 1, "number": 0, "noun": 1}
    assert dict(zip(names, other[4:7], strict=True)) == {"colour": 1, "number": 0, "noun": 1}  # red, dog stand there
    assert unknown[0] == 0.5 and not unknown[1:7].any()
    assert unknown[-2] == pytest.approx(np.log([FLOOR, COPIED]).mean())
    assert empty.tolist() == [0.0] * (len(SIGNS) - 1) + [1.0]
    np.testing.assert_allclose(bare([follows(premise, "a blue cat")]), [other.sum()])


def test_it_tells_what_follows_about_pictures_that_it_has_not_seen(scorer):
    unseen = statements_about(captions("smoke", "judging"))
    labels = np.array([each.label for each in unseen]) > 0.5
    assert area_under_curve(scorer(unseen), labels) > 0.95
    assert area_under_curve(scorer(unseen[1:] + unseen[:1]), labels) < 0.2  # the statements moved by one


def test_as_a_reward_it_is_the_log_probability(scorer):
    source, other = "a man in a red coat runs on the beach", "a girl sits in the kitchen"
    columns = {"source": source, "other": other}
    answers = [Answer(prompt="tell:", text=text, tokens=3, columns=columns) for text in ("a man runs", "a girl sits")]
    log_odds = scorer([follows(source, answer.text) for answer in answers])
    found = entailed(scorer, premise="source")(answers)
    np.testing.assert_allclose(found, np.log(1 / (1 + np.exp(-log_odds))), rtol=1e-6)
    assert found[0] > found[1]
    first, second = entailed(scorer, premise="other")(answers)
    assert first < second


def test_too_little_to_learn_from_is_an_error():
    true = [follows("a dog", "a dog")] * 12
    with pytest.raises(ValueError, match="the last quarter of the statements must hold some that follow and others"):
        train_lexical_scorer(true)
    with pytest.raises(ValueError, match="no word was said 5 times in statements that follow"):
        train_lexical_scorer(true[:4])
