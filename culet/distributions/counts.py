"""Distributions of counts.

Chances are given as `logits`, the log-odds of success. Formulas: Johnson, Kemp and Kotz, "Univariate Discrete
Distributions" (2005).
Axis letters: K classes.
"""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid
from jax.scipy.special import betainc, gammaincc, gammaln
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import (
    binomial_log_mass,
    log_beta,
    log_choose,
    log_gamma_rise,
    poisson_log_mass,
    softplus,
)
from culet.distributions.parameters import Parameter, count, log_weights, open_probability, parameter, positive, real
from culet.distributions.samplers import log_gamma_variates
from culet.distributions.supports import Counts, Integers


class Poisson(Family):
    """The number of events in a unit of time at `rate`."""

    rate: Float[Parameter, "..."] = parameter(positive)

    def _support(self):
        return Integers()

    def _log_density(self, x):
        return poisson_log_mass(x, self.rate)

    def _sample(self, key, shape):
        return jax.random.poisson(key, self.rate, shape, jnp.int32)

    def _mean(self):
        return self.rate

    def _variance(self):
        return self.rate

    def _mode(self):
        return jnp.floor(self.rate).astype(jnp.int32)

    def _cdf(self, x):
        return gammaincc(x + 1, self.rate + 0 * x)


class Binomial(Family):
    """The number of successes in `total` trials."""

    total: Float[Parameter, "..."] = parameter(count)
    logits: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Integers(0, self.total)

    def _log_density(self, x):
        return _binomial_log_mass(x, self.total - x, self.logits)

    def _sample(self, key, shape):
        return jax.random.binomial(key, self.total, sigmoid(self.logits), shape).astype(jnp.int32)

    def _mean(self):
        return self.total * sigmoid(self.logits)

    def _variance(self):
        return self.total * sigmoid(self.logits) * sigmoid(-self.logits)

    def _mode(self):
        place = jnp.floor((self.total + 1) * sigmoid(self.logits))
        return jnp.minimum(place, self.total).astype(jnp.int32)

    def _cdf(self, x):
        failures = jnp.maximum(self.total - x, 1)
        return jnp.where(x < self.total, betainc(failures, x + 1, sigmoid(-self.logits) + 0 * x), 1)


class Geometric(Family):
    """The number of failures before the first success."""

    logits: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Integers()

    def _log_density(self, x):
        return -x * softplus(self.logits) - softplus(-self.logits)

    def _sample(self, key, shape):
        return jnp.floor(-jnp.log(self._uniform(key, shape)) / softplus(self.logits)).astype(jnp.int32)

    def _mean(self):
        return jnp.exp(-self.logits)

    def _variance(self):
        return jnp.exp(-self.logits) * (1 + jnp.exp(-self.logits))

    def _mode(self):
        return jnp.zeros(self.logits.shape, jnp.int32)

    def _entropy(self):
        return softplus(self.logits) / sigmoid(self.logits) - self.logits

    def _cdf(self, x):
        return -jnp.expm1(-(x + 1) * softplus(self.logits))

    def _icdf(self, p):
        return jnp.maximum(jnp.ceil(-jnp.log1p(-p) / softplus(self.logits)) - 1, 0)


class NegativeBinomial(Family):
    """The number of failures before `concentration` successes; a Poisson variate whose rate is a gamma variate."""

    concentration: Float[Parameter, "..."] = parameter(positive)
    logits: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Integers()

    def _log_density(self, x):
        r = self.concentration
        return jnp.log(r / (r + x)) + _binomial_log_mass(r, x, self.logits)

    def _sample(self, key, shape):
        gamma_key, poisson_key = jax.random.split(key)
        rate = jnp.exp(log_gamma_variates(gamma_key, self.concentration, shape, self.dtype) - self.logits)
        return jax.random.poisson(poisson_key, rate, shape, jnp.int32)

    def _mean(self):
        return self.concentration * jnp.exp(-self.logits)

    def _variance(self):
        return self._mean() * (1 + jnp.exp(-self.logits))

    def _cdf(self, x):
        return betainc(self.concentration + 0 * x, x + 1, sigmoid(self.logits) + 0 * x)


class BetaBinomial(Family):
    """The number of successes in `total` trials whose chance is a Beta(a, b) variate."""

    total: Float[Parameter, "..."] = parameter(count)
    a: Float[Parameter, "..."] = parameter(positive)
    b: Float[Parameter, "..."] = parameter(positive)

    def _support(self):
        return Integers(0, self.total)

    def _log_density(self, x):
        a, b, failures = self.a, self.b, self.total - x
        rises = log_gamma_rise(a, x) + log_gamma_rise(b, failures) - log_gamma_rise(a + b, self.total)
        plain = log_choose(self.total, x) + rises
        large = (x > 0) & (failures > 0) & (jnp.minimum(a, b) > 8)
        x, failures = jnp.where(large, x, 1.0), jnp.where(large, failures, 1.0)
        # The powers of p cancel; at this p, that of the posterior mean, none of the terms is large.
        top, bottom = x + a, failures + b
        p, q = top / (top + bottom), bottom / (top + bottom)
        masses = (binomial_log_mass(*pair, p, q) for pair in ((x, failures), (a, b), (top, bottom)))
        counted, prior, posterior = masses
        factors = jnp.log(a / top) + jnp.log(b / bottom) + jnp.log((top + bottom) / (a + b))
        return jnp.where(large, counted + prior - posterior + factors, plain)

    def _sample(self, key, shape):
        a_key, b_key, count_key = jax.random.split(key, 3)
        log_odds = log_gamma_variates(a_key, self.a, shape, self.dtype)
        log_odds -= log_gamma_variates(b_key, self.b, shape, self.dtype)
        return jax.random.binomial(count_key, self.total, sigmoid(log_odds), shape).astype(jnp.int32)

    def _mean(self):
        return self.total * self.a / (self.a + self.b)

    def _variance(self):
        chance, weight = self.a / (self.a + self.b), self.a + self.b
        return self.total * chance * (1 - chance) * (weight + self.total) / (weight + 1)


