import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from culet.nn.linear import Linear
from culet.nn.lora import LoRALinear, add_lora, lora_filter, merge_lora


class Layer(eqx.Module):
    query: Linear
    output: Linear
    scale: jax.Array

    def __call__(self, x):
        return self.output(jax.nn.gelu(self.query(x))) * self.scale


class Model(eqx.Module):
    layers: tuple[Layer, ...]
    name: str = eqx.field(static=True)

    def __call__(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return x


def make(key):
    keys = jax.random.split(key, 4)
    layers = tuple(
        Layer(Linear(6, 10, key=keys[2 * i], bias=True), Linear(10, 6, key=keys[2 * i + 1]), jnp.ones(()))
        for i in (0, 1)
    )
    return Model(layers, "toy")


@eqx.filter_jit
def run(model, x):
    return model(x)


@eqx.filter_jit
def mapped(model, batch):
    return jax.vmap(model)(batch)


def disturbed(model, key):
    """The model with adapters that do something."""
    adapters, rest = eqx.partition(model, lora_filter(model))
    leaves, structure = jax.tree.flatten(adapters)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + 0.3 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return eqx.combine(structure.unflatten(noisy), rest)


def test_only_matching_layers_are_adapted_and_nothing_changes_at_first(getkey):
    model = make(getkey())
    adapted = add_lora(model, r"query$", 2, 4.0, key=getkey())
    for layer in adapted.layers:
        assert isinstance(layer.query, LoRALinear) and isinstance(layer.output, Linear)
        assert layer.query.a.shape == (2, 6) and layer.query.b.shape == (10, 2) and layer.query.scale == 2.0
    assert (adapted.layers[0].query.a != adapted.layers[1].query.a).any()
    x = jax.random.normal(getkey(), (5, 6))
    assert (run(adapted, x) == run(model, x)).all()
    one = add_lora(model, r"layers\[1\]\.", 2, 4.0, key=getkey())
    assert [isinstance(layer.output, LoRALinear) for layer in one.layers] == [False, True]


@pytest.mark.parametrize("tokens", [5, 1])
def test_output_is_that_of_the_formula_and_of_the_merged_model(getkey, tokens):
    model = make(getkey())
    adapted = disturbed(add_lora(model, ".", 3, 6.0, key=getkey()), getkey())
    x = jax.random.normal(getkey(), (tokens, 6))
    adapter = adapted.layers[0].query
    w, b, a, bias = (np.asarray(v, np.float64) for v in (adapter.base.weight, adapter.b, adapter.a, adapter.base.bias))
    expected = np.asarray(x, np.float64) @ (w + 2.0 * b @ a).T + bias
    np.testing.assert_allclose(run(adapter, x), expected, rtol=1e-5, atol=1e-6)

    merged = merge_lora(adapted)
    assert jax.tree.structure(merged) == jax.tree.structure(model)
    assert np.abs(run(merged, x) - run(model, x)).max() > 0.1
    np.testing.assert_allclose(run(merged, x), run(adapted, x), rtol=1e-5, atol=1e-6)
    batch = jnp.stack([x, 2 * x, -x])
    np.testing.assert_allclose(mapped(merged, batch), mapped(adapted, batch), rtol=1e-5, atol=2e-6)


def test_training_moves_the_adapters_alone(getkey):
    model = add_lora(make(getkey()), "query|output", 2, 4.0, key=getkey())
    x, goal = jax.random.normal(getkey(), (2, 16, 6))
    adapters, frozen = eqx.partition(model, lora_filter(model))
    assert len(jax.tree.leaves(adapters)) == 8
    optimizer = optax.sgd(0.05, momentum=0.9)

    def loss(adapters):
        return jnp.square(eqx.combine(adapters, frozen)(x) - goal).mean()

    @jax.jit
    def step(adapters, state):
        value, gradients = jax.value_and_grad(loss)(adapters)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(adapters, updates), state, value

    state, values = optimizer.init(adapters), []
    for _ in range(60):
        adapters, state, value = step(adapters, state)
        values.append(float(value))
    assert values[-1] < 0.7 * values[0]


def test_no_gradient_reaches_the_base_even_unfiltered(getkey):
    model = disturbed(add_lora(make(getkey()), "query", 2, 4.0, key=getkey()), getkey())
    x = jax.random.normal(getkey(), (3, 6))
    gradients = eqx.filter_jit(eqx.filter_grad(lambda model: model(x).sum()))(model)
    for layer in gradients.layers:
        assert not layer.query.base.weight.any() and not layer.query.base.bias.any()
        assert layer.query.a.any() and layer.query.b.any() and layer.output.weight.any()


def test_bfloat16_base_keeps_float32_adapters(getkey):
    model = jax.tree.map(lambda x: x.astype(jnp.bfloat16), make(getkey()))
    adapted = disturbed(add_lora(model, ".", 2, 4.0, key=getkey()), getkey())
    adapter = adapted.layers[0].query
    assert adapter.a.dtype == adapter.b.dtype == jnp.float32
    x = jax.random.normal(getkey(), (5, 6)).astype(jnp.bfloat16)
    assert run(adapted, x).dtype == jnp.bfloat16
    merged = merge_lora(adapted)
    assert merged.layers[0].query.weight.dtype == jnp.bfloat16
    got, expected = (np.asarray(run(m, x), np.float32) for m in (merged, adapted))
    assert np.abs(got - expected).max() < 0.05 * np.abs(expected).max()


def test_adapters_are_leaves_to_tree_at_and_survive_a_second_add(getkey):
    model = add_lora(make(getkey()), r"layers\[0\]\.query", 2, 4.0, key=getkey())
    changed = eqx.tree_at(lambda m: m.layers[0].query.b, model, jnp.ones((10, 2)))
    again = add_lora(changed, ".", 3, 3.0, key=getkey())
    assert again.layers[0].query.a.shape == (2, 6) and (again.layers[0].query.b == 1).all()
    assert again.layers[1].query.a.shape == (3, 6)


def test_errors_say_what_there_is(getkey):
    model = make(getkey())
    with pytest.raises(ValueError, match=r"'attention' matches no linear layer; the model has layers\[0\]\.query"):
        add_lora(model, "attention", 2, 4.0, key=getkey())
    with pytest.raises(ValueError, match="not a regular expression"):
        add_lora(model, "(", 2, 4.0, key=getkey())
    with pytest.raises(ValueError, match="rank of an adapter is 0"):
        add_lora(model, "query", 0, 4.0, key=getkey())
    with pytest.raises(ValueError, match="none to adapt"):
        add_lora({"weight": jnp.ones(3)}, ".", 2, 4.0, key=getkey())
