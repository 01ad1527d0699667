from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from culet import core
from tests.core.toy import OPTIMIZER, Toy, loss, rows

KEY = jax.random.key(1)


def uneven():
    """A batch whose micro-batches weigh very differently."""
    batch = {name: array[:8] for name, array in rows().items()}
    batch["weights"] = batch["weights"] * np.linspace(0, 3, 8, dtype=np.float32)[:, None]
    return batch


def start(model=None, **options):
    return core.TrainState.create(Toy(jax.random.key(0)) if model is None else model, OPTIMIZER, KEY, **options)


def close(a, b, rtol=2e-6, atol=2e-7):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def whole():
    return jax.jit(core.training_step(loss, OPTIMIZER))(start(), uneven())


def test_the_gradient_is_of_the_weighted_mean(whole):
    """AdamW's first step from the gradient of the mean as Optax would take it."""
    batch = uneven()
    model: Any = Toy(jax.random.key(0))

    def mean(model):
        total, weight, _ = loss(model, batch, KEY)
        return total / weight

    value, gradient = jax.value_and_grad(mean)(model)
    state, metrics = whole
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-6)
    np.testing.assert_allclose(metrics["gradient_norm"], optax.tree.norm(gradient), rtol=1e-5)
    np.testing.assert_allclose(metrics["tokens"], batch["weights"].sum(), rtol=1e-6)
    assert 0 <= metrics["accuracy"] <= 1
    assert metrics["culprit"] == -1
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = OPTIMIZER.update(gradient, OPTIMIZER.init(model), model)
    close(state.model, optax.apply_updates(model, updates), rtol=1e-4, atol=1e-6)
    assert int(state.step) == 1
    assert jax.random.key_data(state.key).tolist() != jax.random.key_data(KEY).tolist()


@pytest.mark.parametrize("parts", [2, 8])
def test_micro_batches_equal_the_large_batch(whole, parts):
    state, metrics = jax.jit(core.training_step(loss, OPTIMIZER, micro_batches=parts))(start(), uneven())
    close(metrics, whole[1])
    close(state.optimizer_state, whole[0].optimizer_state)  # the first moment is the gradient itself
    close(state.model, whole[0].model, rtol=1e-4, atol=1e-5)


def test_micro_batches_must_divide():
    with pytest.raises(ValueError, match="batch of 8 cannot be cut into 3 micro-batches"):
        core.training_step(loss, OPTIMIZER, micro_batches=3)(start(), uneven())


def test_clipping_scales_the_whole_gradient(whole):
    free = optax.sgd(1.0)
    model = Toy(jax.random.key(0))
    moves = {}
    for clip in (None, 0.1, 1e9):
        step = jax.jit(core.training_step(loss, free, clip=clip))
        state, metrics = step(core.TrainState.create(model, free, KEY), uneven())
        moves[clip] = jax.tree.map(jnp.subtract, model, state.model)
        np.testing.assert_allclose(metrics["gradient_norm"], whole[1]["gradient_norm"], rtol=1e-5)
    np.testing.assert_allclose(optax.tree.norm(moves[0.1]), 0.1, rtol=1e-4)
    close(moves[0.1], jax.tree.map(lambda x: x * 0.1 / optax.tree.norm(moves[None]), moves[None]), 1e-3, 1e-6)
    close(moves[1e9], moves[None])


def test_bf16_computes_narrow_and_keeps_wide(whole):
    seen = []

    def watched(model, batch, key):
        seen.extend(leaf.dtype for leaf in jax.tree.leaves(model))
        return loss(model, batch, key)

    step = core.training_step(watched, OPTIMIZER, compute_dtype=jnp.bfloat16, micro_batches=2)
    state, metrics = jax.jit(step)(start(), uneven())
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(state.model)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(metrics["loss"], whole[1]["loss"], rtol=2**-7)
    assert metrics["loss"] != whole[1]["loss"]


def test_frozen_leaves_stay_and_cost_nothing():
    model = Toy(jax.random.key(0))
    spec = eqx.tree_at(lambda m: m.up, jax.tree.map(lambda _: False, model), True)
    state = start(model, trainable=spec)
    sizes = [leaf.shape for leaf in jax.tree.leaves(state.optimizer_state) if leaf.ndim]
    assert sizes == [model.up.shape] * 2
    step = jax.jit(core.training_step(loss, OPTIMIZER, trainable=spec))
    state, _ = step(state, uneven())
    state, metrics = step(state, uneven())
    for name in ("embedding", "down", "scale"):
        np.testing.assert_array_equal(getattr(state.model, name), getattr(model, name))
    assert (state.model.up != model.up).all()
    assert metrics["culprit"] == -1


def test_the_culprit_counts_among_all_leaves():
    """A frozen integer and a frozen matrix stand before the leaf to blame."""

    def bad(model, batch, key):
        return jnp.sqrt(model["d"]) * 1.0 + model["c"], jnp.ones(()), {}

    model = {"a": jnp.array(1), "b": jnp.ones(2), "c": jnp.ones(()), "d": jnp.zeros(())}
    spec = {"a": True, "b": False, "c": True, "d": True}
    state = start(model, trainable=spec)
    _, metrics = core.training_step(bad, OPTIMIZER, trainable=spec)(state, None)
    assert core.named_leaves(state)[int(metrics["culprit"])][0] == "model.d"


def test_an_update_that_is_not_finite_is_seen():
    optimizer = optax.sgd(float("inf"))
    state = core.TrainState.create(Toy(jax.random.key(0)), optimizer, KEY)
    _, metrics = jax.jit(core.training_step(loss, optimizer))(state, uneven())
    assert np.isfinite(metrics["loss"])
    assert metrics["culprit"] == 0


def test_a_batch_without_weight_teaches_nothing():
    batch = uneven() | {"weights": np.zeros((8, 12), np.float32)}
    sgd = optax.sgd(1.0)
    state, metrics = jax.jit(core.training_step(loss, sgd))(core.TrainState.create(Toy(KEY), sgd, KEY), batch)
    close(state.model, Toy(KEY), rtol=0, atol=0)
    assert metrics["loss"] == 0
