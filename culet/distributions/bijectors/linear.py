"""Linear bijectors of vectors.

Axis letters: D length of a vector.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from culet.distributions.bijectors.vectors import VectorBijector
from culet.distributions.parameters import as_float


class TriangularAffine(VectorBijector):
    """`y = loc + L x`, L being the lower triangle of `factor`, with no 0 on its diagonal."""

    loc: Float[Array, "D"]
    factor: Float[Array, "D D"]

    def __init__(self, loc: ArrayLike, factor: ArrayLike):
        """Raises `ValueError` unless `loc` is [D] and `factor` [D, D]."""
        self.loc, self.factor = as_float(loc), as_float(factor)
        if self.loc.ndim != 1 or self.factor.shape != 2 * self.loc.shape:
            shapes = f"a loc of shape {list(self.loc.shape)} and a factor of shape {list(self.factor.shape)}"
            raise ValueError(f"TriangularAffine: loc must be [D] and factor [D, D]; got {shapes}")

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The map."""
        y = jnp.broadcast_to(self.loc, x.shape) + x @ jnp.tril(self.factor).T
        return y, _log_det(jnp.diagonal(self.factor), x)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """By forward substitution."""
        x = _solve(self.factor, y - jnp.broadcast_to(self.loc, y.shape), lower=True)
        return x, -_log_det(jnp.diagonal(self.factor), y)


class LULinear(VectorBijector):
    """`y = W x` for any invertible W, kept as W = P L U, so that its log det costs D numbers and not D^3.

    Kingma and Dhariwal, "Glow", 2018, section 3.2. The permutation P stays as it is in training.
    """

    order: Int[Array, "D"]  # P: row d of L U is row order[d] of W
    lower: Float[Array, "D D"]  # only what is below the diagonal counts; on it are ones
    upper: Float[Array, "D D"]  # only what is on the diagonal and above it counts

    def __init__(self, matrix: ArrayLike):
        """Raises `ValueError` unless `matrix` is [D, D]."""
        matrix = as_float(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"LULinear: the matrix must be square; its shape is {list(matrix.shape)}")
        factors, _, self.order = jax.lax.linalg.lu(matrix)
        self.lower, self.upper = jnp.tril(factors, -1), jnp.triu(factors)

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The map."""
        unit = jnp.tril(self.lower, -1) + jnp.eye(len(self.lower), dtype=x.dtype)
        permuted = x @ jnp.triu(self.upper).T @ unit.T
        return permuted[..., jnp.argsort(self.order)], _log_det(jnp.diagonal(self.upper), x)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """By substitution, twice."""
        middle = _solve(self.lower, y[..., self.order], lower=True, unit_diagonal=True)
        return _solve(self.upper, middle, lower=False), -_log_det(jnp.diagonal(self.upper), y)


class Householder(VectorBijector):
    """The mirror image in the plane at right angles to `normal`, a vector of any length but 0. Its own inverse."""

    normal: Float[Array, "D"]

    def __init__(self, normal: ArrayLike):
        self.normal = as_float(normal)

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The mirror image; the log det is 0."""
        distance = (x @ self.normal) / jnp.sum(jnp.square(self.normal))
        return x - 2 * distance[..., None] * jnp.broadcast_to(self.normal, x.shape), jnp.zeros_like(distance)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The same mirror image."""
        return self.forward_and_log_det(y)


def _log_det(diagonal: Float[Array, "D"], like: Float[Array, "... D"]) -> Float[Array, "..."]:
    return jnp.broadcast_to(jnp.sum(jnp.log(jnp.abs(diagonal))), like.shape[:-1])


def _solve(
    matrix: Float[Array, "D D"], y: Float[Array, "... D"], lower: bool, unit_diagonal: bool = False
) -> Float[Array, "... D"]:
    """The rows x with `matrix x = y`, of a triangular matrix."""
    rows = y.reshape(-1, y.shape[-1])
    x = jax.scipy.linalg.solve_triangular(matrix, rows.T, lower=lower, unit_diagonal=unit_diagonal)
    return x.T.reshape(y.shape)
