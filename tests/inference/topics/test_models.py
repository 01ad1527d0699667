import jax
import numpy as np
import pytest
import safetensors.numpy

from culet.inference import HDP, LDA, Fitting, SparseLDA, load_topics, save_topics
from culet.inference.topics.figure import topic_figure
from culet.inference.topics.passes import minibatches

V, D = 24, 60
FITTING = Fitting(passes=3, batch_size=20)
GENERATOR = np.random.default_rng(0)
TRUE = np.kron(np.eye(3), np.full(V // 3, 3 / V))  # three topics of eight words each
COUNTS = np.array([GENERATOR.multinomial(14, GENERATOR.dirichlet([0.2] * 3) @ TRUE) for _ in range(D)])
VOCABULARY = [f"w{i}" for i in range(V)]
MODELS = {
    "lda": lambda: LDA(3, fitting=FITTING),
    "hdp": lambda: HDP(6, tables=3, word_prior=0.1, fitting=FITTING),
    "sparse": lambda: SparseLDA(3, fitting=FITTING),
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
    assert list(words) == VOCABULARY and type(again) is type(fitted) and again.settings() == fitted.settings()
    np.testing.assert_array_equal(again.beta, fitted.beta)
    np.testing.assert_array_equal(again.alpha, fitted.alpha)
    assert (again.steps, again.seen, again.fitting) == (9, 180, FITTING)


def test_true_topics_are_found():
    found = LDA(3, fitting=Fitting(passes=20, batch_size=20)).fit(COUNTS)
    groups = {frozenset(int(word[1:]) // 8 for word in words) for words in found.top_words(VOCABULARY, 8)}
    assert groups == {frozenset([0]), frozenset([1]), frozenset([2])}


def test_a_seed_gives_the_same_model_and_a_stream_is_a_fit():
    first = LDA(3, fitting=FITTING).fit(COUNTS)
    np.testing.assert_array_equal(first.beta, LDA(3, fitting=FITTING).fit(COUNTS).beta)
    stream = LDA(3, fitting=FITTING)
    for chosen in minibatches(D, FITTING):
        stream.partial_fit(COUNTS[chosen], documents=D)
    np.testing.assert_array_equal(first.beta, stream.beta)
    other = LDA(3, fitting=Fitting(passes=3, batch_size=20, seed=1)).fit(COUNTS)
    assert np.abs(other.beta - first.beta).max() > 1e-3


def test_a_pass_gives_each_document_once():
    for number in range(2):
        seen = list(minibatches(53, Fitting(passes=2, batch_size=20)))[3 * number : 3 * number + 3]
        assert sorted(np.concatenate(seen)) == list(range(53))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LDA(1), "at least 2 topics"),
        (lambda: LDA(3, word_prior=0.0), "word_prior must be a positive number"),
        (lambda: LDA(3, document_prior=float("nan")), "document_prior must be"),
        (lambda: HDP(5, tables=6), "from 2 to 5 tables"),
        (lambda: HDP(5, tables=3, corpus_prior=-1.0), "corpus_prior"),
        (lambda: SparseLDA(3, samples=0), "samples >= 1"),
        (lambda: Fitting(forgetting=0.4), "above 0.5"),
        (lambda: Fitting(batch_size=0), "batch_size must be at least 1"),
        (lambda: Fitting(tolerance=float("nan")), "tolerance"),
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
    model = LDA(3, fitting=FITTING)
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
