"""Distributions made of another one: with batch axes as event axes, under a bijector, or with a mask.

Axis letters: S shape, B batch, E event.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Key, Num

from culet.distributions.bijectors.bijector import Bijector, sum_last
from culet.distributions.distribution import Distribution, draws_of_batch
from culet.distributions.numerics import flat_outside, with_rank
from culet.distributions.parameters import as_float
from culet.distributions.supports import Everywhere, Support, Vectors


class Independent(Distribution):
    """The last `ndims` batch axes of `base` as axes of one event: `Independent(Normal(loc, scale), 1)` is a vector.

    Raises:
        ValueError: the base has fewer batch axes.
    """

    base: Distribution
    ndims: int = eqx.field(static=True)

    def at_rank(self, rank: int) -> "Independent":
        """The same with at least `rank` batch axes, those in front of length 1."""
        return Independent(self.base.at_rank(rank + self.ndims), self.ndims)

    def _check(self):
        if self.ndims > len(self.base.batch_shape):
            raise ValueError(
                f"Independent: ndims is {self.ndims}, but the base has the batch shape {self.base.batch_shape}"
            )

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of the base without the last `ndims` axes."""
        batch = self.base.batch_shape
        return batch[: len(batch) - self.ndims]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The last `ndims` batch axes of the base, and its event axes."""
        batch = self.base.batch_shape
        return batch[len(batch) - self.ndims :] + self.base.event_shape

    @property
    def support(self) -> Support:
        """That of the base in every component."""
        return Vectors(self.base.support, self.ndims) if self.ndims else self.base.support

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        return self.base.sample(key, shape)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The sum over the components [*S, *B], in nats."""
        return flat_outside(sum_last(self.base.log_prob(value), self.ndims))

    def _draw_and_score(
        self, key: Key[Array, ""], shape: tuple[int, ...]
    ) -> tuple[Num[Array, "..."], Float[Array, "..."]]:
        value, log_prob = self.base.sample_and_log_prob(key, shape)
        return value, sum_last(log_prob, self.ndims)

    def mean(self) -> Float[Array, "..."]:
        """The expectation [*B, *E]."""
        return self.base.mean()

    def variance(self) -> Float[Array, "..."]:
        """The variance of each component [*B, *E]."""
        return self.base.variance()

    def mode(self) -> Num[Array, "..."]:
        """The modes of the components [*B, *E]."""
        return self.base.mode()

    def entropy(self) -> Float[Array, "..."]:
        """The sum over the components [*B], in nats."""
        return sum_last(self.base.entropy(), self.ndims)


class Transformed(Distribution):
    """`bijector.forward` of a draw of `base`.

    Where the bijector takes events of more axes than the base has, the last batch axes of the base belong to one
    event. A sample is scored on its way forward: `sample_and_log_prob` never inverts, which for an inverse
    autoregressive flow over D numbers saves D passes (Dillon et al., 2017, section 4.2, without the cache).

    Raises:
        ValueError: the parameters of a bijector of numbers have a larger shape than the base.
    """

    base: Distribution
    bijector: Bijector

    def at_rank(self, rank: int) -> "Transformed":
        """The same with at least `rank` batch axes, those in front of length 1."""
        return Transformed(self.base.at_rank(rank + self._taken), self.bijector)

    def _align(self):
        """Gives the parameters of a bijector of numbers the rank of a draw of the base."""
        if self.bijector.event_ndims_in == 0:
            rank = len(self.base.batch_shape + self.base.event_shape)
            object.__setattr__(self, "bijector", self.bijector.at_rank(rank))  # still being made

    def _check(self):
        drawn = self.base.batch_shape + self.base.event_shape
        if self.bijector.event_ndims_in == 0 and (made := self._shape_of_a_value()) != drawn:
            raise ValueError(
                f"Transformed: the bijector makes values of shape {made} from draws of shape {drawn}; "
                f"give the base the batch shape {made}"
            )

    def _shape_of_a_value(self) -> tuple[int, ...]:
        x = jax.ShapeDtypeStruct(self.base.batch_shape + self.base.event_shape, jnp.result_type(float))
        return jax.eval_shape(self.bijector.forward, x).shape

    @property
    def _taken(self) -> int:
        """How many batch axes of the base belong to one event."""
        return max(self.bijector.event_ndims_in - len(self.base.event_shape), 0)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of the base without the axes that the bijector takes for one event."""
        batch = self.base.batch_shape
        return batch[: len(batch) - self._taken]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """That of the bijector's values."""
        batch = self.base.batch_shape
        event = batch[len(batch) - self._taken :] + self.base.event_shape
        shape = self._shape_of_a_value()
        kept = self.bijector.event_ndims_out + len(event) - self.bijector.event_ndims_in
        return shape[len(shape) - kept :]

    @property
    def support(self) -> Support:
        """Not known of a bijector: all finite values. The density is 0 at those that it never takes."""
        return Everywhere(len(self.event_shape))

    def _log_prob(self, log_prob: Array, log_det: Array) -> Array:
        """The sum over one event of the score of the base and a log det, which may be per component."""
        beyond = len(self.base.event_shape) - self.bijector.event_ndims_in
        return flat_outside(sum_last(log_prob, self._taken) + sum_last(log_det, max(beyond, 0)))

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self.bijector.forward(self.base.sample(key, shape))

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log-density at `value` [*S, *B, *E], by inversion: an array [*S, *B], in nats."""
        rank = len(self.base.batch_shape + self.base.event_shape)
        rank += self.bijector.event_ndims_out - self.bijector.event_ndims_in
        x, log_det = self.bijector.inverse_and_log_det(with_rank(as_float(value), rank))
        return self._log_prob(self.base.log_prob(x), log_det)

    def _draw_and_score(
        self, key: Key[Array, ""], shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        x, log_prob = self.base.sample_and_log_prob(key, shape)
        y, log_det = self.bijector.forward_and_log_det(x)
        return y, self._log_prob(log_prob, -log_det)


class Masked(Distribution):
    """`base` with log-probability 0 where `mask` [*B] is false: there a value may be anything, NaN too.

    Samples are those of the base.

    Raises:
        ValueError: the shape of the mask does not broadcast with the batch.
    """

    base: Distribution
    mask: Bool[Array, "..."]

    def _parts(self):
        return {"base": 0, "mask": 0}

    def _check(self):
        try:
            np.broadcast_shapes(self.mask.shape, self.base.batch_shape)
        except ValueError:
            shapes = f"{self.mask.shape} and {self.base.batch_shape}"
            raise ValueError(f"Masked: the shapes of mask and batch, {shapes}, do not broadcast together") from None

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of mask and base together."""
        return np.broadcast_shapes(self.mask.shape, self.base.batch_shape)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """That of the base."""
        return self.base.event_shape

    @property
    def support(self) -> Support:
        """That of the base, where the mask is true."""
        return self.base.support

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        return draws_of_batch(self.base, key, shape, self.batch_shape)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """That of the base where the mask is true, else 0 [*S, *B]."""
        log_prob = self.base.log_prob(value)
        shape = np.broadcast_shapes(log_prob.shape, self.mask.shape)
        return jnp.where(jnp.broadcast_to(self.mask, shape), jnp.broadcast_to(log_prob, shape), 0)
