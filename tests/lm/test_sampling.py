"""Filters against NumPy and transformers, and the frequencies of draws against the softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from culet.lm.sampling import Sampling

SIZE, DRAWS = 12, 4000
LOGITS = np.random.default_rng(0).normal(size=SIZE).astype(np.float32) * 2


def kept(probabilities: np.ndarray, *, temperature=1.0, top_k=None, top_p=None, min_p=None) -> np.ndarray:
    """The distribution that the filters leave, by sorting in float64."""
    logits = np.log(probabilities) / temperature
    mass = np.exp(logits - logits.max())
    order = np.argsort(-mass)
    if top_k:
        mass[order[top_k:]] = 0
    if top_p:
        share = mass[order] / mass.sum()
        mass[order[np.cumsum(share) - share >= top_p]] = 0
    if min_p:
        mass[mass < min_p * mass.max()] = 0
    return mass / mass.sum()


CASES = [
    {"temperature": 1.0},
    {"temperature": 0.5},
    {"temperature": 1.0, "top_k": 4},
    {"temperature": 2.0, "top_p": 0.7},
    {"temperature": 1.0, "min_p": 0.2},
    {"temperature": 1.5, "top_k": 6, "top_p": 0.8, "min_p": 0.15},
    {"temperature": 1.0, "top_k": 99},
    {"temperature": 1.0, "top_p": 1e-6},
    {"temperature": 1.0, "min_p": 1.0},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_frequencies_are_those_of_the_filtered_softmax(case):
    softmax = np.exp(LOGITS.astype(np.float64))
    expected = kept(softmax / softmax.sum(), **case)
    keys = jax.random.split(jax.random.key(1), DRAWS)
    tokens, log_probabilities = jax.vmap(Sampling(**case), (None, None, 0))(jnp.asarray(LOGITS), None, keys)
    counts = np.bincount(np.asarray(tokens), minlength=SIZE)
    assert not counts[expected == 0].any()
    live = expected > 0
    if live.sum() > 1:
        assert stats.chisquare(counts[live], DRAWS * expected[live]).pvalue > 1e-3
    own = np.log(softmax / softmax.sum())  # of the model itself, whatever the filters
    np.testing.assert_allclose(log_probabilities, own[np.asarray(tokens)], atol=1e-5)


def test_greedy_takes_the_likeliest_and_ignores_the_filters():
    for sampling in (Sampling(), Sampling(0.0, top_k=2, top_p=0.1, min_p=0.5)):
        assert int(sampling(jnp.asarray(LOGITS), None, jax.random.key(0))[0]) == LOGITS.argmax()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_ids_past_the_vocabulary_are_never_chosen(temperature):
    logits = jnp.asarray(LOGITS).at[10:].set(50.0)
    keys = jax.random.split(jax.random.key(2), 500)
    tokens, log_probabilities = jax.vmap(Sampling(temperature, vocabulary=10), (None, None, 0))(logits, None, keys)
    assert tokens.max() < 10
    assert log_probabilities.max() < -40  # the model's own, which thinks highly of the others


@pytest.mark.parametrize("penalty", [0.5, 1.0, 2.0])
def test_the_repetition_penalty_divides_positive_and_multiplies_negative_logits(penalty):
    for seen in (LOGITS > 0.5, LOGITS < 0, np.ones(SIZE, bool)):
        expected = np.where(seen, np.where(LOGITS > 0, LOGITS / penalty, LOGITS * penalty), LOGITS)
        token, _ = Sampling(repetition_penalty=penalty)(jnp.asarray(LOGITS), jnp.asarray(seen), jax.random.key(0))
        assert int(token) == expected.argmax()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
    ],
)
def test_numbers_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES[1:-1], ids=str)
def test_filters_are_those_of_transformers(case):
    torch = pytest.importorskip("torch")
    warpers = pytest.importorskip("transformers.generation.logits_process")
    seen = [1, 4, 4, 7]
    scores = warpers.RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor([seen]), torch.tensor(LOGITS[None]))
    scores = warpers.TemperatureLogitsWarper(case["temperature"])(None, scores)
    if "top_k" in case:
        scores = warpers.TopKLogitsWarper(case["top_k"])(None, scores)
    if "top_p" in case:
        scores = warpers.TopPLogitsWarper(case["top_p"])(None, scores)
    if "min_p" in case:
        scores = warpers.MinPLogitsWarper(case["min_p"])(None, scores)
    expected = torch.softmax(scores[0].double(), -1).numpy()
    mask = jnp.zeros(SIZE, bool).at[jnp.array(seen)].set(True)
    keys = jax.random.split(jax.random.key(1), DRAWS)
    tokens, _ = jax.vmap(Sampling(**case, repetition_penalty=1.7), (None, None, 0))(jnp.asarray(LOGITS), mask, keys)
    counts = np.bincount(np.asarray(tokens), minlength=SIZE)
    assert not counts[expected == 0].any()
    live = expected > 0
    if live.sum() > 1:
        assert stats.chisquare(counts[live], DRAWS * expected[live]).pvalue > 1e-3


@pytest.mark.parametrize("case", [{}, *CASES], ids=str)
def test_the_distribution_is_the_filtered_softmax_and_what_a_call_draws_from(case):
    softmax = np.exp(LOGITS.astype(np.float64))
    greedy = np.eye(SIZE)[LOGITS.argmax()]
    expected = kept(softmax / softmax.sum(), **case) if case else greedy
    sampling, logits = Sampling(**case), jnp.asarray(LOGITS)
    distribution = sampling.distribution(logits)
    tokens = jnp.arange(SIZE)
    np.testing.assert_allclose(jnp.exp(distribution.log_prob(tokens)), expected, rtol=1e-5, atol=1e-7)
    entropy = -np.sum(expected * np.log(expected, where=expected > 0, out=np.zeros(SIZE)))
    np.testing.assert_allclose(distribution.entropy(), entropy, rtol=1e-5, atol=1e-6)
    own = jax.vmap(sampling.log_probability, (None, None, 0))(logits, None, tokens)
    np.testing.assert_allclose(jnp.exp(own), expected, rtol=1e-5, atol=1e-7)
    if not {"top_k", "top_p"} & case.keys():  # which sort, and so number the classes otherwise
        for seed in range(5):
            assert sampling(logits, None, jax.random.key(seed))[0] == distribution.sample(jax.random.key(seed))
