"""Memory, sharding and the invariances that every loss over the vocabulary keeps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from culet.objectives import cross_entropy, distillation, top_k_distillation
from culet.objectives.vocabulary import LOGIT_BYTES, chunk_size


def next_token(student, batch, chunk):
    hidden, embedding = student
    return cross_entropy(hidden, embedding, batch["targets"], batch["weights"], cap=5.0, chunk=chunk)


def full_teacher(student, batch, chunk):
    (hidden, embedding), teacher_embedding = student, student[1][:, ::-1]
    return distillation(
        hidden, embedding, batch["teacher"], teacher_embedding, batch["weights"],
        temperature=2.0, teacher_cap=4.0, chunk=chunk,
    )  # fmt: skip


def mixed_teacher(student, batch, chunk):
    hidden, embedding = student
    return distillation(
        hidden, embedding, batch["teacher"], embedding[:, ::-1], batch["weights"],
        divergence="jensen_shannon", mixing=0.3, temperature=2.0, teacher_cap=4.0, chunk=chunk,
    )  # fmt: skip


def stored_teacher(student, batch, chunk):
    hidden, embedding = student
    return top_k_distillation(
        hidden, embedding, batch["ids"], batch["log_probabilities"], batch["weights"],
        temperature=2.0, cap=5.0, chunk=chunk,
    )  # fmt: skip


LOSSES = [next_token, full_teacher, mixed_teacher, stored_teacher]
V, D, B, T, K = 23, 4, 4, 6, 3


def make(tokens, vocabulary=V, width=D):
    rng = np.random.default_rng(2)
    batch = {
        "inputs": rng.normal(size=(*tokens, width)).astype(np.float32),
        "targets": rng.integers(0, vocabulary, tokens).astype(np.int32),
        "teacher": rng.normal(size=(*tokens, width)).astype(np.float32),
        "ids": np.broadcast_to(np.array([1, 5, 20], np.int32), (*tokens, K)),
        "log_probabilities": np.log(rng.dirichlet(np.ones(K + 1), tokens)[..., :K]).astype(np.float32),
        "weights": rng.uniform(0, 2, tokens).astype(np.float32),
    }
    parameters = rng.normal(size=(width, width)).astype(np.float32), rng.normal(size=(vocabulary, width))
    return (jnp.asarray(parameters[0]), jnp.asarray(parameters[1], jnp.float32)), batch


@partial(jax.jit, static_argnums=(0, 3))
def evaluate(loss, parameters, batch, chunk=7):
    """Loss and gradients of a model with one layer and tied embeddings."""

    def total(parameters):
        mixing, embedding = parameters
        result = loss((batch["inputs"] @ mixing, embedding), batch, chunk)
        return result.total, result

    gradients, result = jax.grad(total, has_aux=True)(parameters)
    return result, gradients


def assert_same(got, expected):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-5), got, expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_invariances(loss):
    parameters, batch = make((B, T))
    expected = evaluate(loss, parameters, batch)
    assert float(jnp.abs(expected[1][0]).max()) > 0.1  # there is a gradient to keep

    order = np.random.default_rng(3).permutation(B)
    assert_same(evaluate(loss, parameters, {name: array[order] for name, array in batch.items()}), expected)

    order = np.random.default_rng(4).permutation(B * T)  # tokens packed into other rows and places
    packed = {name: array.reshape(B * T, *array.shape[2:])[order].reshape(array.shape) for name, array in batch.items()}
    assert_same(evaluate(loss, parameters, packed), expected)

    # Padding holds what it likes, an id outside the vocabulary too; only its weight is 0.
    _, junk = make((B, 2))
    junk |= {"weights": np.zeros((B, 2), np.float32), "targets": np.full((B, 2), -1, np.int32)}
    junk["ids"] = np.full((B, 2, K), -1, np.int32)
    padded = {name: np.concatenate([array, junk[name]], axis=1) for name, array in batch.items()}
    assert_same(evaluate(loss, parameters, padded), expected)

    halves = [evaluate(loss, parameters, {name: array[i : i + 2] for name, array in batch.items()}) for i in (0, 2)]
    assert_same(jax.tree.map(lambda x, y: x + y, *halves), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_bfloat16_is_within_its_rounding(loss):
    parameters, batch = make((B, T))
    small = jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.bfloat16), (parameters, batch))
    for name in ("log_probabilities", "weights", "targets", "ids"):
        small[1][name] = batch[name]
    got, expected = evaluate(loss, *small), evaluate(loss, parameters, batch)
    assert got[0].total.dtype == jnp.float32 and got[1][1].dtype == jnp.bfloat16
    np.testing.assert_allclose(got[0].total, expected[0].total, rtol=0.01)
    for gradient, reference in zip(got[1], expected[1], strict=True):
        assert np.abs(np.asarray(gradient, np.float32) - reference).max() < 0.03 * np.abs(reference).max()


@pytest.mark.parametrize("loss", LOSSES)
def test_sharded_over_devices_equals_one_device(loss):
    parameters, batch = make((8, 2), vocabulary=24)
    expected = evaluate(loss, parameters, batch)
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "model"))
    spread = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    split = jax.device_put(parameters[1], NamedSharding(mesh, PartitionSpec("model")))
    whole = jax.device_put(parameters[0], NamedSharding(mesh, PartitionSpec()))
    assert_same(evaluate(loss, (whole, split), spread), expected)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_logits_are_never_all_in_memory(loss, backward):
    tokens, vocabulary, width = 512, 256_000, 64
    parameters, batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), make((tokens,), vocabulary=24, width=width)
    )
    parameters = (parameters[0], jax.ShapeDtypeStruct((vocabulary, width), jnp.float32))

    def value(parameters, batch, chunk):
        return loss((batch["inputs"] @ parameters[0], parameters[1]), batch, chunk).total

    def temporary(chunk):
        function = jax.jit(jax.grad(value) if backward else value, static_argnums=2)
        memory = function.lower(parameters, batch, chunk).compile().memory_analysis()
        assert memory is not None
        return memory.temp_size_in_bytes

    logits, embedding = tokens * vocabulary * 4, vocabulary * width * 4
    copies = (
        1 if loss in (full_teacher, mixed_teacher) else 0
    )  # this test makes the teacher's embedding by reversing the student's
    assert temporary(4096) < copies * embedding + logits / 8
    assert temporary(vocabulary) > logits  # the measurement sees them when they are there


def test_default_chunks_are_equal_parts_within_the_limit():
    assert chunk_size(1024, 32_000, None) == 32_000
    for tokens in (2048, 4096, 65_536):
        size = chunk_size(tokens, 256_000, None)
        assert size % 128 == 0
        assert (size - 128) * tokens * 4 < LOGIT_BYTES
        assert -(-256_000 // size) <= -(-256_000 * tokens * 4 // LOGIT_BYTES)
    assert chunk_size(16, 100, None) == 100
    assert chunk_size(16, 100, 7) == 7
    with pytest.raises(ValueError, match="chunk is -1"):
        chunk_size(16, 100, -1)