class LogarithmicSeries(Family):
    """Whole numbers from 1 on with mass proportional to probability^x / x: species in a sample (Fisher, 1943)."""

    probability: Float[Parameter, "..."] = parameter(open_probability)

    def _support(self):
        return Integers(1)

    def _log_norm(self) -> Array:
        return jnp.log(-jnp.log1p(-self.probability))

    def _log_density(self, x):
        return x * jnp.log(self.probability) - jnp.log(x) - self._log_norm()

    def _sample(self, key, shape):
        """Kemp (1981): a geometric variate whose chance is random."""
        first, second = jax.random.split(key)
        chance = -jnp.expm1(self._uniform(first, shape) * jnp.log1p(-self.probability))
        extra = jnp.floor(jnp.log(self._uniform(second, shape)) / jnp.log(chance))
        return 1 + extra.astype(jnp.int32)

    def _mean(self):
        return self.probability / (1 - self.probability) / jnp.exp(self._log_norm())

    def _variance(self):
        return self._mean() * (1 / (1 - self.probability) - self._mean())

    def _mode(self):
        return jnp.ones(self.probability.shape, jnp.int32)


class Multinomial(Family):
    """How often each of K classes comes in `total` draws with probabilities softmax(logits [K])."""

    total: Float[Parameter, "..."] = parameter(count)
    logits: Float[Parameter, "... K"] = parameter(log_weights, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.logits.shape[-1:]

    def _support(self):
        return Counts(self.total)

    def _log_density(self, x):
        scores = jnp.where(x > 0, x * jax.nn.log_softmax(self.logits), 0)
        return gammaln(self.total + 1) + (scores - gammaln(x + 1)).sum(-1)

    def _sample(self, key, shape):
        total, chances = _whole(self.total, jax.nn.softmax(self.logits), shape)
        return jax.random.multinomial(key, total, chances).astype(jnp.int32)

    def _mean(self):
        return self.total[..., None] * jax.nn.softmax(self.logits)

    def _variance(self):
        chances = jax.nn.softmax(self.logits)
        return self.total[..., None] * chances * (1 - chances)


class DirichletMultinomial(Family):
    """How often each of K classes comes in `total` draws, their chances a Dirichlet(concentration [K]) variate."""

    total: Float[Parameter, "..."] = parameter(count)
    concentration: Float[Parameter, "... K"] = parameter(positive, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.concentration.shape[-1:]

    def _support(self):
        return Counts(self.total)

    def _log_density(self, x):
        parts = (log_gamma_rise(self.concentration, x) - gammaln(x + 1)).sum(-1)
        return parts + gammaln(self.total + 1) - log_gamma_rise(self.concentration.sum(-1), self.total)

    def _sample(self, key, shape):
        chance_key, count_key = jax.random.split(key)
        logs = log_gamma_variates(chance_key, self.concentration, (*shape, *self.event_shape), self.dtype)
        total, chances = _whole(self.total, jax.nn.softmax(logs), shape)
        return jax.random.multinomial(count_key, total, chances).astype(jnp.int32)

    def _mean(self):
        return self.total[..., None] * self._chances()

    def _chances(self) -> Array:
        return self.concentration / self.concentration.sum(-1, keepdims=True)

    def _variance(self):
        chances, weight = self._chances(), self.concentration.sum(-1, keepdims=True)
        total = self.total[..., None]
        return total * chances * (1 - chances) * (weight + total) / (weight + 1)


def _binomial_log_mass(a: Array, b: Array, logits: Array) -> Array:
    """`binomial_log_mass` at p = sigmoid(logits), also for a or b of 0 and for p so small that it underflows."""
    plain = -jnp.log1p(a + b) - log_beta(a + 1, b + 1) - a * softplus(-logits) - b * softplus(logits)
    large = (jnp.minimum(a, b) >= 8) & (jnp.abs(logits) < 30)
    safe = jnp.where(large, logits, 0.0)
    saddle = binomial_log_mass(jnp.where(large, a, 8.0), jnp.where(large, b, 8.0), sigmoid(safe), sigmoid(-safe))
    return jnp.where(large, saddle, plain)


def _whole(total: Array, chances: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    return jnp.broadcast_to(total, shape), jnp.broadcast_to(chances, shape + chances.shape[-1:])
