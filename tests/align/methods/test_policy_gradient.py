"""PPO's targets where a completion was cut off, against geometric series."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.experience import Experience, Models, grouped
from culet.align.methods import ProximalPolicy
from culet.align.rollout import Rollout, log_probabilities
from culet.align.scorer import Scorer
from tests.align.tiny import policy, prompts

LIMIT, DISCOUNT, BETA = 10, 0.9, 0.5
FOREVER = 1 / (1 - DISCOUNT)  # 10: one of reward at every step without end
ENDED = (1 - DISCOUNT**LIMIT) / (1 - DISCOUNT)  # 6.5: at ten steps and then nothing


def one_reward_a_step() -> Experience:
    """Two completions of as many tokens as are allowed: one was cut off there, one ended by itself.

    The reward is 0, and by its log-probability each token has a penalty of -1.
    """
    tokens = jnp.full((2, LIMIT), 3, jnp.int32).at[1, -1].set(1)
    ones = jnp.ones((2, LIMIT))
    rollout = Rollout(prompts().repeated([0, 1], 1), tokens, ones, jnp.array([False, True]), ones, ones)
    logs = log_probabilities(policy(), rollout) - 1 / BETA
    rollout = grouped(Rollout(rollout.prompts, tokens, ones, rollout.finished, logs, logs), 1)
    return Experience({"policy": rollout}, {"policy": jnp.zeros((2, 1))}, jnp.zeros(2, jnp.int32), {})


def targets(critic, trace=0.95):
    method = ProximalPolicy(beta=BETA, discount=DISCOUNT, trace=trace)
    return method.compute_targets(Models(policy(), policy(), critic), one_reward_a_step())


def always(value):
    """A critic with one state, whatever the text."""
    return types.SimpleNamespace(of_states=lambda rollout: jnp.full((2, LIMIT + 1), value))


@pytest.mark.parametrize("trace", [0.0, 0.95, 1.0])
def test_a_completion_that_was_cut_off_is_worth_what_would_follow(trace):
    found = targets(always(FOREVER), trace)
    np.testing.assert_allclose(found["returns"][0, 0], FOREVER, rtol=1e-4)
    np.testing.assert_allclose(found["advantages"][0, 0], 0, atol=1e-3)
    if trace == 1:  # no critic is asked then where the text ended by itself
        series = [(1 - DISCOUNT**left) / (1 - DISCOUNT) for left in range(LIMIT, 0, -1)]
        np.testing.assert_allclose(found["returns"][1, 0], series, rtol=1e-4)
        assert abs(found["returns"][1, 0, 0] - ENDED) < 1e-3 < 3 < FOREVER - ENDED


def test_a_critic_that_learns_its_targets_comes_to_the_value_of_going_on():
    """One number for all states is moved to the mean of its targets on completions that were cut off."""
    value = 0.0
    for _ in range(40):
        value = float(targets(always(value))["returns"][0].mean())
    np.testing.assert_allclose(value, FOREVER, rtol=1e-2)


def test_the_critic_is_asked_about_the_text_after_the_last_token():
    model = policy(1)
    critic = Scorer(model, jax.random.normal(jax.random.key(2), (16,)))
    rollout = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), one_reward_a_step().rollouts["policy"])
    found = critic.of_states(rollout)
    np.testing.assert_allclose(found[:, :-1], critic.before_tokens(rollout), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, -1], critic.of_whole(rollout), rtol=1e-4, atol=1e-5)
    text = [*rollout.prompts.tokens[0][rollout.prompts.padding[0] :].tolist(), *rollout.completions[0].tolist()]
    np.testing.assert_allclose(found[0, -1], critic(jnp.array(text)), rtol=1e-4, atol=1e-5)
