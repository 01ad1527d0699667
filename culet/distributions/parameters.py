"""Parameters of distributions: conversion to arrays, and constraints.

Only concrete numbers are checked, in numpy, where a check of a scalar costs about a microsecond.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

if TYPE_CHECKING:
    Parameter = Any  # when made it may be a number, a list, or whatever becomes an array
else:
    Parameter = jax.Array


class Constraint(NamedTuple):
    """What a parameter must satisfy: a description that follows "must be", and a predicate of a numpy array."""

    description: str
    holds: Callable[[np.ndarray], Any]


def _is_lower(x: np.ndarray) -> bool:
    return x.shape[-1] == x.shape[-2] and not np.triu(x, 1).any()


def _is_symmetric(x: np.ndarray) -> bool:
    return x.shape[-1] == x.shape[-2] and np.allclose(x, np.swapaxes(x, -1, -2), rtol=1e-4, atol=1e-6)


def _is_positive_definite(x: np.ndarray) -> bool:
    return _is_symmetric(x) and bool((np.linalg.eigvalsh(x.astype(np.float64)) > 0).all())


real = Constraint("finite", np.isfinite)
not_nan = Constraint("a number", lambda x: ~np.isnan(x))
rising = Constraint("rising along the last axis", lambda x: (np.diff(x) > 0).all() and np.isfinite(x).all())
positive = Constraint("positive", lambda x: (x > 0) & np.isfinite(x))
nonnegative = Constraint("at least 0", lambda x: (x >= 0) & np.isfinite(x))
probability = Constraint("in [0, 1]", lambda x: (x >= 0) & (x <= 1))
open_probability = Constraint("in (0, 1)", lambda x: (x > 0) & (x < 1))
correlation = Constraint("in (-1, 1)", lambda x: (x > -1) & (x < 1))
count = Constraint("a whole number, at least 0", lambda x: (x >= 0) & (x == np.floor(x)))
whole = Constraint("a whole number", lambda x: x == np.floor(x))
above_one = Constraint("above 1", lambda x: (x > 1) & np.isfinite(x))
log_weights = Constraint(
    "log-weights, below infinity and one of them finite along the last axis",
    lambda x: (x < np.inf).all() and np.isfinite(x.max(-1)).all(),
)
lower_triangular = Constraint(
    "lower triangular with a positive diagonal",
    lambda x: _is_lower(x) and (np.diagonal(x, axis1=-2, axis2=-1) > 0).all(),
)
positive_definite = Constraint("symmetric and positive definite", _is_positive_definite)
unit_vector = Constraint("a vector of length 1", lambda x: np.abs(np.linalg.norm(x, axis=-1) - 1) < 1e-4)


def as_float(value: Any) -> Array:
    """`value` as an array of floats; a Python number adapts its dtype to what it meets, as in jax."""
    if isinstance(value, float | int):
        return _constant(float(value), jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    array = value if isinstance(value, jax.Array) else jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


@functools.lru_cache(maxsize=1024)
def _constant(value: float, x64: bool) -> Array:
    """The array of a Python number; cached, as making one costs more than scoring a value."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(value)


def parameter(constraint: Constraint, event_ndims: int = 0) -> Any:
    """A field of a distribution that is converted to an array of floats and must satisfy `constraint`.

    Its last `event_ndims` axes belong to one event; those before them are batch axes.
    """
    return eqx.field(converter=as_float, metadata={"constraint": constraint, "event_ndims": event_ndims})


_PARAMETERS: dict[type, dict[str, Any]] = {}


def parameters_of(kind: type) -> dict[str, Any]:
    """The metadata of the fields of a class that were made by `parameter`, by name."""
    if kind not in _PARAMETERS:
        fields = dataclasses.fields(kind)
        _PARAMETERS[kind] = {field.name: field.metadata for field in fields if "constraint" in field.metadata}
    return _PARAMETERS[kind]


def event_ndims_of(spec: Any) -> int:
    """How many axes of a parameter belong to one event."""
    return spec["event_ndims"]


def concrete(value: Any) -> bool:
    """Whether the numbers of `value` are known, as under a trace they are not."""
    return not isinstance(value, Tracer)


def check(distribution: Any) -> None:
    """Checks the parameters of a new distribution.

    Raises:
        ValueError: a parameter has too few axes or breaks its constraint, or the batch shapes do not broadcast.
    """
    kind = type(distribution)
    shapes = {}
    for name, spec in parameters_of(kind).items():
        value, constraint, event_ndims = getattr(distribution, name), spec["constraint"], spec["event_ndims"]
        if value.ndim < event_ndims:
            raise ValueError(
                f"{kind.__name__}: {name} must have {event_ndims} axes or more; its shape is {value.shape}"
            )
        shapes[name] = value.shape[: value.ndim - event_ndims]
        if concrete(value):
            numbers = np.asarray(value)
            if not np.asarray(constraint.holds(numbers)).all():
                shown = np.array2string(numbers, threshold=8, precision=6)
                raise ValueError(f"{kind.__name__}: {name} must be {constraint.description}; got {shown}")
    if len(set(shapes.values())) > 1:
        _check_broadcast(kind.__name__, shapes)


def check_order(distribution: Any, *names: str, strict: bool = True) -> None:
    """Checks that the parameters of these names rise, where they are concrete.

    Raises:
        ValueError: one is not less than the next (or equal to it, unless `strict`).
    """
    values = [getattr(distribution, name) for name in names]
    for (low_name, low), (high_name, high) in itertools.pairwise(zip(names, values, strict=True)):
        if concrete(low) and concrete(high):
            below = np.asarray(low) < np.asarray(high) if strict else np.asarray(low) <= np.asarray(high)
            if not below.all():
                relation = "less than" if strict else "at most"
                kind = type(distribution).__name__
                raise ValueError(f"{kind}: {low_name} must be {relation} {high_name}; got {low} and {high}")


def _check_broadcast(kind: str, shapes: dict[str, tuple[int, ...]]) -> None:
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"{kind}: batch shapes do not broadcast together: {listed}") from None
