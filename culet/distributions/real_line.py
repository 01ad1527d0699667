"""Distributions on the real line.

All are of location and scale: `loc + scale * z`, in which z has the standard form. Formulas: Johnson, Kotz and
Balakrishnan, "Continuous Univariate Distributions" (1994/95), where no other source is named.
Axis letters: none; parameters broadcast together into the batch.
"""

import math
from abc import abstractmethod

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, digamma, gammainc, gammaln, log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import (
    EULER,
    HALF_LOG_TAU,
    log1p_square,
    log_beta,
    log_gamma_rise,
    logit,
    softplus,
    two_tails,
)
from culet.distributions.parameters import Parameter, parameter, positive, real
from culet.distributions.samplers import log_gamma_variates


class LocationScale(Family):
    """A family on the line whose members differ by shift and stretch; `_standard` scores z = (x - loc) / scale."""

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        return self._standard((x - self.loc) / self.scale) - jnp.log(self.scale)

    @abstractmethod
    def _standard(self, z: Array) -> Array: ...

    def _z(self, x: Array) -> Array:
        return (x - self.loc) / self.scale

    def _mean(self):
        return self.loc

    def _mode(self):
        return self.loc


class Normal(LocationScale):
    """The Gaussian with mean `loc` and standard deviation `scale`."""

    def _standard(self, z):
        return -0.5 * z * z - HALF_LOG_TAU

    def _sample(self, key, shape):
        return self.loc + self.scale * self._normal(key, shape)

    def _variance(self):
        return self.scale**2

    def _entropy(self):
        return HALF_LOG_TAU + 0.5 + jnp.log(self.scale)

    def _cdf(self, x):
        return ndtr(self._z(x))

    def _icdf(self, p):
        return self.loc + self.scale * ndtri(p)


class Cauchy(LocationScale):
    """Tails so heavy that there is no mean: log-density -log(pi (1 + z^2))."""

    def _standard(self, z):
        return -math.log(math.pi) - log1p_square(z)

    def _mean(self):
        return jnp.full_like(self.loc, jnp.nan)

    def _variance(self):
        return jnp.full_like(self.scale, jnp.nan)

    def _entropy(self):
        return math.log(4 * math.pi) + jnp.log(self.scale)

    def _cdf(self, x):
        return jnp.arctan2(jnp.ones_like(x), -self._z(x)) / math.pi

    def _icdf(self, p):
        tail, side = two_tails(p)
        return self.loc + self.scale * side / jnp.tan(math.pi * tail)


class Laplace(LocationScale):
    """Two exponentials back to back: log-density -|z| - log 2."""

    def _standard(self, z):
        return -jnp.abs(z) - math.log(2)

    def _variance(self):
        return 2 * self.scale**2

    def _entropy(self):
        return 1 + math.log(2) + jnp.log(self.scale)

    def _cdf(self, x):
        z = self._z(x)
        tail = 0.5 * jnp.exp(-jnp.abs(z))
        return jnp.where(z < 0, tail, 1 - tail)

    def _icdf(self, p):
        tail, side = two_tails(p)
        return self.loc - self.scale * side * jnp.log(2 * tail)


class Logistic(LocationScale):
    """The distribution function is the logistic sigmoid of z."""

    def _standard(self, z):
        return -z - 2 * softplus(-z)

    def _variance(self):
        return (math.pi * self.scale) ** 2 / 3

    def _entropy(self):
        return 2 + jnp.log(self.scale)

    def _cdf(self, x):
        return jax.nn.sigmoid(self._z(x))

    def _icdf(self, p):
        return self.loc + self.scale * logit(p)


class Gumbel(LocationScale):
    """Maxima of many draws: the distribution function is exp(-exp(-z)); `loc` is the mode."""

    def _standard(self, z):
        return -z - jnp.exp(-z)

    def _mean(self):
        return self.loc + EULER * self.scale

    def _variance(self):
        return (math.pi * self.scale) ** 2 / 6

    def _entropy(self):
        return 1 + EULER + jnp.log(self.scale)

    def _cdf(self, x):
        return jnp.exp(-jnp.exp(-self._z(x)))

    def _icdf(self, p):
        return self.loc - self.scale * jnp.log(-jnp.log(p))


