"""Mixtures: of components of one family, and with more zeros than a distribution has.

Axis letters: S shape, B batch, E event, K components.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.distribution import Distribution, draws_of_batch
from culet.distributions.numerics import flat_outside, softplus, with_rank
from culet.distributions.parameters import Parameter, log_weights, parameter, real
from culet.distributions.samplers import sample_classes
from culet.distributions.supports import Either, Point, Support, Union


class Mixture(Distribution):
    """A draw from one of K components, chosen with probabilities softmax(logits [*B, K]).

    The components are the last batch axis of `components`: `Mixture(logits, Normal(means, scales))`. Draws are
    differentiable in the parameters of the components, not in the logits.

    Raises:
        ValueError: the last batch axis of the components is not as long as the logits.
    """

    logits: Float[Parameter, "... K"] = parameter(log_weights, event_ndims=1)
    components: Distribution  # pyright: ignore[reportGeneralTypeIssues]

    def _parts(self):
        return {"logits": 1, "components": 1}

    def _check(self):
        batch = self.components.batch_shape
        if batch[-1:] != self.logits.shape[-1:]:
            count = self.logits.shape[-1]
            raise ValueError(f"Mixture: {count} logits need components with a last batch axis of {count}; got {batch}")

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of logits and components without their last axis."""
        return np.broadcast_shapes(self.logits.shape[:-1], self.components.batch_shape[:-1])

    @property
    def event_shape(self) -> tuple[int, ...]:
        """That of the components."""
        return self.components.event_shape

    @property
    def support(self) -> Support:
        """What lies in the support of a component."""
        return Union(self.components.support, len(self.event_shape))

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        choice_key, value_key = jax.random.split(key)
        whole = shape + self.batch_shape
        draws = draws_of_batch(self.components, value_key, shape, self.batch_shape + self.logits.shape[-1:])
        choice = sample_classes(choice_key, with_rank(self.logits, len(whole) + 1), whole)
        choice = choice.reshape(whole + (1,) * (1 + len(self.event_shape)))
        return jnp.take_along_axis(draws, choice, len(whole)).squeeze(len(whole))

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the weighted sum of the densities at `value` [*S, *B, *E]: an array [*S, *B], in nats."""
        scores = self.components.log_prob(self._beside_components(value))
        joint = scores + self._log_weights(scores.ndim)
        somewhere = (joint > -jnp.inf).any(-1, keepdims=True)
        total = jax.nn.logsumexp(jnp.where(somewhere, joint, 0), -1)
        outside = jnp.where(jnp.isnan(joint).any(-1), jnp.nan, -jnp.inf).astype(total.dtype)
        return jnp.where(somewhere[..., 0], total, outside)

    def mean(self) -> Float[Array, "..."]:
        """The weighted mean of those of the components [*B, *E]."""
        return self._weighted(self.components.mean())

    def variance(self) -> Float[Array, "..."]:
        """That within the components and that between them [*B, *E]."""
        means, axis = self.components.mean(), -1 - len(self.event_shape)
        gaps = means - jnp.expand_dims(self.mean(), axis)
        return self._weighted(self.components.variance() + gaps**2)

    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The weighted sum of those of the components [*S, *B]."""
        below = self.components.cdf(self._beside_components(value))
        return (below * jnp.exp(self._log_weights(below.ndim))).sum(-1)

    def _beside_components(self, value: Num[ArrayLike, "..."]) -> Array:
        return jnp.expand_dims(jnp.asarray(value), -1 - len(self.event_shape))

    def _log_weights(self, rank: int) -> Array:
        return with_rank(jax.nn.log_softmax(self.logits), rank)

    def _weighted(self, values: Array) -> Array:
        event_ndims = len(self.event_shape)
        weights = jnp.exp(self._log_weights(max(values.ndim - event_ndims, self.logits.ndim)))
        weights = weights.reshape(weights.shape + (1,) * event_ndims)
        values = values.reshape((1,) * (weights.ndim - values.ndim) + values.shape)
        return (weights * values).sum(-1 - event_ndims)


class ZeroInflated(Distribution):
    """0 with probability sigmoid(logits), else a draw of `base`, a distribution of counts."""

    base: Distribution
    logits: Float[Parameter, "..."] = parameter(real)

    def _parts(self):
        return {"base": 0, "logits": 0}

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of base and logits together."""
        return np.broadcast_shapes(self.base.batch_shape, self.logits.shape)

    @property
    def support(self) -> Support:
        """That of the base, and 0."""
        return Either(self.base.support, Point(0.0))

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        zero_key, value_key = jax.random.split(key)
        draws = draws_of_batch(self.base, value_key, shape, self.batch_shape)
        chance = jnp.broadcast_to(jax.nn.sigmoid(self.logits), draws.shape)
        return jnp.where(jax.random.bernoulli(zero_key, chance), 0, draws)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log mass of `value` [*S, *B], in nats."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        logits = jnp.broadcast_to(self.logits, shape)
        counted = jnp.broadcast_to(self.base.log_prob(value), shape) - softplus(logits)
        reachable = counted > -jnp.inf
        both = jnp.logaddexp(jnp.where(reachable, counted, 0), -softplus(-logits))
        at_zero = jnp.where(reachable, both, -softplus(-logits))
        return jnp.where(jnp.broadcast_to(value == 0, shape), at_zero, flat_outside(counted))

    def mean(self) -> Float[Array, "..."]:
        """The expectation [*B]."""
        mean, kept = self._moment(self.base.mean())
        return kept * mean

    def variance(self) -> Float[Array, "..."]:
        """The variance [*B]."""
        mean, kept = self._moment(self.base.mean())
        variance, _ = self._moment(self.base.variance())
        return kept * (variance + (1 - kept) * mean**2)

    def _moment(self, value: Array) -> tuple[Array, Array]:
        """A moment of the base and the probability of a draw of the base, of the whole batch."""
        shape = self.batch_shape
        return jnp.broadcast_to(value, shape), jnp.broadcast_to(jax.nn.sigmoid(-self.logits), shape)
