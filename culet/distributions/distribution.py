"""The protocol of distributions.

Shapes are [*shape, *batch, *event]: `shape` draws of a `batch` of distributions, each over values of shape `event`.
Axis letters: S shape, B batch, E event.
"""

import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.core.keys import as_key
from culet.distributions.numerics import with_rank
from culet.distributions.parameters import check, event_ndims_of, parameters_of
from culet.distributions.supports import Support


class _Method:
    """A method that is bound by a `Partial`: a pytree as equinox's bound methods are, and made far quicker."""

    def __init__(self, method: Callable[..., Any], call: Callable[..., Any]):
        self.call = call
        functools.update_wrapper(self, method)  # pyright: ignore[reportArgumentType]

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        return self.call if instance is None else jax.tree_util.Partial(self.call, instance)


def quickly_bound(method: Callable[..., Any]) -> Any:
    """`method`, bound by a `Partial`."""
    return _Method(method, method)


def compiled(method: Callable[..., Any]) -> Any:
    """`method` under `jax.jit`, with `shape` static: an eager call is one dispatch, and a trace reads it only once.

    For methods of distributions whose fields are all arrays.
    """
    static = ("shape",) if "shape" in inspect.signature(method).parameters else ()
    return _Method(method, jax.jit(method, static_argnames=static))


def raised(value: Any, rank: int) -> Any:
    """An array with `rank` axes, or a distribution with `rank` batch axes, of which those in front have length 1."""
    if isinstance(value, Distribution):
        return value.at_rank(rank)
    return with_rank(value, rank)


def draws_of_batch(
    base: "Distribution", key: Key[Array, ""], shape: tuple[int, ...], batch: tuple[int, ...]
) -> Num[Array, "..."]:
    """Draws [*shape, *batch, *E] of `base`, independent also along the axes to which its batch broadcasts."""
    base = base.at_rank(len(batch))
    wide = [axis for axis, (size, own) in enumerate(zip(batch, base.batch_shape, strict=True)) if size != own]
    draws = base.sample(key, shape + tuple(batch[axis] for axis in wide))
    start = len(shape)
    draws = draws.squeeze(tuple(start + len(wide) + axis for axis in wide))
    return jnp.moveaxis(draws, range(start, start + len(wide)), [start + axis for axis in wide])


def _rank(value: Any) -> int:
    return len(value.batch_shape) if isinstance(value, Distribution) else value.ndim


class Distribution(eqx.Module):
    """Something random: `batch_shape` independent distributions over values of shape `event_shape`.

    Shapes are those of the parameters at the time of asking, so that `jax.vmap` over a distribution takes its leading
    batch axis away, and a distribution made within `vmap` gains one. Parameters are checked when a distribution is made
    of concrete numbers; under a trace they are not. Then they get axes of length 1 in front, up to a common rank.

    Langmore et al., "TensorFlow Distributions" (2017), section 3, is the source of the three kinds of shape. There is
    no cache as in its section 4.2: `sample_and_log_prob` returns both.
    """

    def __check_init__(self):
        check(self)
        type(self)._check(self)  # not through the instance, which would wrap the method at each making
        type(self)._align(self)

    def _align(self) -> None:
        """Gives parameters and parts one batch rank, by axes of length 1 in front.

        `vmap` puts its axis in front of each: the axis of one is then that of another, as in a loop.
        """
        ranks = {name: _rank(getattr(self, name)) - behind for name, behind in type(self)._parts(self).items()}
        rank = max(ranks.values(), default=0)
        for name, own in ranks.items():
            if own < rank:
                value = getattr(self, name)
                object.__setattr__(self, name, raised(value, _rank(value) + rank - own))  # still being made

    def _parts(self) -> dict[str, int]:
        """The fields that have batch axes, and how many more axes each has behind them."""
        return {name: event_ndims_of(spec) for name, spec in parameters_of(type(self)).items()}

    def at_rank(self, rank: int) -> "Distribution":
        """The same with at least `rank` batch axes, those in front of length 1."""
        if rank <= len(self.batch_shape):
            return self
        parts = type(self)._parts(self)
        values = [raised(getattr(self, name), rank + behind) for name, behind in parts.items()]
        return eqx.tree_at(lambda one: [getattr(one, name) for name in parts], self, values) if parts else self

    def _check(self) -> None:
        """Raises ValueError where concrete parameters do not go together."""

    @property
    @abstractmethod
    def support(self) -> Support:
        """Where the density may be above 0."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one value; () unless overridden."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the parameters, broadcast together, without the axes that belong to one event."""
        shapes = []
        for name, spec in parameters_of(type(self)).items():
            shape = getattr(self, name).shape
            shapes.append(shape[: len(shape) - event_ndims_of(spec)])
        return np.broadcast_shapes(*shapes)

    @property
    def dtype(self) -> Any:
        """The dtype of the parameters, in which densities are computed."""
        return jnp.result_type(*(getattr(self, name) for name in parameters_of(type(self))))

    @quickly_bound
    def sample(self, key: int | Key[Array, ""], shape: tuple[int, ...] = ()) -> Num[Array, "..."]:
        """Independent draws [*S, *B, *E]; differentiable in the parameters where the family can be reparametrised.

        A `key` that is a whole number is a seed: `sample(0)` is `sample(jax.random.key(0))`.
        """
        return self._draw(as_key(key), shape)

    @abstractmethod
    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]: ...

    @abstractmethod
    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the density or mass, in nats, of `value` [*S, *B, *E]: an array [*S, *B].

        -inf outside the support, where the gradient is 0; inside it the gradient is finite. `value` may have any shape
        that broadcasts with the batch.
        """

    @quickly_bound
    def sample_and_log_prob(
        self, key: int | Key[Array, ""], shape: tuple[int, ...] = ()
    ) -> tuple[Num[Array, "..."], Float[Array, "..."]]:
        """Draws [*S, *B, *E] and their log-probabilities [*S, *B]; never inverts a bijector. `key` as in `sample`."""
        return type(self)._draw_and_score(self, as_key(key), shape)  # through the instance it would be wrapped

    def _draw_and_score(
        self, key: Key[Array, ""], shape: tuple[int, ...]
    ) -> tuple[Num[Array, "..."], Float[Array, "..."]]:
        value = self._draw(key, shape)
        return value, self.log_prob(value)

    def mean(self) -> Float[Array, "..."]:
        """The expectation [*B, *E]; NaN or infinite where there is none."""
        raise self._missing("mean")

    def variance(self) -> Float[Array, "..."]:
        """The variance of each component [*B, *E]; NaN or infinite where there is none."""
        raise self._missing("variance")

    def entropy(self) -> Float[Array, "..."]:
        """The expectation of `-log_prob`, in nats [*B]."""
        raise self._missing("entropy")

    def mode(self) -> Num[Array, "..."]:
        """A value at which `log_prob` is highest [*B, *E]."""
        raise self._missing("mode")

    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The probability of at most `value`, for events that are numbers [*S, *B]."""
        raise self._missing("cdf")

    def icdf(self, probability: Float[ArrayLike, "..."]) -> Num[Array, "..."]:
        """The least value whose `cdf` is at least `probability`; NaN unless that lies in [0, 1] [*S, *B]."""
        raise self._missing("icdf")

    def _missing(self, method: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no closed form for {method}()")
