"""Bijectors between vectors and vectors of a special kind: on the simplex, ascending, permuted, turned.

Axis letters: D length of a vector, K parts of a whole, J = K - 1 numbers that say what they are.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.distributions.bijectors.bijector import Bijector

SUM_TOLERANCE = 1e-4  # by which parts of a whole may miss 1


class VectorBijector(Bijector):
    """A bijector from vectors to vectors."""

    @property
    def event_ndims_in(self) -> int:
        """1: an event is a vector."""
        return 1

    @property
    def event_ndims_out(self) -> int:
        """1: an event is a vector."""
        return 1


class StickBreaking(VectorBijector):
    """K-1 numbers to K positive parts of 1: each number says, by a sigmoid, which share of the rest is taken.

    Zeros give equal parts. The log det is that of the first K-1 parts, as in the density of a Dirichlet.
    """

    def forward_and_log_det(self, x: Float[Array, "... J"]) -> tuple[Float[Array, "... K"], Float[Array, "..."]]:
        """The parts."""
        logit = x - _equal_shares(x)
        taken, left = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
        zero = jnp.zeros_like(x[..., :1])
        rest = jnp.concatenate([zero, jnp.cumsum(left, -1)], -1)  # the logarithm of what is there before each step
        y = jnp.exp(jnp.concatenate([taken, zero], -1) + rest)
        return y, jnp.sum(taken + left + rest[..., :-1], -1)

    def inverse_and_log_det(self, y: Float[Array, "... K"]) -> tuple[Float[Array, "... J"], Float[Array, "..."]]:
        """The numbers; a log det of -inf where parts are negative or do not sum to 1."""
        safe, whole = _parts(y)
        log_rest = jnp.log(jnp.flip(jnp.cumsum(jnp.flip(safe, -1), -1), -1))  # summed from the end: nothing cancels
        share = jnp.log(safe[..., :-1]) - log_rest[..., 1:]
        x = share + _equal_shares(share)
        log_det = jnp.sum(jnp.log(safe[..., :-1]) + log_rest[..., 1:] - log_rest[..., :-1], -1)
        return x, jnp.where(whole, -log_det, -jnp.inf)


class CentredSoftmax(VectorBijector):
    """K-1 numbers to K positive parts of 1, by a softmax of the numbers and a last 0.

    The log det is that of the first K-1 parts, as in the density of a Dirichlet.
    """

    def forward_and_log_det(self, x: Float[Array, "... J"]) -> tuple[Float[Array, "... K"], Float[Array, "..."]]:
        """The parts."""
        log_y = jax.nn.log_softmax(jnp.concatenate([x, jnp.zeros_like(x[..., :1])], -1), -1)
        return jnp.exp(log_y), jnp.sum(log_y, -1)

    def inverse_and_log_det(self, y: Float[Array, "... K"]) -> tuple[Float[Array, "... J"], Float[Array, "..."]]:
        """The numbers; a log det of -inf where parts are negative or do not sum to 1."""
        safe, whole = _parts(y)
        log_y = jnp.log(safe)
        return log_y[..., :-1] - log_y[..., -1:], jnp.where(whole, -jnp.sum(log_y, -1), -jnp.inf)


class Ordered(VectorBijector):
    """Any vector to an ascending one: its first number stays, the others become the logarithms of the steps."""

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The ascending numbers."""
        steps = jnp.concatenate([x[..., :1], jnp.exp(x[..., 1:])], -1)
        return jnp.cumsum(steps, -1), jnp.sum(x[..., 1:], -1)

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector; a log det of -inf where y does not ascend."""
        steps = y[..., 1:] - y[..., :-1]
        log_steps = jnp.log(jnp.where(steps > 0, steps, 1.0))
        ascending = jnp.all(steps > 0, -1)
        x = jnp.concatenate([y[..., :1], log_steps], -1)
        return x, jnp.where(ascending, -jnp.sum(log_steps, -1), -jnp.inf)


class CumulativeSum(VectorBijector):
    """`y[d] = x[0] + ... + x[d]`."""

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The sums; their log det is 0."""
        return jnp.cumsum(x, -1), jnp.zeros_like(x[..., 0])

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The differences."""
        return jnp.concatenate([y[..., :1], y[..., 1:] - y[..., :-1]], -1), jnp.zeros_like(y[..., 0])


class Reverse(VectorBijector):
    """`y[d] = x[D-1-d]`."""

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector turned round; the log det is 0."""
        return jnp.flip(x, -1), jnp.zeros_like(x[..., 0])

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The same."""
        return self.forward_and_log_det(y)


class Permute(VectorBijector):
    """`y[d] = x[order[d]]`."""

    order: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, order: Sequence[int]):
        """Raises `ValueError` unless `order` holds each of 0, ..., D-1 once."""
        self.order = tuple(int(place) for place in order)
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"Permute: order must hold each of 0, ..., {len(self.order) - 1} once; it is {self.order}")

    def forward_and_log_det(self, x: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The permuted vector; the log det is 0."""
        return x[..., np.array(self.order)], jnp.zeros_like(x[..., 0])

    def inverse_and_log_det(self, y: Float[Array, "... D"]) -> tuple[Float[Array, "... D"], Float[Array, "..."]]:
        """The vector as it was."""
        return y[..., np.argsort(self.order)], jnp.zeros_like(y[..., 0])


def _equal_shares(x: Float[Array, "... J"]) -> Float[Array, "... J"]:
    """What to take off the logits so that 0 means equal parts: log of how many parts are left for the others."""
    count = x.shape[-1]
    return jnp.broadcast_to(jnp.log(jnp.arange(count, 0, -1, dtype=x.dtype)), x.shape)


def _parts(y: Float[Array, "... K"]) -> tuple[Float[Array, "... K"], Array]:
    """Parts of which the logarithm is finite, and whether y is on the simplex."""
    whole = jnp.all(y >= 0, -1) & (jnp.abs(jnp.sum(y, -1) - 1) <= SUM_TOLERANCE)
    return jnp.clip(jnp.where(whole[..., None], y, 1 / y.shape[-1]), jnp.finfo(y.dtype).tiny), whole
