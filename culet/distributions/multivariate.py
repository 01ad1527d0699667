"""Distributions of vectors.

Axis letters: D components, R columns of a factor, K classes.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import HALF_LOG_TAU, log_gamma_rise, x_log_y
from culet.distributions.parameters import Parameter, log_weights, lower_triangular, parameter, positive, real
from culet.distributions.samplers import log_gamma_variates
from culet.distributions.supports import Interval, Simplex, Vectors

_UNROLLED = 8  # up to this size, one pass over the rows of x without any product of matrices is quicker still
_INVERTED = 64  # up to this size, a product with the inverse is much quicker than solving for each row, and as good


def whiten(tril: Float[Array, "... D D"], x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    """`tril^-1 x` for each x; of equal rank, apart from the axis that a matrix has more."""
    size = tril.shape[-1]
    if size > _INVERTED:
        tril = jnp.broadcast_to(tril, (*x.shape[:-1], size, size))
        return solve_triangular(tril, x[..., None], lower=True)[..., 0]
    identity = jnp.broadcast_to(jnp.eye(size, dtype=tril.dtype), tril.shape)
    inverse = solve_triangular(tril, identity, lower=True)
    if inverse.size == size * size:  # one matrix for all: one product
        return x @ inverse.reshape(size, size).T
    return (inverse @ x[..., None])[..., 0]


def squared_length(tril: Float[Array, "... D D"], x: Float[Array, "... D"]) -> Float[Array, "..."]:
    """The squared length of `tril^-1 x` for each x; ranks as for `whiten`."""
    size = tril.shape[-1]
    if size > _UNROLLED or tril.size != size * size:
        return jnp.square(whiten(tril, x)).sum(-1)
    identity = jnp.broadcast_to(jnp.eye(size, dtype=tril.dtype), tril.shape)
    inverse = solve_triangular(tril, identity, lower=True).reshape(size, size)
    columns = [x[..., d] for d in range(size)]
    rows = [sum(inverse[i, j] * columns[j] for j in range(i + 1)) for i in range(size)]
    return sum((jnp.square(row) for row in rows), jnp.zeros_like(columns[0]))


def log_diagonal(tril: Float[Array, "... D D"]) -> Float[Array, "..."]:
    """The log-determinant of a triangular matrix with a positive diagonal."""
    return jnp.log(jnp.diagonal(tril, axis1=-2, axis2=-1)).sum(-1)


class VectorFamily(Family):
    """A family on vectors of the size of `loc`."""

    loc: Float[Parameter, "... D"] = parameter(real, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return self.loc.shape[-1:]

    def _support(self):
        return Vectors(Interval())

    def _mean(self):
        return self.loc

    def _mode(self):
        return self.loc


class MultivariateNormal(VectorFamily):
    """Gaussian vectors with mean `loc` [D] and covariance `scale_tril @ scale_tril.T` [D, D]."""

    scale_tril: Float[Parameter, "... D D"] = parameter(lower_triangular, event_ndims=2)

    def _log_density(self, x):
        square = squared_length(self.scale_tril, x - self.loc)
        return -0.5 * square - log_diagonal(self.scale_tril) - x.shape[-1] * HALF_LOG_TAU

    def _sample(self, key, shape):
        noise = self._normal(key, (*shape, *self.event_shape))
        return self.loc + (self.scale_tril @ noise[..., None])[..., 0]

    def _variance(self):
        return (self.scale_tril**2).sum(-1)

    def _entropy(self):
        return self.event_shape[0] * (HALF_LOG_TAU + 0.5) + log_diagonal(self.scale_tril)


class LowRankNormal(VectorFamily):
    """Gaussian vectors with covariance `factor @ factor.T + diag(diagonal)`, factor [D, R]: cheap for R << D."""

    factor: Float[Parameter, "... D R"] = parameter(real, event_ndims=2)
    diagonal: Float[Parameter, "... D"] = parameter(positive, event_ndims=1)

    def _capacity(self) -> tuple[Array, Array]:
        """The Cholesky factor [R, R] of 1 + F' diag^-1 F, and half the log-determinant of the covariance."""
        scaled = jnp.swapaxes(self.factor / self.diagonal[..., None], -1, -2)
        inner = scaled @ self.factor
        tril = jnp.linalg.cholesky(inner + jnp.broadcast_to(jnp.eye(inner.shape[-1], dtype=inner.dtype), inner.shape))
        return tril, log_diagonal(tril) + 0.5 * jnp.log(self.diagonal).sum(-1)

    def _log_density(self, x):
        tril, half_log_determinant = self._capacity()
        gap = (x - self.loc) / self.diagonal
        inner = whiten(tril, (jnp.swapaxes(self.factor, -1, -2) @ gap[..., None])[..., 0])
        square = (gap * (x - self.loc)).sum(-1) - (inner**2).sum(-1)  # Woodbury
        return -0.5 * square - half_log_determinant - x.shape[-1] * HALF_LOG_TAU

    def _sample(self, key, shape):
        factor_key, diagonal_key = jax.random.split(key)
        inner = self._normal(factor_key, (*shape, self.factor.shape[-1]))
        outer = jnp.sqrt(self.diagonal) * self._normal(diagonal_key, (*shape, *self.event_shape))
        return self.loc + (self.factor @ inner[..., None])[..., 0] + outer

    def _variance(self):
        return (self.factor**2).sum(-1) + self.diagonal

    def _entropy(self):
        return self.event_shape[0] * (HALF_LOG_TAU + 0.5) + self._capacity()[1]