class Moyal(LocationScale):
    """An approximation of the loss of energy of particles in matter (Moyal, 1955): log-density -(z + exp(-z)) / 2."""

    def _standard(self, z):
        return -0.5 * (z + jnp.exp(-z)) - HALF_LOG_TAU

    def _mean(self):
        return self.loc + (EULER + math.log(2)) * self.scale

    def _variance(self):
        return (math.pi * self.scale) ** 2 / 2

    def _cdf(self, x):
        return 2 * ndtr(-jnp.exp(-0.5 * self._z(x)))

    def _icdf(self, p):
        return self.loc - 2 * self.scale * jnp.log(-ndtri(0.5 * p))


class HyperbolicSecant(LocationScale):
    """Density sech(z) / pi."""

    def _standard(self, z):
        return math.log(2 / math.pi) - z - softplus(-2 * z)

    def _variance(self):
        return (math.pi * self.scale) ** 2 / 4

    def _entropy(self):
        return math.log(2 * math.pi) + jnp.log(self.scale)

    def _cdf(self, x):
        return 2 / math.pi * jnp.arctan(jnp.exp(self._z(x)))

    def _icdf(self, p):
        tail, side = two_tails(p)
        return self.loc - self.scale * side * jnp.log(jnp.tan(0.5 * math.pi * tail))


class StudentT(LocationScale):
    """Student's t with `df` degrees of freedom; no mean up to df = 1, no finite variance up to df = 2."""

    df: Float[Parameter, "..."] = parameter(positive)

    def _standard(self, z):
        half = 0.5 * self.df
        normaliser = log_gamma_rise(half, jnp.full_like(half, 0.5)) - 0.5 * jnp.log(math.pi * self.df)
        return normaliser - (half + 0.5) * log1p_square(z / jnp.sqrt(self.df))

    def _sample(self, key, shape):
        normal_key, gamma_key = jax.random.split(key)
        half = 0.5 * self.df
        log_precision = log_gamma_variates(gamma_key, half, shape, self.dtype) - jnp.log(half)
        return self.loc + self.scale * self._normal(normal_key, shape) * jnp.exp(-0.5 * log_precision)

    def _mean(self):
        return jnp.where(self.df > 1, self.loc, jnp.nan)

    def _variance(self):
        heavy = jnp.where(self.df > 1, jnp.inf, jnp.nan)
        finite = self.df / jnp.where(self.df > 2, self.df - 2, 1)
        return self.scale**2 * jnp.where(self.df > 2, finite, heavy.astype(finite.dtype))

    def _entropy(self):
        half = 0.5 * self.df
        spread = (half + 0.5) * (digamma(half + 0.5) - digamma(half))
        return spread + 0.5 * jnp.log(self.df) + log_beta(half, jnp.full_like(half, 0.5)) + jnp.log(self.scale)

    def _cdf(self, x):
        z = self._z(x)
        half, ones = 0.5 * self.df + 0 * z, jnp.ones_like(z)
        tail = 0.5 * betainc(half, 0.5 * ones, 2 * half / (2 * half + z * z))
        return jnp.where(z < 0, tail, 1 - tail)


