"""Bijectors from vectors to triangular matrices, and from these to positive definite ones.

The log det counts the entries that are free: those of a triangle. Axis letters: N rows and columns, P = N (N + 1) / 2
entries of a triangle, Q = N (N - 1) / 2 of them below the diagonal.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.distributions.bijectors.bijector import Bijector
from culet.distributions.bijectors.squashing import Tanh


class VectorToMatrix(Bijector):
    """A bijector from vectors to square matrices."""

    @property
    def event_ndims_in(self) -> int:
        """1: an event is a vector."""
        return 1

    @property
    def event_ndims_out(self) -> int:
        """2: an event is a matrix."""
        return 2


class FillTriangular(VectorToMatrix):
    """P numbers to a lower triangular matrix, row by row."""

    def forward_and_log_det(self, x: Float[Array, "... P"]) -> tuple[Float[Array, "... N N"], Float[Array, "..."]]:
        """The matrix; the log det is 0. Raises `ValueError` unless the length is 1, 3, 6, 10, ..."""
        return _fill(x, 0), jnp.zeros_like(x[..., 0])

    def inverse_and_log_det(self, y: Float[Array, "... N N"]) -> tuple[Float[Array, "... P"], Float[Array, "..."]]:
        """The entries; a log det of -inf where there is anything above the diagonal."""
        return _entries(y, 0), jnp.where(_is_lower(y), 0.0, -jnp.inf)


class CholeskyFactor(VectorToMatrix):
    """P numbers, row by row, to a lower triangular matrix, with the exponential of those on the diagonal."""

    def forward_and_log_det(self, x: Float[Array, "... P"]) -> tuple[Float[Array, "... N N"], Float[Array, "..."]]:
        """The matrix. Raises `ValueError` unless the length is 1, 3, 6, 10, ..."""
        filled = _fill(x, 0)
        logs = jnp.diagonal(filled, axis1=-2, axis2=-1)
        return _with_diagonal(filled, jnp.exp(logs)), jnp.sum(logs, -1)

    def inverse_and_log_det(self, y: Float[Array, "... N N"]) -> tuple[Float[Array, "... P"], Float[Array, "..."]]:
        """The numbers; a log det of -inf where y is not lower triangular with a positive diagonal."""
        diagonal = jnp.diagonal(y, axis1=-2, axis2=-1)
        good = _is_lower(y) & jnp.all(diagonal > 0, -1)
        logs = jnp.log(jnp.where(diagonal > 0, diagonal, 1.0))
        return _entries(_with_diagonal(y, logs), 0), jnp.where(good, -jnp.sum(logs, -1), -jnp.inf)


class CorrelationFactor(VectorToMatrix):
    """Q numbers to the lower Cholesky factor of a correlation matrix: its rows have length 1, its diagonal is positive.

    The tanh of each number is the share, with a sign, of the length its row has left. (Lewandowski, Kurowicka and Joe,
    "Generating random correlation matrices based on vines and extended onion method", 2009, section 2.)
    """

    def forward_and_log_det(self, x: Float[Array, "... Q"]) -> tuple[Float[Array, "... N N"], Float[Array, "..."]]:
        """The factor. Raises `ValueError` unless the length is 0, 1, 3, 6, 10, ..."""
        numbers = _fill(x, -1)
        log_kept = Tanh().log_slope(numbers)  # log(1 - tanh^2): 0 above the diagonal, where the numbers are 0
        log_left = jnp.cumsum(log_kept, -1) - log_kept  # log of the squared length left before each entry
        share = _with_diagonal(jnp.tanh(numbers), jnp.ones_like(numbers[..., 0]))
        below = np.tri(numbers.shape[-1], k=-1, dtype=bool)
        log_det = jnp.sum(jnp.where(_like(below, numbers), log_kept + 0.5 * log_left, 0.0), (-2, -1))
        return share * jnp.exp(0.5 * log_left), log_det

    def inverse_and_log_det(self, y: Float[Array, "... N N"]) -> tuple[Float[Array, "... Q"], Float[Array, "..."]]:
        """The numbers; a log det of -inf where y is no such factor (rows may miss length 1 by 1e-4)."""
        good = _is_lower(y) & jnp.all(jnp.diagonal(y, axis1=-2, axis2=-1) > 0, -1)
        good &= jnp.all(jnp.abs(jnp.sum(jnp.square(y), -1) - 1) <= 2e-4, -1)
        identity = jnp.broadcast_to(jnp.eye(y.shape[-1], dtype=y.dtype), y.shape)
        safe = jnp.where(good[..., None, None], y, identity)
        left = jnp.flip(jnp.cumsum(jnp.flip(jnp.square(safe), -1), -1), -1)  # from the end, where nothing cancels
        below = _like(np.tri(y.shape[-1], k=-1, dtype=bool), y)
        left = jnp.where(below, left, 1.0)
        x = Tanh().inverse(jnp.where(below, safe, 0.0) / jnp.sqrt(left))
        log_det = jnp.sum(jnp.where(below, Tanh().log_slope(x) + 0.5 * jnp.log(left), 0.0), (-2, -1))
        return _entries(x, -1), jnp.where(good, -log_det, -jnp.inf)


class GramMatrix(Bijector):
    """`Y = L L^T`: a lower triangular matrix with a positive diagonal to a positive definite matrix."""

    @property
    def event_ndims_in(self) -> int:
        """2: an event is a matrix."""
        return 2

    @property
    def event_ndims_out(self) -> int:
        """2: an event is a matrix."""
        return 2

    def forward_and_log_det(self, x: Float[Array, "... N N"]) -> tuple[Float[Array, "... N N"], Float[Array, "..."]]:
        """The product."""
        return x @ jnp.swapaxes(x, -2, -1), _gram_log_det(x)

    def inverse_and_log_det(self, y: Float[Array, "... N N"]) -> tuple[Float[Array, "... N N"], Float[Array, "..."]]:
        """The Cholesky factor; a log det of -inf where y is not symmetric and positive definite."""
        mirrored = jnp.swapaxes(y, -2, -1)
        symmetric = jnp.abs(y - mirrored) <= 1e-4 * (jnp.abs(y) + jnp.abs(mirrored))
        good = jnp.all(symmetric & jnp.isfinite(jnp.linalg.cholesky(y)), (-2, -1))
        identity = jnp.broadcast_to(jnp.eye(y.shape[-1], dtype=y.dtype), y.shape)
        x = jnp.linalg.cholesky(jnp.where(good[..., None, None], y, identity))
        return x, jnp.where(good, -_gram_log_det(x), -jnp.inf)


def _gram_log_det(x: Float[Array, "... N N"]) -> Float[Array, "..."]:
    """Entry (i, i) of L, from 0, stands in N - i of the free entries of Y, twice in the first."""
    logs = jnp.log(jnp.diagonal(x, axis1=-2, axis2=-1))
    size = x.shape[-1]
    return size * math.log(2) + logs @ jnp.arange(size, 0, -1, dtype=x.dtype)


def _fill(x: Float[Array, "... P"], diagonal: int) -> Float[Array, "... N N"]:
    """The numbers in the lower triangle that ends `diagonal` places right of the diagonal, row by row."""
    count = x.shape[-1]
    size = round(((8 * count + 1) ** 0.5 - 1) / 2) - diagonal
    rows, columns = np.tril_indices(size, diagonal)
    if len(rows) != count:
        raise ValueError(f"{count} numbers do not fill a triangular matrix; 1, 3, 6, 10, ... numbers do")
    place = np.full((size, size), count)
    place[rows, columns] = np.arange(count)
    padded = jnp.concatenate([x, jnp.zeros((*x.shape[:-1], 1), x.dtype)], -1)
    return padded[..., place]


def _entries(y: Float[Array, "... N N"], diagonal: int) -> Float[Array, "... P"]:
    rows, columns = np.tril_indices(y.shape[-1], diagonal)
    return y[..., rows, columns]


def _with_diagonal(y: Float[Array, "... N N"], diagonal: Float[Array, "... N"]) -> Float[Array, "... N N"]:
    """The part of `y` below the diagonal, with another diagonal."""
    on = _like(np.eye(y.shape[-1], dtype=bool), y)
    return jnp.where(on, diagonal[..., None], jnp.tril(y, -1))


def _is_lower(y: Float[Array, "... N N"]) -> Array:
    return jnp.all(jnp.triu(y, 1) == 0, (-2, -1))


def _like(mask: np.ndarray, y: Float[Array, "... N N"]) -> Array:
    return jnp.broadcast_to(jnp.asarray(mask), y.shape)
