"""Slow copies against loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from culet import core

KEY = jax.random.key(0)


def follow(rule, values, dtype):
    """The copies of a model that is each of the values in turn."""
    copy = rule.create({"w": jnp.asarray(values[0], dtype), "steps": jnp.int32(0), "name": "a"})
    copies = []
    for step, value in enumerate(values[1:], start=1):
        copy = rule.update(copy, {"w": jnp.asarray(value, dtype), "steps": jnp.int32(step), "name": "a"}, step)
        copies.append(copy)
    return copies


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_an_average_is_kept_in_float32(dtype):
    """Moves of a thousandth are below the rounding of bfloat16, in which the copy would never move."""
    copies = follow(core.SlowCopy(rate=0.001), [1.0] + [2.0] * 20, dtype)
    assert copies[-1]["w"].dtype == jnp.float32
    np.testing.assert_allclose([copy["w"] for copy in copies], 2 - 0.999 ** np.arange(1, 21), rtol=1e-6)
    assert int(copies[-1]["steps"]) == 20 and copies[-1]["name"] == "a"


def test_snapshots_and_none():
    copies = follow(core.SlowCopy(every=3), np.arange(8.0), jnp.float32)
    assert [float(copy["w"]) for copy in copies] == [0, 0, 3, 3, 3, 6, 6]
    assert [int(copy["steps"]) for copy in copies] == [0, 0, 3, 3, 3, 6, 6]
    assert [float(copy["w"]) for copy in follow(core.SlowCopy(), np.arange(4.0), jnp.float32)] == [0, 0, 0]


def test_a_rate_is_a_leaf_for_sweeps():
    rates = jnp.array([0.0, 0.25, 1.0])
    swept = jax.vmap(lambda rate: core.SlowCopy(rate).update(jnp.float32(1), jnp.float32(3), 1))(rates)
    np.testing.assert_array_equal(swept, [1.0, 1.5, 3.0])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({"rate": 1.5}, "1.5; it must be from 0"), ({"every": -1}, "every -1 steps"), ({"rate": 0.1, "every": 2}, "both")],
)
def test_numbers_out_of_range(numbers, message):
    with pytest.raises(ValueError, match=message):
        core.SlowCopy(**numbers)


def test_a_target_network_in_a_training_step():
    """Q-learning towards a target network that is a part of the model, against a loop over its closed form."""

    def loss(model, batch, key, target):
        return jnp.square(model["q"] - (batch + 0.5 * target)), jnp.ones(()), {}

    optimizer, rule = optax.sgd(0.25), core.SlowCopy(every=2, where=lambda model: model["q"])
    state = core.TrainState.create({"q": jnp.float32(0)}, optimizer, KEY, rule)
    step = eqx.filter_jit(core.training_step(loss, optimizer, slow=rule, unit="updates"))
    q = target = 0.0
    for done in range(1, 6):
        state, metrics = step(state, jnp.float32(1))
        q -= 0.25 * 2 * (q - (1 + 0.5 * target))
        target = q if done % 2 == 0 else target
        assert (float(state.model["q"]), float(state.slow)) == (q, target)
        assert metrics["updates"] == 1 and "tokens" not in metrics
    with pytest.raises(ValueError, match="no slow copy"):
        step(core.TrainState.create({"q": jnp.float32(0)}, optimizer, KEY), jnp.float32(1))
