"""A distribution made under `vmap` is what a loop would make, also where its parts have different ranks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.distributions as d
from culet.distributions.family import Family
from culet.distributions.parameters import event_ndims_of, parameters_of
from tests.distributions.test_distributions import MEMBERS, made

FAMILIES = [name for name in MEMBERS if isinstance(made(name), Family) and len(parameters_of(type(made(name)))) > 1]


def fields(distribution):
    """The parameters of a family, broadcast to its batch."""
    shape = distribution.batch_shape
    specs = parameters_of(type(distribution))
    values = {name: np.asarray(getattr(distribution, name)) for name in specs}
    ends = {name: value.shape[value.ndim - event_ndims_of(specs[name]) :] for name, value in values.items()}
    return {name: np.broadcast_to(value, shape + ends[name]) for name, value in values.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_of_different_ranks(name):
    """One parameter has a batch of three, the others none; the formulas know nothing of shapes beyond their fields."""
    kind = type(made(name))
    arrays = {field: np.asarray(getattr(made(name), field)) for field in parameters_of(kind)}
    static = {field.name: getattr(made(name), field.name) for field in dataclasses.fields(kind)}
    static = {field: value for field, value in static.items() if field not in arrays}
    for wide in arrays:
        inputs = {other: np.stack([value] * 3, 1) if other == wide else value for other, value in arrays.items()}
        batch = jax.vmap(lambda inputs: kind(**inputs, **static))(inputs)
        assert batch.batch_shape == (2, 3)
        for row in range(2):
            alone = kind(**{other: value[row] for other, value in inputs.items()}, **static)
            for field, expected in fields(alone).items():
                np.testing.assert_array_equal(fields(batch)[field][row], expected)


SCALES = np.array([1.0, 10.0, 100.0], np.float32)
ROWS = np.arange(9, dtype=np.float32).reshape(3, 3) - 4
MASK = np.array([True, False, True])
MADE = {
    "Normal": lambda row, scale: d.Normal(row, scale),
    "constant": lambda row, scale: d.Independent(d.Normal(row, 1.0), 1),
    "Independent": lambda row, scale: d.Independent(d.Normal(row, scale), 1),
    "Mixture": lambda row, scale: d.Mixture(row, d.Normal(scale * row, 1.0)),
    "Mixture of a batch": lambda row, scale: d.Mixture(scale * row, d.Normal(np.ones((2, 3), np.float32), 2.0)),
    "Mixture in a batch": lambda row, scale: d.Mixture(jnp.stack([row, -row]), d.Normal(scale * row, 1.0)),
    "ZeroInflated": lambda row, scale: d.ZeroInflated(d.Poisson(scale), row),
    "ZeroInflated batch": lambda row, scale: d.ZeroInflated(d.Poisson(row + 5), scale),
    "Truncated": lambda row, scale: d.Truncated(d.Normal(row, 2.0), -scale, scale),
    "Truncated scalar": lambda row, scale: d.Truncated(d.Normal(0.0, scale), row - 1, row + 20),
    "Quantised": lambda row, scale: d.Quantised(d.Logistic(row, 2.0), -scale, scale),
    "Masked": lambda row, scale: d.Masked(d.Normal(row, 2.0), jnp.asarray(scale > 5)),
    "Masked scalar": lambda row, scale: d.Masked(d.Normal(scale, 2.0), jnp.asarray(MASK)),
    "Transformed": lambda row, scale: d.Transformed(d.Normal(row, 1.0), d.Affine(1.0, scale)),
    "Transformed chain": lambda row, scale: d.Transformed(
        d.Normal(row, 1.0), d.Chain([d.Scale(scale), d.Invert(d.Shift(scale)), d.Softplus()])
    ),
    "Transformed vector": lambda row, scale: d.Transformed(d.Normal(row, scale), d.Ordered()),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_a_batch_scores_as_a_loop(name):
    make = MADE[name]
    batch = jax.vmap(make)(jnp.asarray(ROWS), jnp.asarray(SCALES))
    alone = [make(row, scale) for row, scale in zip(ROWS, SCALES, strict=True)]
    assert batch.batch_shape == (3, *alone[0].batch_shape)
    shape = alone[0].batch_shape + alone[0].event_shape
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1
    scores = np.stack([one.log_prob(values) for one in alone])
    np.testing.assert_allclose(batch.log_prob(values), scores, rtol=2e-5, atol=2e-5)
    draws = np.asarray(batch.sample(0, (4,)))
    assert draws.shape == (4, *batch.batch_shape, *batch.event_shape)


def test_draws_are_independent_where_a_batch_broadcasts():
    """Along the axes of ends, masks and logits that the base does not have."""
    ones = np.ones((1, 2, 1), np.float32)
    wide = [
        d.Masked(d.Normal(0.0 * ones, 1.0), jnp.ones((3, 1, 2), bool)),
        d.ZeroInflated(d.Normal(0.0 * ones, 1.0), np.full((3, 1, 2), -30.0, np.float32)),
        d.Quantised(d.Normal(0.0 * ones, 1e6), np.full((3, 1, 2), -np.inf, np.float32), np.inf),
        d.Truncated(d.Normal(0.0 * ones, 1.0), np.full((3, 1, 2), -np.inf, np.float32), np.inf),
        d.Mixture(np.zeros((3, 1, 2, 4), np.float32), d.Normal(0.0 * ones[..., None] * np.ones(4, np.float32), 1.0)),
    ]
    for distribution in wide:
        draws = np.asarray(distribution.sample(0, (5,)))
        assert draws.shape == (5, 3, 2, 2)
        assert len(np.unique(draws)) == draws.size
    shifted = d.Masked(d.Normal(100 * np.arange(2, dtype=np.float32)[None, :, None], 1.0), jnp.ones((3, 1, 2), bool))
    np.testing.assert_allclose(np.asarray(shifted.sample(0, (50,))).mean((0, 1, 3)), [0, 100], atol=1)


def test_a_number_for_all_adapts_its_dtype():
    assert d.Normal(jnp.ones(3, jnp.bfloat16), 1.0).log_prob(jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16
