"""Episodes against loops over their steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.core import Episode
from culet.core.episode import concatenate, split


def episode(actions, *, terminal, seed=0):
    """An episode of random rewards; its observation counts the steps."""
    steps = actions + 1
    generator = np.random.default_rng(seed)
    last = np.arange(steps) == actions
    return Episode(
        observation={"count": np.arange(steps), "picture": generator.normal(size=(steps, 2, 3))},
        action=generator.integers(0, 4, steps),
        reward=generator.normal(size=steps).astype(np.float32),
        terminal=last & terminal,
        last=last,
        mask=np.ones(steps, np.float32),
        extras={"log_probability": generator.normal(size=steps)},
    )


def padded(episode, steps):
    """With padding whose contents would be noticed."""

    def longer(leaf):
        filler = np.full((steps - len(leaf), *leaf.shape[1:]), 7).astype(leaf.dtype)
        return np.concatenate([leaf, filler])

    whole = jax.tree.map(longer, episode)
    return Episode(
        whole.observation, whole.action, whole.reward, whole.terminal, whole.last,
        (np.arange(steps) < len(episode.reward)).astype(np.float32), whole.extras,
    )  # fmt: skip


returns = jax.jit(Episode.returns)


def plain_returns(episode, discount, value):
    """By the definition: a sum over the later steps of one episode."""
    rewards = [*np.asarray(episode.reward)[:-1].tolist(), 0.0 if episode.terminal[-1] else value]
    return [sum(r * discount**k for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]


def test_truncation_is_not_termination():
    """A reward of 1 for ever, of which 10 steps are seen: the closed forms of the two geometric series."""
    for terminal, value in ((True, (1 - 0.9**10) / (1 - 0.9)), (False, 1 / (1 - 0.9))):
        last = np.arange(11) == 10
        one = Episode(np.zeros(11), np.zeros(11), jnp.ones(11), last & terminal, last, jnp.ones(11))
        np.testing.assert_allclose(returns(one, 0.9, jnp.full(11, 10.0))[0], value, rtol=1e-6)
        np.testing.assert_allclose(returns(one, 0.9, None)[0], (1 - 0.9**10) / (1 - 0.9), rtol=1e-6)
        np.testing.assert_array_equal(one.acted, [1.0] * 10 + [0.0])
        np.testing.assert_array_equal(one.discount, [1.0] * 9 + [0.0 if terminal else 1.0, 0.0])


def test_returns_of_episodes_on_one_axis_equal_those_of_each():
    several = [episode(3, terminal=True), episode(1, terminal=False, seed=1), episode(4, terminal=False, seed=2)]
    wanted = [r for e, v in zip(several, (3.0, 5.0, 10.0), strict=True) for r in plain_returns(e, 0.8, v)]
    packed = concatenate(several)
    np.testing.assert_allclose(returns(packed, 0.8, np.arange(11.0, dtype=np.float32)), wanted, rtol=1e-5)
    np.testing.assert_array_equal(packed.discount, [1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0])
    rows = jax.tree.map(lambda *x: np.stack(x), padded(packed, 14), padded(several[0], 14))
    values = np.tile(np.arange(14.0, dtype=np.float32), (2, 1))
    batched = returns(rows, 0.8, values)
    np.testing.assert_allclose(batched[0], [*wanted, 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(batched[1], wanted[:4] + [0] * 10, rtol=1e-5)
    np.testing.assert_array_equal(batched, jax.vmap(lambda row, v: returns(row, 0.8, v))(rows, values))


def test_split_takes_apart_what_concatenate_joined():
    several = [episode(3, terminal=True), episode(1, terminal=False, seed=1), episode(4, terminal=True, seed=2)]
    for whole in (concatenate(several), padded(concatenate(several), 20)):
        parts = split(whole)
        assert len(parts) == 3
        for part, wanted in zip(parts, several, strict=True):
            assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), part, wanted))
    unfinished = jax.tree.map(lambda leaf: leaf[:8], concatenate(several))
    assert [len(part.reward) for part in split(unfinished)] == [4, 2, 2]


def test_shapes_that_do_not_fit_are_named():
    good = episode(2, terminal=True)
    with pytest.raises(ValueError, match=r"observation.picture of an episode has the shape \(2, 2\), .* reward \(3,\)"):
        Episode({"picture": jnp.zeros((2, 2))}, good.action, good.reward, good.terminal, good.last, good.mask)
    with pytest.raises(ValueError, match=r"last of an episode .*\(3, 1\).* must be equal"):
        Episode(good.observation, good.action, good.reward, good.terminal, good.last[:, None], good.mask)
    with pytest.raises(ValueError, match="its reward is a scalar"):
        Episode(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), jnp.array(True), jnp.array(True), jnp.ones(()))
    with pytest.raises(ValueError, match="episode 1 does not end with a step"):
        concatenate([good, jax.tree.map(lambda leaf: leaf[:2], good)])
    with pytest.raises(ValueError, match="no episodes"):
        concatenate([])
    with pytest.raises(ValueError, match=r"axes of steps alone .* \(1, 3\)"):
        split(jax.tree.map(lambda leaf: leaf[None], good))