class MultivariateStudentT(VectorFamily):
    """Student's t for vectors: `loc + scale_tril z / sqrt(w)`, z standard normal and w chi-squared(df) / df."""

    scale_tril: Float[Parameter, "... D D"] = parameter(lower_triangular, event_ndims=2)
    df: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        square = squared_length(self.scale_tril, x - self.loc)
        size, half = x.shape[-1], 0.5 * self.df
        normaliser = log_gamma_rise(half, jnp.full_like(half, 0.5 * size)) - 0.5 * size * jnp.log(math.pi * self.df)
        spread = (half + 0.5 * size) * jnp.log1p(square / self.df)
        return normaliser - log_diagonal(self.scale_tril) - spread

    def _sample(self, key, shape):
        normal_key, gamma_key = jax.random.split(key)
        half = 0.5 * self.df
        log_precision = log_gamma_variates(gamma_key, half, shape, self.dtype) - jnp.log(half)
        noise = self._normal(normal_key, (*shape, *self.event_shape)) * jnp.exp(-0.5 * log_precision)[..., None]
        return self.loc + (self.scale_tril @ noise[..., None])[..., 0]

    def _mean(self):
        return jnp.where(self.df[..., None] > 1, self.loc, jnp.nan)

    def _variance(self):
        heavy = jnp.where(self.df > 1, jnp.inf, jnp.nan)
        finite = self.df / jnp.where(self.df > 2, self.df - 2, 1)
        factor = jnp.where(self.df > 2, finite, heavy.astype(finite.dtype))
        return factor[..., None] * (self.scale_tril**2).sum(-1)


class Dirichlet(Family):
    """Probabilities of K classes with density proportional to prod x^(concentration - 1)."""

    concentration: Float[Parameter, "... K"] = parameter(positive, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.concentration.shape[-1:]

    def _support(self):
        return Simplex()

    def _log_density(self, x):
        a = self.concentration
        return (x_log_y(a - 1, x) - gammaln(a)).sum(-1) + gammaln(a.sum(-1))

    def _sample(self, key, shape):
        logs = log_gamma_variates(key, self.concentration, (*shape, *self.event_shape), self.dtype)
        return jnp.maximum(jax.nn.softmax(logs), float(jnp.finfo(self.dtype).tiny))

    def _mean(self):
        return self.concentration / self.concentration.sum(-1, keepdims=True)

    def _variance(self):
        mean = self._mean()
        return mean * (1 - mean) / (1 + self.concentration.sum(-1, keepdims=True))

    def expected_log(self) -> Float[Array, "... K"]:
        """E[log x] of each class [*B, K]."""
        return digamma(self.concentration) - digamma(self.concentration.sum(-1, keepdims=True))

    def _mode(self):
        """NaN where a concentration is 1 or less."""
        a = self.concentration
        inner = (a - 1) / (a.sum(-1, keepdims=True) - a.shape[-1])
        return jnp.where((a > 1).all(-1, keepdims=True), inner, jnp.nan)

    def _entropy(self):
        a = self.concentration
        total, size = a.sum(-1), a.shape[-1]
        log_norm = gammaln(a).sum(-1) - gammaln(total)
        return log_norm + (total - size) * digamma(total) - ((a - 1) * digamma(a)).sum(-1)


class RelaxedOneHotCategorical(Family):
    """softmax((logits + Gumbel noise) / temperature): vectors near a corner (Maddison et al.; Jang et al., 2017)."""

    temperature: Float[Parameter, "..."] = parameter(positive)
    logits: Float[Parameter, "... K"] = parameter(log_weights, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.logits.shape[-1:]

    def _support(self):
        return Simplex(open_ends=True)

    def _log_density(self, x):
        size, temperature = x.shape[-1], self.temperature
        scores = jax.nn.log_softmax(self.logits) - temperature[..., None] * jnp.log(x)
        constant = math.lgamma(size) + (size - 1) * jnp.log(temperature)
        return constant + (scores - jnp.log(x)).sum(-1) - size * jax.nn.logsumexp(scores, -1)

    def _sample(self, key, shape):
        noise = jax.random.gumbel(key, (*shape, *self.event_shape), self.dtype)
        draws = jax.nn.softmax((self.logits + noise) / self.temperature[..., None])
        return jnp.maximum(draws, float(jnp.finfo(self.dtype).tiny))
