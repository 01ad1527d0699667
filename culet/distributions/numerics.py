"""Functions that densities have in common, stable where the plain formulas lose their digits.

Axis letters: none; all are elementwise.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

EULER = 0.5772156649015329
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_LARGE = 8.0  # from here on three terms of Stirling's series are as good as float32


def with_rank(array: Any, rank: int) -> Any:
    """An array, of jax or numpy, with at least `rank` axes, those in front of length 1."""
    return array if array.ndim >= rank else array.reshape((1,) * (rank - array.ndim) + array.shape)


def x_log_y(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x * log(y)`, and 0 where both are 0, with gradients 0 there."""
    return x * jnp.log(jnp.where((x == 0) & (y == 0), 1, y))


def x_log1p_y(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x * log1p(y)`, and 0 where x is 0 and y is -1, with gradients 0 there."""
    return x * jnp.log1p(jnp.where((x == 0) & (y == -1), 0, y))


def log1m_exp(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(1 - exp(x))` for x < 0, to full precision at both ends (Maechler, 2012)."""
    near = x > -math.log(2)
    small, large = jnp.where(near, x, -1.0), jnp.where(near, -1.0, x)
    return jnp.where(near, jnp.log(-jnp.expm1(small)), jnp.log1p(-jnp.exp(large)))


def log_gamma_rise(x: Float[Array, "..."], a: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(gamma(x + a) / gamma(x))` for x > 0 and a >= 0; keeps its digits when x is much larger than a."""
    large = x >= _LARGE
    big, small = jnp.where(large, x, _LARGE), jnp.where(large, 1.0, x)
    stirling = (big - 0.5) * jnp.log1p(a / big) + a * (jnp.log(big + a) - 1) + _correction(big + a) - _correction(big)
    return jnp.where(large, stirling, gammaln(small + a) - gammaln(small))


def _correction(x: Array) -> Array:
    """What Stirling's formula lacks, for x >= 8."""
    inverse = 1 / x
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square / 1260))


def _stirling_error(x: Array) -> Array:
    """`log(x!)` less `(x + 1/2) log x - x + log(2 pi) / 2`, for x > 0."""
    large = x >= _LARGE
    safe = jnp.where(large, 1.0, x)
    direct = gammaln(safe + 1) - (safe + 0.5) * jnp.log(safe) + safe - HALF_LOG_TAU
    return jnp.where(large, _correction(jnp.where(large, x, _LARGE)), direct)


def _deviance(x: Array, mean: Array) -> Array:
    """`x log(x / mean) + mean - x`, which does not cancel where the two are near; for x > 0."""
    near = jnp.abs(x - mean) < 0.1 * mean
    center = jnp.where(near, mean, 1.0)
    t = (jnp.where(near, x, 1.0) - center) / center
    series = jnp.zeros_like(t)
    for order in range(9, 1, -1):
        series = t * series + (-1) ** order / (order * (order - 1))
    return jnp.where(near, center * t * t * series, x * (jnp.log(x) - jnp.log(mean)) + mean - x)


def poisson_log_mass(x: Float[Array, "..."], mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x log(mean) - mean - log(x!)` for real x >= 0, to full precision also where the terms are large.

    Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    positive = x > 0
    safe = jnp.where(positive, x, 1.0)
    score = -_deviance(safe, mean) - _stirling_error(safe) - 0.5 * jnp.log(safe) - HALF_LOG_TAU
    return jnp.where(positive, score, -mean)


def binomial_log_mass(
    a: Float[Array, "..."], b: Float[Array, "..."], p: Float[Array, "..."], q: Float[Array, "..."]
) -> Float[Array, "..."]:
    """`log((a + b)! / (a! b!)) + a log p + b log q`, q = 1 - p, for real a, b > 0; Loader (2000), section 2."""
    total = a + b
    errors = _stirling_error(total) - _stirling_error(a) - _stirling_error(b)
    deviances = _deviance(a, total * p) + _deviance(b, total * q)
    return errors - deviances + 0.5 * (jnp.log(total / a) - jnp.log(b)) - HALF_LOG_TAU


def gamma_log_density(a: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """`(a - 1) log(y) - y - log(gamma(a))`."""
    large = (a >= _LARGE) & (y > 0)
    plain = x_log_y(a - 1, y) - y - gammaln(jnp.where(large, 1.0, a))
    return jnp.where(large, poisson_log_mass(jnp.where(large, a - 1, 1.0), jnp.where(large, y, 1.0)), plain)


def log1p_square(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(1 + x^2)`, also where the square overflows."""
    size = jnp.abs(x)
    large = size > 1e6
    return jnp.where(large, 2 * jnp.log(jnp.where(large, size, 1)), jnp.log1p(jnp.where(large, 0, x) ** 2))


def log_beta(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """The log of the beta function."""
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    return gammaln(small) - log_gamma_rise(large, small)


def log_choose(n: Float[Array, "..."], k: Float[Array, "..."]) -> Float[Array, "..."]:
    """The log of the number of ways to choose k of n."""
    return -jnp.log1p(n) - log_beta(n - k + 1, k + 1)


def log_multivariate_gamma(a: Float[Array, "..."], size: int) -> Float[Array, "..."]:
    """The log of the multivariate gamma function of matrices with `size` rows."""
    terms = sum((gammaln(a - row / 2) for row in range(size)), jnp.zeros_like(a))
    return terms + size * (size - 1) / 4 * math.log(math.pi)


def flat_outside(score: Float[Array, "..."]) -> Float[Array, "..."]:
    """The same log-densities, of which those of -inf have no gradient."""
    return jnp.where(score == -jnp.inf, -jnp.inf, score)


def logit(p: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(p / (1 - p))`."""
    return jnp.log(p) - jnp.log1p(-p)


def two_tails(p: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The distance of a probability from the nearer end, and -1 or 1 for the end."""
    return jnp.minimum(p, 1 - p), jnp.where(p < 0.5, -1.0, 1.0)


def softplus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(1 + exp(x))`."""
    return jax.nn.softplus(x)
