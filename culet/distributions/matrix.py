"""Distributions of matrices.

Axis letters: K rows of a square matrix, M rows, N columns.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.multivariate import log_diagonal
from culet.distributions.numerics import HALF_LOG_TAU, log_multivariate_gamma
from culet.distributions.parameters import Parameter, concrete, lower_triangular, parameter, positive, real
from culet.distributions.samplers import log_gamma_variates
from culet.distributions.supports import CorrelationCholesky, Interval, PositiveDefinite, Vectors


class MatrixNormal(Family):
    """`loc + row_tril Z column_tril.T`, Z [M, N] of standard normals."""

    loc: Float[Parameter, "... M N"] = parameter(real, event_ndims=2)
    row_tril: Float[Parameter, "... M M"] = parameter(lower_triangular, event_ndims=2)
    column_tril: Float[Parameter, "... N N"] = parameter(lower_triangular, event_ndims=2)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(M, N)."""
        return self.loc.shape[-2:]

    def _support(self):
        return Vectors(Interval(), ndims=2)

    def _log_density(self, x):
        rows, columns = self.event_shape
        z = _solve(self.column_tril, _transposed(_solve(self.row_tril, x - self.loc)))
        log_determinant = columns * log_diagonal(self.row_tril) + rows * log_diagonal(self.column_tril)
        return -0.5 * (z * z).sum((-1, -2)) - log_determinant - rows * columns * HALF_LOG_TAU

    def _sample(self, key, shape):
        noise = self._normal(key, (*shape, *self.event_shape))
        return self.loc + self.row_tril @ noise @ _transposed(self.column_tril)

    def _mean(self):
        return self.loc

    def _mode(self):
        return self.loc

    def _variance(self):
        rows, columns = (self.row_tril**2).sum(-1), (self.column_tril**2).sum(-1)
        return rows[..., :, None] * columns[..., None, :]

    def _entropy(self):
        rows, columns = self.event_shape
        log_determinant = columns * log_diagonal(self.row_tril) + rows * log_diagonal(self.column_tril)
        return rows * columns * (HALF_LOG_TAU + 0.5) + log_determinant


