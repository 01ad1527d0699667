"""What the sampler says of its tokens is what a training pass says of them, before and after every warp."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align import as_prompts, drawn_log_probabilities, log_probabilities, sample
from culet.align.rollout import Rollout, check_sampler
from culet.lm.sampling import Sampling
from tests.lm.small import small
from tests.lm.test_sampling import kept

NEW = 10
PROMPTS = [np.random.default_rng(size).integers(3, 40, size).tolist() for size in (1, 9, 4, 6)]
NONE = jnp.array([-1])
LONGEST = 24
_log_probabilities = eqx.filter_jit(log_probabilities)
_logits = eqx.filter_jit(lambda model, tokens: model(tokens))


def by_itself(model, tokens):
    """The logits of what may follow each token of one row without padding before it."""
    return np.asarray(_logits(model, jnp.pad(tokens, (0, LONGEST - len(tokens)))))[: len(tokens)]


@pytest.mark.parametrize("name", ["gemma-2-2b", "griffin-100m"])
def test_the_sampler_and_the_trainer_agree_and_rows_do_not_touch(name):
    model = small(name)
    rollout = sample(model, as_prompts(PROMPTS), Sampling(1.0), NONE, NEW, jax.random.key(1))
    found = _log_probabilities(model, rollout)
    np.testing.assert_allclose(found, rollout.log_probabilities, atol=2e-4)
    check_sampler(model, rollout, Sampling(1.0))
    with pytest.raises(RuntimeError, match=r"disagree by up to 0\.5 nats"):
        check_sampler(
            model, eqx.tree_at(lambda r: r.log_probabilities, rollout, found.at[2, 3].add(0.5)), Sampling(1.0)
        )
    with pytest.raises(RuntimeError, match="what was drawn from"):
        check_sampler(model, rollout, Sampling(0.8))
    for row, prompt in enumerate(PROMPTS):  # without padding, row by row
        tokens = jnp.array(prompt + rollout.completions[row].tolist())
        alone = jax.nn.log_softmax(by_itself(model, tokens)[len(prompt) - 1 : -1])
        expected = np.take_along_axis(np.asarray(alone), np.asarray(rollout.completions[row])[:, None], 1)[:, 0]
        np.testing.assert_allclose(found[row], expected, atol=2e-4)


@pytest.mark.parametrize(
    "case",
    [
        {"temperature": 0.7},
        {"temperature": 1.3, "top_k": 5, "top_p": 0.8, "min_p": 0.1},
        {"temperature": 0.9, "repetition_penalty": 1.5},
        {"temperature": 0.0},
    ],
    ids=str,
)
def test_the_distribution_that_was_drawn_from(case):
    """Against the filters of the tests of sampling, in float64, on logits of the model for each row alone."""
    model = small("gemma-2-2b")
    rollout = sample(model, as_prompts(PROMPTS), Sampling(**case), NONE, NEW, jax.random.key(2))
    found = np.asarray(eqx.filter_jit(drawn_log_probabilities)(model, rollout, Sampling(**case)))
    np.testing.assert_allclose(rollout.drawn * rollout.mask, found, atol=2e-3)
    for row, prompt in enumerate(PROMPTS):
        tokens = prompt + rollout.completions[row].tolist()
        logits = by_itself(model, jnp.array(tokens)).astype(np.float64)
        for place, chosen in enumerate(tokens[len(prompt) :]):
            at = logits[len(prompt) + place - 1]
            if penalty := case.get("repetition_penalty"):
                seen = tokens[: len(prompt) + place]
                at[seen] = np.where(at[seen] > 0, at[seen] / penalty, at[seen] * penalty)
            if case["temperature"] == 0:
                assert chosen == at.argmax() and found[row, place] == 0
                continue
            filters = {key: value for key, value in case.items() if key != "repetition_penalty"}
            mass = kept(np.exp(at - np.logaddexp.reduce(at)), **filters)
            np.testing.assert_allclose(found[row, place], np.log(mass[chosen]), atol=2e-3)


def test_rows_end_with_their_stop_token():
    model = small("gemma-2-2b")
    free = sample(model, as_prompts(PROMPTS), Sampling(1.0), NONE, NEW, jax.random.key(3))
    assert free.mask.all() and not free.finished.any()
    stop = free.completions[1, 4]
    rollout = sample(model, as_prompts(PROMPTS), Sampling(1.0), stop[None], NEW, jax.random.key(3))
    first = int(np.argmax(np.asarray(free.completions[1]) == int(stop)))
    assert rollout.finished[1] and rollout.lengths[1] == first + 1
    assert rollout.completions[1, : first + 1].tolist() == free.completions[1, : first + 1].tolist()
    assert np.asarray(rollout.mask[1]).tolist() == [1.0] * (first + 1) + [0.0] * (NEW - first - 1)
    found = _log_probabilities(model, rollout)
    assert not np.asarray(found)[np.asarray(rollout.mask) == 0].any()


def test_more_padding_changes_nothing():
    model = small("griffin-100m")
    close = sample(model, as_prompts(PROMPTS), Sampling(1.0), NONE, NEW, jax.random.key(4))
    wide = sample(model, as_prompts(PROMPTS, 16), Sampling(1.0), NONE, NEW, jax.random.key(4))
    assert close.completions.tolist() == wide.completions.tolist()
    np.testing.assert_allclose(_log_probabilities(model, close), _log_probabilities(model, wide), atol=2e-4)


def test_no_gradient_goes_through_what_was_drawn():
    model = small("gemma-2-2b")

    def total(model):
        rollout = sample(model, as_prompts(PROMPTS), Sampling(1.0), NONE, NEW, jax.random.key(5))
        return jnp.sum(rollout.log_probabilities)

    gradient = eqx.filter_grad(total)(model)
    assert all(not np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("prompts", "slots", "message"),
    [
        ([], None, "no prompts"),
        ([[3], []], None, "prompt 1 is empty"),
        ([[3], [3, 4, 5]], 2, "prompt 1 has 3 tokens; at most 2 fit"),
        ([[3]], 700, "multiple of 512"),
    ],
)
def test_bad_prompts_are_refused(prompts, slots, message):
    with pytest.raises(ValueError, match=message):
        as_prompts(prompts, slots)


def test_a_rollout_gives_itself_as_an_episode():
    """Against a loop over what was written: one row ended at once, one later, one at the limit, one was cut off."""
    words, lengths, ended = np.arange(3, 15).reshape(4, 3), [1, 2, 3, 3], [True, True, True, False]
    mask = np.array([[step < length for step in range(3)] for length in lengths], np.float32)
    logs = -np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    rollout = Rollout(as_prompts([[7], [8, 9], [3, 4], [5]]), *map(jnp.asarray, (words, mask, ended, logs, 2 * logs)))
    episode = rollout.episode(np.array([1.0, -2.0, 3.0, 4.0], np.float32))
    assert episode.reward.shape == (4, 4)
    for row, (first, reward) in enumerate([(7, 1.0), (9, -2.0), (4, 3.0), (5, 4.0)]):
        length, steps = lengths[row], lengths[row] + 1
        chosen = words[row, :length].tolist()
        assert episode.observation[row, :steps].tolist() == [first, *chosen]
        assert episode.action[row, :length].tolist() == chosen
        assert episode.reward[row, :steps].tolist() == [0.0] * (length - 1) + [reward, 0.0]
        assert episode.last[row].tolist() == [step == length for step in range(4)]
        assert episode.terminal[row].tolist() == [ended[row] and step == length for step in range(4)]
        assert episode.mask[row].tolist() == [1.0] * steps + [0.0] * (4 - steps)
        assert episode.extras["log_probabilities"][row, :steps].tolist() == [*logs[row, :length].tolist(), 0.0]
        assert episode.extras["drawn"][row, :length].tolist() == (2 * logs[row, :length]).tolist()
    discounted = episode.returns(0.5, values=jnp.full((4, 4), 10.0))  # only the fourth goes on after its last step
    np.testing.assert_allclose(discounted[:, 0], [1.0, -1.0, 0.75, 1.0 + 0.125 * 10])
