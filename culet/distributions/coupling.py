"""Coupling layers: one part of a vector stays and says how the other part is mapped.

Axis letters: D length of a vector, K numbers that stay, M = D - K that are mapped.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from culet.distributions.autoregressive import NumberMap
from culet.distributions.bijector import Bijector
from culet.distributions.vectors import VectorBijector


class Coupling(VectorBijector):
    """The first `kept` numbers stay; a network of them gives the parameters of the maps of the others.

    Both directions take one pass. With `AffineMap` this is the layer of RealNVP (Dinh and others, 2017, section 3),
    with `SplineMap` that of neural spline flows (Durkan and others, 2019); with `ShiftMap`, two in a row with the
    halves exchanged are the block of a reversible residual network (Gomez and others, 2017, section 3).
    """

    network: eqx.nn.MLP
    number_map: NumberMap
    kept: int = eqx.field(static=True)

    def __init__(
        self, dimensions: int, kept: int, number_map: NumberMap, *, width: int, depth: int, key: Key[Array, ""]
    ):
        """Starts near the identity. Raises `ValueError` unless 0 < kept < dimensions."""
        if not 0 < kept < dimensions:
            raise ValueError(f"Of {dimensions} numbers, {kept} cannot be kept; keep at least one and map at least one.")
        moved = (dimensions - kept) * number_map.size
        network = eqx.nn.MLP(kept, moved, width, depth, key=key)
        last = network.layers[-1]
        self.network = eqx.tree_at(lambda net: net.layers[-1], network, jax.tree.map(lambda leaf: 0.1 * leaf, last))
        self.number_map = number_map
        self.kept = kept

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector with its last part mapped."""
        kept, moved = x[..., : self.kept], x[..., self.kept :]
        moved, log_dets = self._map(kept, moved).forward_and_log_det(moved)
        return jnp.concatenate([kept, moved], -1), jnp.sum(log_dets, -1)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector with its last part mapped back."""
        kept, moved = y[..., : self.kept], y[..., self.kept :]
        moved, log_dets = self._map(kept, moved).inverse_and_log_det(moved)
        return jnp.concatenate([kept, moved], -1), jnp.sum(log_dets, -1)

    def _map(self, kept: Float[Array, "... K"], moved: Float[Array, "... M"]) -> Bijector:
        parameters = jnp.vectorize(self.network, signature="(k)->(p)")(kept)
        return self.number_map(parameters.reshape(*moved.shape, -1))
