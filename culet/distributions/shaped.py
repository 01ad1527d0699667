"""Distributions on the line whose shape can be chosen: skew or weight of the tails.

All are of location and scale, as those of `line.py`.
Axis letters: none; parameters broadcast together into the batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammainc, gammaln, log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from culet.distributions.arguments import Parameter, parameter, positive, real
from culet.distributions.gamma_sampler import log_gamma_variates
from culet.distributions.line import LocationScale
from culet.distributions.numerics import HALF_LOG_TAU


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
        return jnp.log(self.tail) - 0.5 * jnp.log1p(z * z) - 0.5 * normal**2 - HALF_LOG_TAU

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
