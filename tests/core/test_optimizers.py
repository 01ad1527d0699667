import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from culet import core


def test_schedule_is_the_closed_form():
    schedule: Any = core.warmup_cosine(0.5, steps=110, warmup=10, final=0.2)
    steps = np.array([0, 5, 10, 35, 60, 110, 500])
    progress = np.clip((steps - 10) / 100, 0, 1)
    expected = np.where(steps < 10, 0.5 * steps / 10, 0.5 * (0.2 + 0.8 * 0.5 * (1 + np.cos(np.pi * progress))))
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose([float(schedule(jnp.asarray(s))) for s in steps], expected, rtol=1e-5, atol=1e-8)
    with pytest.raises(ValueError, match="warm-up of 10 steps does not fit into 10"):
        core.warmup_cosine(0.5, steps=10, warmup=10)


def test_adamw_is_algorithm_2_of_its_paper():
    """Against a float64 loop, on a quadratic; the vector, being 1-D, does not decay."""
    rate, decay, b1, b2, eps = 0.1, 0.3, 0.9, 0.95, 1e-8
    w = {"matrix": np.array([[1.0, -2.0], [0.5, 3.0]]), "vector": np.array([1.5, -1.0])}
    optimizer = core.adamw(rate, weight_decay=decay)
    parameters = {name: jnp.asarray(value, jnp.float32) for name, value in w.items()}
    state = optimizer.init(parameters)
    m = {name: np.zeros_like(value) for name, value in w.items()}
    v = {name: np.zeros_like(value) for name, value in w.items()}
    for t in range(1, 21):
        for name in w:
            g = 3 * w[name] - 1
            m[name] = b1 * m[name] + (1 - b1) * g
            v[name] = b2 * v[name] + (1 - b2) * g * g
            step = m[name] / (1 - b1**t) / (np.sqrt(v[name] / (1 - b2**t)) + eps)
            w[name] = w[name] - rate * (step + (decay * w[name] if name == "matrix" else 0))
        gradient = jax.tree.map(lambda p: 3 * p - 1, parameters)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradient, state, parameters)
        parameters = jax.tree.map(jnp.add, parameters, updates)
    for name in w:
        np.testing.assert_allclose(parameters[name], w[name], rtol=1e-5, atol=1e-6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toy(core.TrainingRecipe):
    width: Annotated[int, core.Setting("Of the model.", min=1)] = 8


def test_the_optimizer_of_a_recipe():
    recipe = Toy(steps=100, warmup=0.1, learning_rate=0.5, weight_decay=0.0)
    schedule: Any
    schedule, optimizer = core.optimizer_of(recipe)
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(
            [float(schedule(jnp.asarray(s))) for s in (0, 5, 10, 100)], [0, 0.25, 0.5, 0.05], rtol=1e-6
        )
        parameters = jnp.ones((2, 2))
        updates, _ = optimizer.update(jnp.ones((2, 2)), optimizer.init(parameters), parameters)
    np.testing.assert_array_equal(updates, np.zeros((2, 2)))  # the first step of a warm-up
    with pytest.raises(ValueError, match="no learning rate"):
        core.optimizer_of(Toy(learning_rate=None))
    with pytest.raises(ValueError, match="batch_size is 16, which does not divide into 3 micro-batches"):
        Toy(micro_batches=3)


def test_an_actor_and_a_critic_with_an_optimiser_each():
    """Against a loop that has two models, two optimisers and their two states."""

    def losses(actor, critic, x):
        advantage = x - jnp.sum(critic["w"]) * critic["head"]
        return -jax.lax.stop_gradient(advantage) * jnp.sum(jnp.tanh(actor["w"])), advantage**2

    start = {
        "actor": {"w": jnp.array([0.1, -0.2])},
        "critic": {"w": jnp.array([[0.3, 0.5]]), "head": jnp.float32(1)},
        "critics": jnp.float32(2),  # whose name only begins like another
    }
    parts = {"actor": core.adamw(0.01), "critic": optax.sgd(0.1, momentum=0.9), "critic.head": optax.adam(0.2)}
    both = core.optimizer_per_model(parts | {"": optax.set_to_zero()})

    def loss(model, x, key):
        one, other = losses(model["actor"], model["critic"], x)
        return one + other, jnp.ones(()), {}

    state = core.TrainState.create(start, both, jax.random.key(0))
    step = jax.jit(core.training_step(loss, both))
    actor, critic = start["actor"], start["critic"]
    w, head = {"w": critic["w"]}, critic["head"]
    memories = [parts[name].init(model) for name, model in (("actor", actor), ("critic", w), ("critic.head", head))]

    @jax.jit
    def by_hand(actor, w, head, memories, x):
        slope = jax.grad(lambda a: losses(a, w | {"head": head}, x)[0])(actor)
        slopes = jax.grad(lambda w, head: losses(actor, w | {"head": head}, x)[1], argnums=(0, 1))(w, head)
        results = []
        with jax.numpy_dtype_promotion("standard"):
            models = zip(parts.values(), (slope, *slopes), memories, (actor, w, head), strict=True)
            for optimizer, gradient, memory, model in models:
                updates, memory = optimizer.update(gradient, memory, model)
                results.append((optax.apply_updates(model, updates), memory))
        return results

    for i in range(4):
        state, _ = step(state, jnp.float32(i))
        (actor, a), (w, b), (head, c) = by_hand(actor, w, head, memories, jnp.float32(i))
        memories = [a, b, c]
    wanted = {"actor": actor, "critic": w | {"head": head}, "critics": start["critics"]}
    for ours, hand in zip(jax.tree.leaves(state.model), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, hand, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match=r"no optimiser for critics; there are some for actor, critic, critic\.head"):
        core.optimizer_per_model(parts).init(start)
    with pytest.raises(ValueError, match="an optimiser for policy, but no parameter of that name"):
        core.optimizer_per_model({"": parts["actor"], "policy": parts["actor"]}).init(start)
