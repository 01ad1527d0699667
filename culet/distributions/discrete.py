"""Distributions on a few whole numbers: outcomes, classes, ranks.

Chances are given as `logits`: log-odds for two outcomes, log-weights (that need not be normalised) for more.
Axis letters: K classes.
"""

from abc import abstractmethod

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, sigmoid
from jaxtyping import Array, Float

from culet.distributions.family import Family
from culet.distributions.numerics import log1m_exp, softplus
from culet.distributions.parameters import Parameter, check_order, log_weights, parameter, real, rising, whole
from culet.distributions.samplers import sample_classes
from culet.distributions.supports import Counts, Integers, Permutations, Point


class Bernoulli(Family):
    """1 with probability sigmoid(logits), else 0."""

    logits: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Integers(0, 1)

    def _log_density(self, x):
        return x * self.logits - softplus(self.logits)

    def _sample(self, key, shape):
        return (self._uniform(key, shape) < sigmoid(self.logits)).astype(jnp.int32)

    def _mean(self):
        return sigmoid(self.logits)

    def _variance(self):
        return sigmoid(self.logits) * sigmoid(-self.logits)

    def _mode(self):
        return (self.logits > 0).astype(jnp.int32)

    def _entropy(self):
        return softplus(self.logits) - self.logits * sigmoid(self.logits)

    def _cdf(self, x):
        return jnp.where(x < 1, sigmoid(-self.logits), 1)

    def _icdf(self, p):
        return jnp.where(p <= sigmoid(-self.logits), 0.0, 1.0)


class Classes(Family):
    """A family on 0 to K - 1; `_log_masses` gives the log-probability of each along the last axis."""

    @abstractmethod
    def _log_masses(self) -> Array: ...

    def _support(self):
        return Integers(0, self._log_masses().shape[-1] - 1)

    def _log_density(self, x):
        return _pick(self._log_masses(), x)

    def _sample(self, key, shape):
        return sample_classes(key, self._log_masses(), shape)

    def _classes(self) -> Array:
        return jnp.arange(self._log_masses().shape[-1]).astype(self.dtype)

    def _mean(self):
        return jnp.exp(self._log_masses()) @ self._classes()

    def _variance(self):
        return jnp.exp(self._log_masses()) @ self._classes() ** 2 - self._mean() ** 2

    def _mode(self):
        return self._log_masses().argmax(-1).astype(jnp.int32)

    def _entropy(self):
        return _entropy(self._log_masses())

    def _cdf(self, x):
        return _pick(jnp.exp(self._log_masses()).cumsum(-1), x)

    def _icdf(self, p):
        below = jnp.exp(self._log_masses()).cumsum(-1)[..., :-1] < p[..., None]
        return below.sum(-1).astype(self.dtype)


class Categorical(Classes):
    """One of K classes, with probabilities softmax(logits [K]).

    A draw takes two random numbers, however many classes there are; a class whose logit is -inf is never drawn.
    """

    logits: Float[Parameter, "... K"] = parameter(log_weights, event_ndims=1)

    def _log_masses(self):
        return log_softmax(self.logits)

    def _sample(self, key, shape):
        return sample_classes(key, self.logits, shape)


class OrderedLogistic(Classes):
    """The number of `cutpoints` [K - 1] below a logistic variate around `loc`: ordered classes (McCullagh, 1980)."""

    loc: Float[Parameter, "..."] = parameter(real)
    cutpoints: Float[Parameter, "... K-1"] = parameter(rising, event_ndims=1)

    def _log_masses(self):
        cuts = self.cutpoints - self.loc[..., None]
        end = jnp.full_like(cuts[..., :1], jnp.inf)
        low, high = jnp.concatenate([-end, cuts], -1), jnp.concatenate([cuts, end], -1)
        return log1m_exp(low - high) + log_sigmoid(high) + log_sigmoid(-low)


