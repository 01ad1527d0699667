"""A new kind of system in one file: an environment and an agent that learns in it by Q-learning, trained by `fit`.

Axis letters: S states, A actions, T steps of a record.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from culet.core import Episode, fit
from culet.core.episode import split
from culet.distributions import Categorical


class Transition(NamedTuple):
    """What an action led to."""

    observation: Int[Array, ""]
    reward: Float[Array, ""]
    terminal: Bool[Array, ""]
    truncated: Bool[Array, ""]


class Corridor(eqx.Module):
    """Cells in a row; the last one ends the episode with a reward of 1, and so does, without one, a limit of steps."""

    cells: int = eqx.field(default=5, static=True)
    limit: int = eqx.field(default=9, static=True)

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Int[Array, ""]]:
        return (jnp.int32(0), jnp.int32(0)), jnp.int32(0)

    def step(self, state: Any, action: Int[Array, ""], key: Key[Array, ""]) -> tuple[Any, Transition]:
        cell, age = state
        cell = jnp.clip(cell + 2 * action - 1, 0, self.cells - 1)
        reached = cell == self.cells - 1
        return (cell, age + 1), Transition(cell, reached.astype(jnp.float32), reached, age + 1 == self.limit)


class AgentState(NamedTuple):
    values: Float[Array, "S A"]
    environment: Any  # its state, the observation, and whether that is terminal and the last
    key: Key[Array, ""]


class QLearning(eqx.Module):
    """Watkins and Dayan (1992). The numbers are leaves: a sweep over them is one compilation."""

    discount: float | Float[Array, ""] = 0.9
    rate: float | Float[Array, ""] = 1.0
    exploration: float | Float[Array, ""] = 0.5
    steps: int = eqx.field(default=40, static=True)  # of the environment in a record

    def init(self, key: Key[Array, ""], env: Corridor) -> AgentState:
        key, reset_key = jax.random.split(key)
        begun, observation = env.reset(reset_key)
        here = (begun, observation, jnp.array(False), jnp.array(False))
        return AgentState(jnp.zeros((env.cells, 2)), here, key)

    def policy(self, values: Float[Array, "S A"], observation: Int[Array, ""]) -> Categorical:
        best = (values[observation] == values[observation].max()).astype(jnp.float32)
        probabilities = self.exploration / best.size + (1 - self.exploration) * best / best.sum()
        return Categorical(jnp.log(probabilities))

    def collect(self, env: Corridor, state: AgentState) -> tuple[AgentState, Episode]:
        """Goes on where it stopped. After the last step of an episode comes the first of the next one."""

        def advance(carry: Any, key: Key[Array, ""]) -> tuple[Any, Any]:
            inside, observation, terminal, last = carry
            act_key, step_key, reset_key = jax.random.split(key, 3)
            action = self.policy(state.values, observation).sample(act_key)
            moved, after = env.step(inside, action, step_key)
            on = (moved, after.observation, after.terminal, after.terminal | after.truncated)
            again = (*env.reset(reset_key), jnp.array(False), jnp.array(False))
            following = jax.tree.map(lambda new, old: jnp.where(last, new, old), again, on)
            return following, (observation, action, after.reward, terminal, last)

        key, record_key = jax.random.split(state.key)
        here, record = jax.lax.scan(advance, state.environment, jax.random.split(record_key, self.steps))
        _, observation, terminal, _ = here
        end = (observation, jnp.int32(0), jnp.float32(0), terminal, jnp.array(True))  # where the next record begins
        record = jax.tree.map(lambda steps, step: jnp.append(steps, step), record, end)
        return AgentState(state.values, here, key), Episode(*record, mask=jnp.ones(self.steps + 1))

    def update(self, state: AgentState, episode: Episode) -> tuple[AgentState, dict[str, Array]]:
        """One update for each step, in their order."""

        def learn(values: Array, t: Int[Array, ""]) -> tuple[Array, Array]:
            cell, action = episode.observation[t], episode.action[t]
            ahead = episode.discount[t] * values[episode.observation[t + 1]].max()
            error = episode.acted[t] * (episode.reward[t] + self.discount * ahead - values[cell, action])
            return values.at[cell, action].add(self.rate * error), jnp.square(error)

        values, errors = jax.lax.scan(learn, state.values, jnp.arange(self.steps))
        metrics = {"loss": errors.mean(), "environment_steps": episode.acted.sum()}
        return state._replace(values=values), metrics

    def step(self, env: Corridor) -> Any:
        """For `fit`."""
        return lambda state, batch: self.update(*self.collect(env, state))


ENV = Corridor()


def test_it_reaches_the_optimum_for_each_discount_of_a_sweep():
    """The goal is four steps to the right: the value of cell s, by the right action, is discount ** (3 - s)."""
    agents = jax.vmap(QLearning)(jnp.array([0.5, 0.9]))
    start = jax.vmap(lambda agent: agent.init(jax.random.key(1), ENV))(agents)
    state, history = fit(
        lambda state, batch: jax.vmap(lambda agent, one: agent.step(ENV)(one, batch))(agents, state), start, steps=20,
        unit="environment_steps", progress=False,
    )  # fmt: skip
    for discount, values in zip((0.5, 0.9), np.asarray(state.values), strict=True):
        ahead = discount ** (3.0 - np.arange(4))
        np.testing.assert_allclose(values[:4, 1], ahead, rtol=1e-6)
        np.testing.assert_allclose(values[:4, 0], discount * ahead[[0, 0, 1, 2]], rtol=1e-6)
        assert (values[4] == 0).all()  # nothing follows a terminal step
    assert len(history[-1]["loss"]) == 2 and max(history[-1]["loss"]) == 0
    assert history[-1]["environment_steps_per_second"] > 0


def test_its_record_is_episodes_by_the_rules_of_the_environment():
    agent = QLearning(exploration=1.0)
    _, record = jax.jit(lambda state: agent.collect(ENV, state))(agent.init(jax.random.key(0), ENV))
    episodes = split(record)
    assert len(episodes) > 3
    for episode in episodes[:-1]:
        cells, actions = np.asarray(episode.observation), np.asarray(episode.action)
        assert cells[0] == 0
        np.testing.assert_array_equal(cells[1:], np.maximum(cells[:-1] + 2 * actions[:-1] - 1, 0))
        assert episode.terminal[-1] == (cells[-1] == 4)
        assert episode.terminal[-1] or len(cells) == 10  # nine actions
        np.testing.assert_allclose(episode.returns(0.9)[0], (cells[-1] == 4) * 0.9 ** (len(cells) - 2), rtol=1e-6)
