"""Distributions of directions: angles in [-pi, pi], and vectors of length 1.

Formulas: Mardia and Jupp, "Directional Statistics" (2000), where no other source is named.
Axis letters: D components of a vector.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, i0e, i1e
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import log1m_exp, log_gamma_rise
from culet.distributions.parameters import Parameter, open_probability, parameter, positive, real, unit_vector
from culet.distributions.samplers import ROUNDS, log_gamma_variates
from culet.distributions.supports import Interval, Sphere


class CircularFamily(Family):
    """A family on angles in [-pi, pi]; wrap others into that first. `mean` is the mean direction."""

    loc: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Interval(-math.pi, math.pi)

    def _mean(self):
        return _wrap(self.loc)

    def _mode(self):
        return _wrap(self.loc)


class VonMises(CircularFamily):
    """Density proportional to exp(concentration cos(x - loc)). `variance` is 1 less the mean resultant length."""

    concentration: Float[Parameter, "..."] = parameter(positive)

    def _log_density(self, x):
        k, sine = self.concentration, jnp.sin(0.5 * (x - self.loc))
        return -2 * k * sine * sine - math.log(2 * math.pi) - jnp.log(i0e(k))

    def _sample(self, key, shape):
        return _wrap(self.loc + _von_mises(key, jnp.broadcast_to(self.concentration, shape)))

    def _variance(self):
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def _entropy(self):
        return math.log(2 * math.pi) + jnp.log(i0e(self.concentration)) + self.concentration * self._variance()


class WrappedCauchy(CircularFamily):
    """A Cauchy variate wound around the circle; `concentration` is the mean resultant length."""

    concentration: Float[Parameter, "..."] = parameter(open_probability)

    def _log_density(self, x):
        c, sine = self.concentration, jnp.sin(0.5 * (x - self.loc))
        return jnp.log1p(-c * c) - math.log(2 * math.pi) - jnp.log((1 - c) ** 2 + 4 * c * sine * sine)

    def _sample(self, key, shape):
        c = self.concentration
        angle = jnp.tan(math.pi * (self._uniform(key, shape) - 0.5))
        return _wrap(self.loc + 2 * jnp.arctan((1 - c) / (1 + c) * angle))

    def _variance(self):
        return 1 - self.concentration

    def _entropy(self):
        return math.log(2 * math.pi) + jnp.log1p(-(self.concentration**2))


class SphericalFamily(Family):
    """A family on vectors of length 1 around `direction` [D]."""

    direction: Float[Parameter, "... D"] = parameter(unit_vector, event_ndims=1)
    concentration: Float[Parameter, "..."] = parameter(positive)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return self.direction.shape[-1:]

    def _support(self):
        return Sphere()

    def _mode(self):
        return self.direction

    def _around(self, key: Array, cosine: Array) -> Array:
        """Vectors at these cosines to `direction`, else uniform."""
        normals = self._normal(key, cosine.shape + self.event_shape)
        sideways = normals - (normals * self.direction).sum(-1, keepdims=True) * self.direction
        sideways /= jnp.linalg.norm(sideways, axis=-1, keepdims=True)
        sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0))
        return cosine[..., None] * self.direction + sine[..., None] * sideways


class VonMisesFisher(SphericalFamily):
    """Density proportional to exp(concentration x.direction) on the sphere in D = 3 dimensions (Fisher, 1953)."""

    def _check(self):
        if self.direction.shape[-1] != 3:
            size = self.direction.shape[-1]
            raise ValueError(f"VonMisesFisher: directions have 3 components, got {size}; PowerSpherical takes any")

    def _log_density(self, x):
        k = self.concentration
        log_norm = math.log(2 * math.pi) + log1m_exp(-2 * k) - jnp.log(k)
        return k * ((x * self.direction).sum(-1) - 1) - log_norm

    def _sample(self, key, shape):
        cosine_key, side_key = jax.random.split(key)
        uniform, k = self._uniform(cosine_key, shape), self.concentration
        cosine = 1 + jnp.log(uniform + (1 - uniform) * jnp.exp(-2 * k)) / k
        return self._around(side_key, jnp.clip(cosine, -1, 1))

    def _mean(self):
        return (1 / jnp.tanh(self.concentration) - 1 / self.concentration)[..., None] * self.direction


class PowerSpherical(SphericalFamily):
    """Density proportional to (1 + x.direction)^concentration in any dimension (De Cao and Aziz, 2020)."""

    def _shapes(self) -> tuple[Array, Array]:
        half = jnp.full_like(self.concentration, 0.5 * (self.event_shape[0] - 1))
        return half + self.concentration, half

    def _log_density(self, x):
        a, b = self._shapes()
        log_norm = (a + b) * math.log(2) + b * math.log(math.pi) - log_gamma_rise(a, b)
        return self.concentration * jnp.log1p((x * self.direction).sum(-1)) - log_norm

    def _sample(self, key, shape):
        first, second, side_key = jax.random.split(key, 3)
        a, b = self._shapes()
        log_odds = log_gamma_variates(first, a, shape, self.dtype) - log_gamma_variates(second, b, shape, self.dtype)
        return self._around(side_key, jnp.tanh(0.5 * log_odds))

    def _mean(self):
        a, b = self._shapes()
        return ((a - b) / (a + b))[..., None] * self.direction

    def _entropy(self):
        a, b = self._shapes()
        log_norm = (a + b) * math.log(2) + b * math.log(math.pi) - log_gamma_rise(a, b)
        spread = math.log(2) + jax.scipy.special.digamma(a) - jax.scipy.special.digamma(a + b)
        return log_norm - self.concentration * spread


class SphericalUniform(Family):
    """Every direction in `size` dimensions alike; float32."""

    size: int = eqx.field(static=True)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return (self.size,)

    @property
    def dtype(self):
        """Always float32."""
        return jnp.dtype("float32")

    def _check(self):
        if self.size < 2:
            raise ValueError(f"SphericalUniform: size must be at least 2, got {self.size}")

    def _support(self):
        return Sphere()

    def _log_area(self) -> Array:
        half = jnp.asarray(0.5 * self.size, self.dtype)
        return math.log(2) + half * math.log(math.pi) - gammaln(half)

    def _log_density(self, x):
        return 0 * x.sum(-1) - self._log_area()

    def _sample(self, key, shape):
        normals = self._normal(key, (*shape, self.size))
        return normals / jnp.linalg.norm(normals, axis=-1, keepdims=True)

    def _mean(self):
        return jnp.zeros(self.event_shape, self.dtype)

    def _variance(self):
        return jnp.full(self.event_shape, 1 / self.size, self.dtype)

    def _entropy(self):
        return self._log_area()


def _wrap(angle: Array) -> Array:
    """The angle in [-pi, pi)."""
    turns = jnp.floor((angle + math.pi) / (2 * math.pi))
    return jnp.clip(angle - 2 * math.pi * turns, -math.pi, math.pi)


def _von_mises(key: Array, concentration: Array) -> Array:
    """Angles around 0 by rejection from a wrapped Cauchy (Best and Fisher, 1979).

    It works with r - 1 and 1 - cos instead of r and cos, which keeps digits when the angles are small. At least 0.66 of
    the proposals are accepted, so the bound on the rounds is never met; NaN where the concentration is negative or NaN.
    """
    valid = concentration >= 0
    wide = concentration.astype(jnp.float32) if jnp.finfo(concentration.dtype).bits < 32 else concentration
    k = jnp.where(valid, jnp.clip(wide, 1e-10, 1e18), 1)  # beyond them, a uniform angle and loc, to all digits
    excess = (1 + 1 / (jnp.sqrt(1 + 4 * k * k) + 2 * k)) / (2 * k)  # r - 1

    def propose(state):
        key, versine, done, rounds = state
        key, place_key, height_key = jax.random.split(key, 3)
        half_angle = 0.5 * math.pi * jax.random.uniform(place_key, k.shape, k.dtype)
        proposal = excess * 2 * jnp.sin(half_angle) ** 2 / (2 * jnp.cos(half_angle) ** 2 + excess)
        height = jax.random.uniform(height_key, k.shape, k.dtype, minval=float(jnp.finfo(k.dtype).tiny))
        c = k * (excess + proposal)
        accepted = jnp.log(c / height) + 1 - c >= 0
        return key, jnp.where(done, versine, proposal), done | accepted, rounds + 1

    loop_key, sign_key = jax.random.split(key)
    start = (loop_key, jnp.zeros_like(k), jnp.zeros(k.shape, bool), 0)
    versine = jax.lax.while_loop(lambda state: ~state[2].all() & (state[3] < ROUNDS), propose, start)[1]
    angle = 2 * jnp.arcsin(jnp.sqrt(jnp.clip(0.5 * versine, 0, 1)))
    signed = jnp.where(valid, angle * jax.random.rademacher(sign_key, k.shape, k.dtype), jnp.nan)
    return jax.lax.stop_gradient(signed.astype(concentration.dtype))
