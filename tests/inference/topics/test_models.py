import json
import os
import signal
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

from culet.core import Interrupted
from culet.inference import HDP, LDA, Minibatches, SparseLDA, load_topics, save_topics, topic_figure

V, D = 24, 60
FITTING: dict[str, Any] = {"passes": 3, "batch_size": 20}
GENERATOR = np.random.default_rng(0)
TRUE = np.kron(np.eye(3), np.full(V // 3, 3 / V))  # three topics of eight words each
COUNTS = np.array([GENERATOR.multinomial(14, GENERATOR.dirichlet([0.2] * 3) @ TRUE) for _ in range(D)])
VOCABULARY = [f"w{i}" for i in range(V)]
MODELS = {
    "lda": lambda: LDA(3, **FITTING),
    "hdp": lambda: HDP(6, tables=3, eta=0.1, **FITTING),
    "sparse": lambda: SparseLDA(3, **FITTING),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    return MODELS[request.param]().fit(COUNTS)


def test_the_verbs(fitted, tmp_path):
    theta = fitted.transform(COUNTS)
    assert theta.shape == (D, fitted.topics)
    np.testing.assert_allclose(theta.sum(axis=1), np.ones(D), rtol=1e-5)
    np.testing.assert_allclose(fitted.beta.sum(axis=1), np.ones(fitted.topics), rtol=1e-5)
    np.testing.assert_allclose(fitted.share.sum(), 1.0, rtol=1e-5)
    unigram = COUNTS.sum(0) / COUNTS.sum()
    assert fitted.score(COUNTS) > np.average(np.log(unigram), weights=unigram) + 0.1
    assert 2 <= fitted.in_use(0.05) <= fitted.topics
    save_topics(tmp_path / "model", fitted, VOCABULARY)
    again, words = load_topics(tmp_path / "model")
    assert list(words) == VOCABULARY and type(again) is type(fitted) and again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.beta, fitted.beta)
    np.testing.assert_array_equal(again.document_prior, fitted.document_prior)
    assert (again.steps, again.seen, again.passes, again.batch_size) == (9, 180, 3, 20)


def test_true_topics_are_found():
    model = LDA(3, passes=20, batch_size=20).fit(COUNTS)
    groups = {frozenset(int(word[1:]) // 8 for word in words) for words in model.top_words(VOCABULARY, 8)}
    assert groups == {frozenset([0]), frozenset([1]), frozenset([2])}


def test_a_seed_gives_the_same_model_and_a_stream_is_a_fit():
    first = LDA(3, **FITTING).fit(COUNTS)
    np.testing.assert_array_equal(first.beta, LDA(3, **FITTING).fit(COUNTS).beta)
    stream = LDA(3, **FITTING)
    for minibatch in Minibatches(COUNTS, seed=0, **FITTING):
        stream.partial_fit(minibatch, documents=D)
    np.testing.assert_array_equal(first.beta, stream.beta)
    other = LDA(3, seed=1, **FITTING).fit(COUNTS)
    assert np.abs(other.beta - first.beta).max() > 1e-3


def test_a_stopped_fit_goes_on_and_ends_the_same(fitted, tmp_path, monkeypatch):
    """The state after the signal is that of a run that was left alone: the same topics, bit for bit."""
    kind = type(fitted)
    model = kind(**fitted.get_params())
    updated, steps = kind._updated, []

    def stopping(*arguments):
        steps.append(arguments[3])
        if len(steps) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return updated(*arguments)

    monkeypatch.setattr(kind, "_updated", stopping)
    with pytest.raises(Interrupted, match="after step 5"):
        model.fit(COUNTS, folder=tmp_path, held_out=COUNTS[:9])
    with pytest.raises(ValueError, match="not been fitted yet"):
        _ = model.beta
    with pytest.raises(ValueError, match=r"other settings \(seed 0 instead of 1\)"):
        kind(**fitted.get_params() | {"seed": 1}).fit(COUNTS, folder=tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(corpus\)"):
        kind(**fitted.get_params()).fit(COUNTS[:-1], folder=tmp_path)
    model.fit(COUNTS, folder=tmp_path, held_out=COUNTS[:9])
    assert steps == list(range(9))  # none of them twice
    np.testing.assert_array_equal(model.beta, fitted.beta)
    assert (model.steps, model.seen) == (fitted.steps, fitted.seen)
    assert [row["step"] for row in model.history] == list(range(1, 10))
    np.testing.assert_allclose(model.history[-1]["evaluation/loss"], -fitted.score(COUNTS[:9]), rtol=1e-5)
    assert {row["documents"] for row in model.history} == {20} and "documents_per_second" in model.history[-1]
    assert {"log.jsonl", "loss.png", "checkpoints"} <= {path.name for path in tmp_path.iterdir()}


def test_parameters_by_name_as_scikit_learn_wants_them(fitted):
    again = type(fitted)(**fitted.get_params())
    assert again.get_params() == fitted.get_params() and again.set_params(eta=0.2).eta == 0.2
    assert fitted.posterior.batch_shape == (fitted.topics,) and fitted.posterior.event_shape == (V,)


def test_folders_of_earlier_versions_are_read(tmp_path):
    """Priors had other names, the numbers of fitting stood apart, and the weight of words was called beta."""
    model = SparseLDA(3, alpha=0.2, eta=0.3, word_weight="exp_log", delay=4.0)
    model.parameters = model.initial(jax.random.key(0), V)
    save_topics(tmp_path, model, VOCABULARY)
    about = json.loads((tmp_path / "topics.json").read_text())
    priors = {"topics": 3, "document_prior": 0.2, "word_prior": 0.3}
    about["settings"] = priors | {"beta": "exp_log", "burn_in": 5, "samples": 5}
    numbers = {"passes": 4, "batch_size": 256, "forgetting": 0.7, "tolerance": 1e-3, "iterations": 100, "seed": 0}
    about["fitting"] = numbers | {"delay": 4.0}
    (tmp_path / "topics.json").write_text(json.dumps(about))
    again, _ = load_topics(tmp_path)
    assert type(again) is SparseLDA and again.get_params() == model.get_params()


def test_a_pass_gives_each_document_once():
    batches = Minibatches(np.arange(53), passes=2, batch_size=20, seed=0)
    assert [len(batches), *map(len, batches)] == [6, 20, 20, 13, 20, 20, 13]
    for number in range(2):
        assert sorted(np.concatenate(list(batches)[3 * number : 3 * number + 3])) == list(range(53))
    np.testing.assert_array_equal(batches[1], list(batches)[1])  # whatever was asked for before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LDA(1), "at least 2 topics"),
        (lambda: LDA(3, eta=0.0), "eta must be a positive number"),
        (lambda: LDA(3, alpha=float("nan")), "alpha must be"),
        (lambda: HDP(5, tables=6), "from 2 to 5 tables"),
        (lambda: HDP(5, tables=3, gamma=-1.0), "gamma must be"),
        (lambda: SparseLDA(3, samples=0), "samples >= 1"),
        (lambda: SparseLDA(3).set_params(delay=0.5), "delay must be at least 1"),
        (lambda: LDA(forgetting=0.4), "above 0.5"),
        (lambda: HDP(batch_size=0), "batch_size must be at least 1"),
        (lambda: LDA(tolerance=float("nan")), "tolerance"),
        (lambda: LDA(61).fit(COUNTS), "61 topics need at least as many documents; this corpus has 60"),
        (lambda: LDA(3).fit(-COUNTS), "is negative"),
        (lambda: LDA(3).transform(COUNTS), "has not been fitted yet"),
        (lambda: save_topics("x", LDA(3), VOCABULARY), "has not been fitted yet"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_another_vocabulary_is_refused(fitted):
    with pytest.raises(ValueError, match="have 4 words and the model has 24"):
        fitted.transform(np.ones((2, 4)))
    with pytest.raises(ValueError, match="has 24 words, the vocabulary 2"):
        save_topics("x", fitted, ["a", "b"])


def test_broken_folders_are_refused(tmp_path):
    model = LDA(3, **FITTING)
    model.parameters = model.initial(jax.random.key(0), V)
    save_topics(tmp_path / "m", model, VOCABULARY)
    with pytest.raises(FileNotFoundError, match="no topic model"):
        load_topics(tmp_path)
    tensors, about = tmp_path / "m" / "topics.safetensors", tmp_path / "m" / "topics.json"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-40])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_topics(tmp_path / "m")
    safetensors.numpy.save_file({"words": np.ones((V, 4), np.float32)}, tensors)
    with pytest.raises(ValueError, match="does not hold what"):
        load_topics(tmp_path / "m")
    about.write_text(about.read_text().replace('"lda"', '"lsa"'))
    with pytest.raises(ValueError, match="not a saved topic model"):
        load_topics(tmp_path / "m")


def test_the_picture_has_a_panel_for_each_topic(fitted):
    figure = topic_figure(fitted, VOCABULARY)
    assert len(figure.axes) == fitted.topics
    assert {label.get_text() for label in figure.axes[0].get_yticklabels()} <= set(VOCABULARY)