class OneHotCategorical(Family):
    """One of K classes as a vector with a 1 in its place, with probabilities softmax(logits [K])."""

    logits: Float[Parameter, "... K"] = parameter(log_weights, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.logits.shape[-1:]

    def _support(self):
        return Counts(jnp.ones((), self.dtype))

    def _log_density(self, x):
        return jnp.where(x > 0, log_softmax(self.logits), 0).sum(-1)

    def _sample(self, key, shape):
        return jax.nn.one_hot(sample_classes(key, self.logits, shape), *self.event_shape, dtype=jnp.int32)

    def _mean(self):
        return jax.nn.softmax(self.logits)

    def _variance(self):
        return self._mean() * (1 - self._mean())

    def _mode(self):
        return jax.nn.one_hot(self.logits.argmax(-1), *self.event_shape, dtype=jnp.int32)

    def _entropy(self):
        return _entropy(log_softmax(self.logits))


class PlackettLuce(Family):
    """An order of K things: each place goes to one of those left, by softmax(logits [K]) (Luce, 1959)."""

    logits: Float[Parameter, "... K"] = parameter(real, event_ndims=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return self.logits.shape[-1:]

    def _support(self):
        return Permutations()

    def _log_density(self, x):
        logits = jnp.broadcast_to(self.logits, x.shape[:-1] + self.event_shape)
        order = jnp.broadcast_to(x, logits.shape).astype(jnp.int32)
        placed = jnp.take_along_axis(logits, order, -1)
        return (placed - jax.lax.cumlogsumexp(placed, placed.ndim - 1, reverse=True)).sum(-1)

    def _sample(self, key, shape):
        noise = jax.random.gumbel(key, (*shape, *self.event_shape), self.dtype)
        return jnp.argsort(-(self.logits + noise), -1).astype(jnp.int32)

    def _mode(self):
        return jnp.argsort(-self.logits, -1).astype(jnp.int32)


class DiscreteUniform(Family):
    """Each whole number from `low` to `high`, both included, with equal probability."""

    low: Float[Parameter, "..."] = parameter(whole)
    high: Float[Parameter, "..."] = parameter(whole)

    def _check(self):
        check_order(self, "low", "high", strict=False)

    def _support(self):
        return Integers(self.low, self.high)

    def _size(self) -> Array:
        return self.high - self.low + 1

    def _log_density(self, x):
        return -jnp.log(self._size()) + 0 * x

    def _sample(self, key, shape):
        return self._icdf(self._uniform(key, shape)).astype(jnp.int32)

    def _mean(self):
        return 0.5 * (self.low + self.high)

    def _variance(self):
        return (self._size() ** 2 - 1) / 12

    def _entropy(self):
        return jnp.log(self._size())

    def _cdf(self, x):
        return (x - self.low + 1) / self._size()

    def _icdf(self, p):
        return self.low + jnp.clip(jnp.ceil(p * self._size()) - 1, 0, self._size() - 1)


class Delta(Family):
    """Always `value`: log-probability 0 there."""

    value: Float[Parameter, "..."] = parameter(real)

    def _support(self):
        return Point(self.value)

    def _log_density(self, x):
        return 0 * x

    def _sample(self, key, shape):
        return jnp.broadcast_to(self.value, shape)

    def _mean(self):
        return self.value

    def _variance(self):
        return jnp.zeros_like(self.value)

    def _mode(self):
        return self.value

    def _entropy(self):
        return jnp.zeros_like(self.value)


def _entropy(log_masses: Array) -> Array:
    masses = jnp.exp(log_masses)
    return -(masses * jnp.where(masses > 0, log_masses, 0)).sum(-1)


def _pick(values: Array, place: Array) -> Array:
    """`values` [..., K] at `place` [...]."""
    shape = np.broadcast_shapes(values.shape[:-1], place.shape)
    place = jnp.broadcast_to(place, shape).astype(jnp.int32)[..., None]
    return jnp.take_along_axis(jnp.broadcast_to(values, shape + values.shape[-1:]), place, -1)[..., 0]
