"""What an objective returns, and sums of objectives.

Axis letters: none; every array here is a scalar.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key


class Loss(NamedTuple):
    """Sums over tokens, not means, so that losses of micro-batches add up to that of the large batch exactly."""

    total: Float[Array, ""]
    """The weighted sum; its gradient, divided by `weight`, is that of the mean."""
    weight: Float[Array, ""]
    """The sum of the weights."""
    metrics: dict[str, Float[Array, ""]]
    """Further weighted sums to report, each divided by `weight`."""


Objective = Callable[[Any, Any, Key[Array, ""]], Loss]
"""What a training step calls: `objective(model, batch, key)`."""

Scalar = float | Float[Array, ""]
"""A hyper-parameter: a number, or an array so that a sweep over it is one `vmap`."""


def mixture(parts: Sequence[tuple[Scalar, Loss]]) -> Loss:
    """The sum of `coefficient * loss`, for losses of the same tokens with the same weights.

    The weight is that of the first part, for it is the same in all. Metrics of all parts are kept.

    Raises:
        ValueError: there are no parts, or two of them report a metric of the same name.
    """
    if not parts:
        raise ValueError("a mixture needs at least one (coefficient, loss)")
    metrics: dict[str, Array] = {}
    for _, loss in parts:
        if twice := metrics.keys() & loss.metrics.keys():
            raise ValueError(f"two parts of the mixture report {', '.join(sorted(twice))}; mix different losses")
        metrics |= loss.metrics
    total = sum((coefficient * loss.total for coefficient, loss in parts[1:]), parts[0][0] * parts[0][1].total)
    return Loss(total, parts[0][1].weight, metrics)