class CovarianceFamily(Family):
    """A family on positive definite matrices; `scale_tril` [K, K] is the Cholesky factor of its scale V."""

    df: Float[Parameter, "..."] = parameter(positive)
    scale_tril: Float[Parameter, "... K K"] = parameter(lower_triangular, event_ndims=2)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K, K)."""
        return self.scale_tril.shape[-2:]

    def _check(self):
        size = self.scale_tril.shape[-1]
        if concrete(self.df) and not (np.asarray(self.df) > size - 1).all():
            raise ValueError(f"{type(self).__name__}: df must be above {size - 1}, the rows less one; got {self.df}")

    def _support(self):
        return PositiveDefinite()

    def _scale(self) -> Array:
        return self.scale_tril @ _transposed(self.scale_tril)

    def _log_norm(self) -> Array:
        """What Wishart and inverse Wishart share, without the determinant of the scale."""
        size = self.event_shape[0]
        return 0.5 * self.df * size * math.log(2) + log_multivariate_gamma(0.5 * self.df, size)

    def _bartlett(self, key: Array, shape: tuple[int, ...]) -> Array:
        """The Cholesky factor of a draw at scale 1: normals below roots of chi-squared variates (Bartlett, 1933)."""
        size = self.event_shape[0]
        normal_key, gamma_key = jax.random.split(key)
        rows = jnp.arange(size).astype(self.dtype).reshape((1,) * len(shape) + (size,))
        halves = 0.5 * (self.df[..., None] - rows)
        diagonal = jnp.exp(0.5 * (math.log(2) + log_gamma_variates(gamma_key, halves, (*shape, size), self.dtype)))
        below = jnp.tril(self._normal(normal_key, (*shape, size, size)), -1)
        return below + diagonal[..., None] * jnp.broadcast_to(jnp.eye(size, dtype=self.dtype), below.shape)


class Wishart(CovarianceFamily):
    """The sum of `df` outer products of Gaussian vectors with covariance V [K, K]."""

    def _log_density(self, x):
        size, tril = self.event_shape[0], jnp.linalg.cholesky(x)
        trace = (_solve(self.scale_tril, tril) ** 2).sum((-1, -2))
        scores = (self.df - size - 1) * log_diagonal(tril) - 0.5 * trace
        return scores - self.df * log_diagonal(self.scale_tril) - self._log_norm()

    def _sample(self, key, shape):
        root = self.scale_tril @ self._bartlett(key, shape)
        return root @ _transposed(root)

    def _mean(self):
        return self.df[..., None, None] * self._scale()

    def _variance(self):
        scale = self._scale()
        diagonal = jnp.diagonal(scale, axis1=-2, axis2=-1)
        return self.df[..., None, None] * (scale**2 + diagonal[..., :, None] * diagonal[..., None, :])

    def _mode(self):
        """NaN where df is less than K + 1."""
        factor = self.df - self.event_shape[0] - 1
        return jnp.where(factor >= 0, factor, jnp.nan)[..., None, None] * self._scale()


class InverseWishart(CovarianceFamily):
    """The inverse of a Wishart variate with the scale V^-1: the conjugate prior of a covariance."""

    def _log_density(self, x):
        size, tril = self.event_shape[0], jnp.linalg.cholesky(x)
        trace = (_solve(tril, self.scale_tril) ** 2).sum((-1, -2))
        scores = -(self.df + size + 1) * log_diagonal(tril) - 0.5 * trace
        return scores + self.df * log_diagonal(self.scale_tril) - self._log_norm()

    def _sample(self, key, shape):
        factor = self._bartlett(key, shape)
        identity = jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
        root = self.scale_tril @ _transposed(_solve(factor, identity))
        return root @ _transposed(root)

    def _mean(self):
        """Infinite where df is K + 1 or less."""
        spare = self.df - self.event_shape[0] - 1
        return self._scale() / jnp.where(spare > 0, spare, 0)[..., None, None]

    def _mode(self):
        return self._scale() / (self.df + self.event_shape[0] + 1)[..., None, None]


class LKJCholesky(Family):
    """Cholesky factors [K, K] of correlation matrices with density det^(concentration - 1).

    The density is that of the entries below the diagonal. Lewandowski, Kurowicka and Joe (2009), sections 2.4 and 3.2.
    """

    size: int = eqx.field(static=True)
    concentration: Float[Parameter, "..."] = parameter(positive)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K, K)."""
        return (self.size, self.size)

    def _support(self):
        return CorrelationCholesky()

    def _log_density(self, x):
        after = self.size - 1 - np.arange(self.size, dtype=np.float32)
        powers = (
            (jnp.asarray(after, x.dtype).reshape((1,) * (x.ndim - 2) + (-1,))) + 2 * self.concentration[..., None] - 2
        )
        logs = jnp.log(jnp.diagonal(x, axis1=-2, axis2=-1))
        return (powers * logs)[..., 1:].sum(-1) - self._log_norm()

    def _log_norm(self) -> Array:
        top = self.concentration + 0.5 * (self.size - 1)
        terms = (0.5 * k * math.log(math.pi) + gammaln(top - 0.5 * k) - gammaln(top) for k in range(1, self.size))
        return sum(terms, jnp.zeros_like(top))

    def _sample(self, key, shape):
        """Row by row: the share of its square that lies off the diagonal is a beta variate (the onion method)."""
        above_key, below_key, direction_key = jax.random.split(key, 3)
        rows = np.maximum(np.arange(self.size, dtype=np.float32), 0.5).reshape((1,) * len(shape) + (-1,))
        above = jnp.asarray(0.5 * rows, self.dtype)
        below = self.concentration[..., None] + 0.5 * (self.size - 1) - above
        whole = (*shape, self.size)
        log_odds = log_gamma_variates(above_key, above, whole, self.dtype)
        log_odds -= log_gamma_variates(below_key, below, whole, self.dtype)
        log_odds = log_odds.at[..., 0].set(-jnp.inf)
        normals = jnp.tril(self._normal(direction_key, (*whole, self.size)), -1)
        lengths = jnp.linalg.norm(normals[..., 1:, :], axis=-1, keepdims=True)
        directions = normals.at[..., 1:, :].divide(lengths)
        identity = jnp.broadcast_to(jnp.eye(self.size, dtype=self.dtype), normals.shape)
        off, on = jnp.sqrt(jax.nn.sigmoid(log_odds)), jnp.sqrt(jax.nn.sigmoid(-log_odds))
        return off[..., None] * directions + on[..., None] * identity


def _transposed(matrix: Array) -> Array:
    return jnp.swapaxes(matrix, -1, -2)


def _solve(tril: Array, matrix: Array) -> Array:
    """`tril^-1 matrix`, for batches of equal rank."""
    batch = np.broadcast_shapes(tril.shape[:-2], matrix.shape[:-2])
    tril = jnp.broadcast_to(tril, batch + tril.shape[-2:])
    return solve_triangular(tril, jnp.broadcast_to(matrix, batch + matrix.shape[-2:]), lower=True)