class AsymmetricLaplace(LocationScale):
    """Exponentials with rates `asymmetry` above and 1 / `asymmetry` below `loc` (Kotz et al., 2001)."""

    asymmetry: Float[Parameter, "..."] = parameter(positive)

    def _standard(self, z):
        slope = jnp.where(z < 0, -1 / self.asymmetry, self.asymmetry)
        return -z * slope - jnp.log(self.asymmetry + 1 / self.asymmetry)

    def _mean(self):
        return self.loc + self.scale * (1 / self.asymmetry - self.asymmetry)

    def _variance(self):
        return self.scale**2 * (self.asymmetry**-2 + self.asymmetry**2)

    def _entropy(self):
        return 1 + jnp.log(self.asymmetry + 1 / self.asymmetry) + jnp.log(self.scale)

    def _cdf(self, x):
        z, below = self._z(x), self.asymmetry**2 / (1 + self.asymmetry**2)
        left = below * jnp.exp(jnp.minimum(z, 0) / self.asymmetry)
        return jnp.where(z < 0, left, 1 - (1 - below) * jnp.exp(-jnp.maximum(z, 0) * self.asymmetry))

    def _icdf(self, p):
        below = self.asymmetry**2 / (1 + self.asymmetry**2)
        left = self.asymmetry * jnp.log(jnp.minimum(p, below) / below)
        right = -jnp.log((1 - jnp.maximum(p, below)) / (1 - below)) / self.asymmetry
        return self.loc + self.scale * (left + right)


class SkewNormal(LocationScale):
    """Density 2 phi(z) Phi(skew z) (Azzalini, 1985)."""

    skew: Float[Parameter, "..."] = parameter(real)

    def _standard(self, z):
        return math.log(2) - HALF_LOG_TAU - 0.5 * z * z + log_ndtr(self.skew * z)

    def _delta(self) -> Array:
        return self.skew / jnp.sqrt(1 + self.skew**2)

    def _sample(self, key, shape):
        half, free = self._normal(key, (2, *shape))
        delta = self._delta()
        return self.loc + self.scale * (delta * jnp.abs(half) + jnp.sqrt(1 - delta**2) * free)

    def _mean(self):
        return self.loc + self.scale * self._delta() * math.sqrt(2 / math.pi)

    def _mode(self):
        raise self._missing("mode")

    def _variance(self):
        return self.scale**2 * (1 - 2 / math.pi * self._delta() ** 2)


class GeneralisedNormal(LocationScale):
    """Density proportional to exp(-|z|^power): Laplace at power 1, normal at 2 (Subbotin, 1923)."""

    power: Float[Parameter, "..."] = parameter(positive)

    def _standard(self, z):
        return jnp.log(0.5 * self.power) - gammaln(1 / self.power) - jnp.abs(z) ** self.power

    def _sample(self, key, shape):
        size_key, sign_key = jax.random.split(key)
        size = jnp.exp(log_gamma_variates(size_key, 1 / self.power, shape, self.dtype) / self.power)
        return self.loc + self.scale * size * jax.random.rademacher(sign_key, shape, self.dtype)

    def _variance(self):
        return self.scale**2 * jnp.exp(gammaln(3 / self.power) - gammaln(1 / self.power))

    def _entropy(self):
        return 1 / self.power - jnp.log(0.5 * self.power) + gammaln(1 / self.power) + jnp.log(self.scale)

    def _cdf(self, x):
        z = self._z(x)
        return 0.5 + 0.5 * jnp.sign(z) * gammainc(1 / self.power + 0 * z, jnp.abs(z) ** self.power)


class JohnsonSU(LocationScale):
    """`skew + tail * arcsinh(z)` is standard normal (Johnson, 1949)."""

    skew: Float[Parameter, "..."] = parameter(real)
    tail: Float[Parameter, "..."] = parameter(positive)

    def _standard(self, z):
        normal = self.skew + self.tail * jnp.arcsinh(z)
        return jnp.log(self.tail) - 0.5 * log1p_square(z) - 0.5 * normal**2 - HALF_LOG_TAU

    def _mean(self):
        return self.loc - self.scale * jnp.exp(0.5 * self.tail**-2) * jnp.sinh(self.skew / self.tail)

    def _mode(self):
        raise self._missing("mode")

    def _variance(self):
        square = self.tail**-2
        return 0.5 * self.scale**2 * jnp.expm1(square) * (jnp.exp(square) * jnp.cosh(2 * self.skew / self.tail) + 1)

    def _cdf(self, x):
        return ndtr(self.skew + self.tail * jnp.arcsinh(self._z(x)))

    def _icdf(self, p):
        return self.loc + self.scale * jnp.sinh((ndtri(p) - self.skew) / self.tail)
