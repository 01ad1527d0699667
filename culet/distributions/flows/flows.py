"""Flows: standard normal vectors sent through a chain of learnt bijectors.

Axis letters: D length of a vector.
"""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Key

from culet.core.keys import as_key
from culet.distributions.bijectors.bijector import Bijector, Chain, Invert
from culet.distributions.bijectors.vectors import Reverse
from culet.distributions.flows.layers import AffineMap, Coupling, MaskedAutoregressive, NumberMap, Residual
from culet.distributions.real_line import Normal
from culet.distributions.transformed import Independent, Transformed


def masked_autoregressive_flow(
    key: int | Key[Array, ""], dimensions: int, *,
    layers: int = 4, width: int = 64, depth: int = 1, number_map: NumberMap = AffineMap(),
) -> Transformed:  # fmt: skip
    """Density in one pass per layer, samples in D passes (Papamakarios and others, 2017): for fitting to data."""
    return _flow(key, dimensions, layers, _autoregressive(dimensions, number_map, width, depth))


def inverse_autoregressive_flow(
    key: int | Key[Array, ""], dimensions: int, *,
    layers: int = 4, width: int = 64, depth: int = 1, number_map: NumberMap = AffineMap(),
) -> Transformed:  # fmt: skip
    """Samples with their densities in one pass per layer, densities of others in D (Kingma and others, 2016).

    For fitting to a density.
    """
    layer = _autoregressive(dimensions, number_map, width, depth)
    return _flow(key, dimensions, layers, lambda key: Invert(layer(key)))


def coupling_flow(
    key: int | Key[Array, ""], dimensions: int, *,
    layers: int = 8, width: int = 64, depth: int = 1, number_map: NumberMap = AffineMap(),
) -> Transformed:  # fmt: skip
    """One pass per layer both ways: RealNVP (Dinh and others, 2017), or with a `SplineMap` a neural spline flow.

    With a `ShiftMap` it is a reversible residual network (Gomez and others, 2017), which keeps volumes. Raises
    `ValueError` below 2 dimensions.
    """
    kept = dimensions // 2
    return _flow(
        key, dimensions, layers, lambda key: Coupling(dimensions, kept, number_map, width=width, depth=depth, key=key)
    )


def residual_flow(
    key: int | Key[Array, ""], dimensions: int, *, layers: int = 4, width: int = 64, depth: int = 2
) -> Transformed:
    """Of invertible residual networks (Behrmann and others, 2019), with exact log dets.

    Its density is that of the map from data to noise, which is the forward one of the networks.
    """
    return _flow(key, dimensions, layers, lambda key: Invert(Residual(dimensions, width=width, depth=depth, key=key)))


def _autoregressive(
    dimensions: int, number_map: NumberMap, width: int, depth: int
) -> Callable[[Key[Array, ""]], Bijector]:
    return lambda key: MaskedAutoregressive(dimensions, number_map, width=width, depth=depth, key=key)


def _flow(
    key: int | Key[Array, ""], dimensions: int, layers: int, layer: Callable[[Key[Array, ""]], Bijector]
) -> Transformed:
    """Layers with the order of the numbers turned round between them."""
    key = as_key(key)
    parts: list[Bijector] = []
    for i in range(layers):
        parts += [layer(jax.random.fold_in(key, i)), Reverse()]  # compiled in half the time of split and its parts
    base = Independent(Normal(np.zeros(dimensions), np.ones(dimensions)), 1)
    return Transformed(base, Chain(parts[:-1]))
