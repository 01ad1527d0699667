"""Merges against the geometry of a few vectors, in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align import angles, average, interpolate, slerp
from culet.nn.lora import add_lora, merge_lora
from tests.lm.small import small

RANDOM = np.random.default_rng(0)


def tree(*vectors):
    """A model of one numbered layer per vector, each cut into two leaves."""
    layers = [{"a": jnp.float32(v[:1]), "b": jnp.float32(v[1:]).reshape(1, -1)} for v in map(np.asarray, vectors)]
    return {"blocks": layers}


def vectors(model):
    return [np.concatenate([np.asarray(layer["a"]), np.asarray(layer["b"])[0]]) for layer in model["blocks"]]


def test_orthogonal_task_vectors_keep_their_length_on_the_sphere_and_lose_it_on_the_line():
    base = tree(np.full(4, 5.0), np.full(4, -3.0))
    first, second = np.eye(4)[:2]
    models = [tree(5 + first, -3 + 2 * first), tree(5 + second, -3 + 2 * second)]
    merged = vectors(slerp(base, models))
    np.testing.assert_allclose(merged[0] - 5, (first + second) / np.sqrt(2), atol=1e-6)  # length 1
    np.testing.assert_allclose(merged[1] + 3, 2 * (first + second) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(vectors(average(models))[0] - 5, (first + second) / 2, atol=1e-6)  # 0.707
    assert angles(base, *models) == pytest.approx({"blocks.0": 90, "blocks.1": 90}, abs=1e-3)


def test_three_orthonormal_vectors_have_the_coefficients_of_the_recursion():
    base, ones = tree(np.zeros(3)), np.eye(3)
    merged = vectors(slerp(base, [tree(one) for one in ones]))[0]
    half = np.sin(np.pi / 4)
    expected = [np.sin(np.pi / 3) * half, np.sin(np.pi / 3) * half, np.sin(np.pi / 6)]
    np.testing.assert_allclose(merged, expected, atol=1e-6)
    assert np.linalg.norm(merged) == pytest.approx(1)


def test_any_angle_is_halved_and_layers_do_not_know_each_other():
    base = tree(*RANDOM.normal(size=(2, 5)))
    tasks = RANDOM.normal(size=(2, 2, 5)) * 0.1
    models = [tree(*(np.array(vectors(base)) + task)) for task in tasks]
    moved = np.array(vectors(slerp(base, models)), np.float64) - np.array(vectors(base), np.float64)

    def angle(u, v):
        return np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))

    for layer in range(2):
        whole = angle(tasks[0, layer], tasks[1, layer])
        weight = np.sin(whole / 2) / np.sin(whole)
        np.testing.assert_allclose(moved[layer], weight * tasks[:, layer].sum(axis=0), atol=2e-6)
        assert angles(base, *models)[f"blocks.{layer}"] == pytest.approx(np.degrees(whole), abs=0.05)


@pytest.mark.parametrize("second", [[1e-3, 0.0], [1e-3, 2e-7], [0.0, 0.0]], ids=["parallel", "nearly", "none"])
def test_vectors_along_one_line_are_averaged(second):
    base, first = tree(np.zeros(2)), [1e-3, 0.0]
    merged = vectors(slerp(base, [tree(first), tree(second)]))[0]
    np.testing.assert_allclose(merged, (np.array(first) + np.array(second)) / 2, atol=1e-9)


def test_one_model_is_itself_and_the_ends_of_the_line_are_its_ends():
    base, other = small("gemma-2-2b", 0), small("gemma-2-2b", 1)
    for found, expected in (
        (slerp(base, [other]), other),
        (interpolate(base, other, 0.0), base),
        (interpolate(base, other, 1.0), other),
        (average([base, other], [0.0, 3.0]), other),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


def test_small_steps_of_bfloat16_models_are_not_lost():
    """A moving average of rate 0.02 whose steps are below the rounding of bfloat16."""
    start, end = jnp.bfloat16(1.0), jnp.bfloat16(1.0078125)  # neighbours
    moving = {"w": start[None]}
    for _ in range(10):
        moving = interpolate(moving, {"w": end[None]}, 0.02)
    assert moving["w"].dtype == jnp.float32
    np.testing.assert_allclose(moving["w"], 1 + 0.0078125 * (1 - 0.98**10), rtol=1e-6)


def test_adapters_are_merged_as_the_weights_they_stand_for():
    base = small("gemma-2-2b")
    keys = jax.random.split(jax.random.key(0), 4)
    models = [add_lora(base, r"mixer\.query", 2, 4.0, key=key) for key in keys[:2]]
    models = [
        jax.tree_util.tree_map_with_path(
            lambda path, leaf, key=key: (
                jax.random.normal(key, leaf.shape) if jax.tree_util.keystr(path).endswith(".b") else leaf
            ),
            model,
            is_leaf=eqx.is_array,
        )
        for model, key in zip(models, keys[2:], strict=True)
    ]
    whole = [merge_lora(model) for model in models]
    assert angles(base, *models)["blocks.0"] > 10  # they have learned something
    for found, expected in ((slerp(base, models), slerp(base, whole)), (average(models), average(whole))):
        jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average([]), "no model"),
        (lambda: slerp(tree([1.0, 2.0]), []), "no model"),
        (lambda: average([tree([1.0, 2.0])], [1.0, 2.0]), "expected one weight per model, got 2 weights for 1 models"),
        (lambda: average([tree([1.0, 2.0])], [0.0]), "not all 0"),
        (lambda: average([tree([1.0, 2.0])], [float("nan")]), "not all 0"),
        (lambda: interpolate(tree([1.0, 2.0]), tree([1.0, 2.0, 3.0]), 0.5), r"blocks\.0\.b .* number 2"),
    ],
    ids=["nothing", "nothing to merge", "weights", "zeros", "nan", "shapes"],
)
def test_what_cannot_be_merged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
