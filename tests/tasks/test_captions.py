"""The reward and the judge, on captions made up for the purpose."""

import numpy as np
import pytest

from culet.tasks.captions import ANIMALS, Scorer, judge, pictures, reward


def test_a_scorer_is_a_mean_over_what_counts():
    words = Scorer({"a": 1.0, "b": 3.0, "a b": 5.0}, pairs=False, hidden=frozenset({"dog"}))
    np.testing.assert_allclose(words.of_texts(["a b", "a dog b", "a c", "", "dog"]), [2.0, 2.0, 0.5, 0.0, 0.0])
    pairs = Scorer({"a": 1.0, "b": 3.0, "a b": 5.0}, pairs=True)
    np.testing.assert_allclose(pairs.of_texts(["a b", "b a"]), [3.0, 4 / 3])


def test_both_tell_animals_in_captions_they_have_not_seen():
    unseen = pictures("smoke", "judging")
    texts = [captions[0] for captions in unseen.captions]
    for scorer in (reward("smoke"), judge("smoke")):
        scores = scorer.of_texts(texts)
        assert np.mean(scores[unseen.animal, None] > scores[None, ~unseen.animal]) > 0.7
    assert not reward("smoke").weights.keys() & ANIMALS
    human = reward("smoke").of_texts([text for captions in pictures("smoke", "training").captions for text in captions])
    assert 0.8 < human.std() < 1.2


def test_missing_captions_are_a_clear_error(monkeypatch, tmp_path):
    pictures.cache_clear()
    monkeypatch.setenv("CULET_DATA", str(tmp_path))
    with pytest.raises(OSError, match=r"train\.1\.en\.gz: no such file in the folder that CULET_DATA names"):
        pictures("laptop", "training")
