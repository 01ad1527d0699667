"""Distributions conditioned on an interval.

Axis letters: S shape, B batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, ArrayLike, Float, Key, Num

from culet.distributions.distribution import Distribution
from culet.distributions.family import Family
from culet.distributions.parameters import Parameter, check_order, not_nan, parameter, positive, real
from culet.distributions.supports import Integers, Interval, Support

_FAR = 100.0  # standard deviations, for infinity
_TAIL = 4.0  # standard deviations, from where on quantiles are found by the inverse of Mills' ratio
_CUT = 30.0  # the logarithm by which the density has fallen where its integral is cut off
_GAUSS = np.polynomial.legendre.leggauss(20)
_RULE = 0.5 + 0.5 * _GAUSS[0], 0.5 * _GAUSS[1]  # nodes and weights on [0, 1]


class WithEnds(Distribution):
    """What comes of a `base` between two ends; they broadcast together with it."""

    base: Distribution
    low: Float[Parameter, "..."] = parameter(not_nan)
    high: Float[Parameter, "..."] = parameter(not_nan)

    def _parts(self):
        return {"base": 0, "low": 0, "high": 0}

    def _check(self):
        check_order(self, "low", "high")

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of base and ends together."""
        return np.broadcast_shapes(self.base.batch_shape, self.low.shape, self.high.shape)


class Truncated(WithEnds):
    """A draw of `base` given that it lies from `low` to `high`, ends included; either may be infinite.

    The base needs a `cdf`, and for samples, which are drawn by inversion, an `icdf`. Far out in the upper tail a
    distribution function has few digits left; `TruncatedNormal` keeps them there.
    """

    @property
    def support(self) -> Support:
        """From `low` to `high`, as far as the base goes; whole numbers if those of the base are."""
        support = self.base.support
        if isinstance(support, Integers):
            return Integers(jnp.maximum(jnp.ceil(self.low), support.low), jnp.minimum(self.high, support.high))
        if isinstance(support, Interval):
            low, high = jnp.maximum(self.low, support.low), jnp.minimum(self.high, support.high)
            return Interval(low, high, support.open_ends)
        raise self._missing("support")

    def _ends(self) -> tuple[Array, Array]:
        """The probabilities below the interval, and up to its end."""
        below = jnp.ceil(self.low) - 1 if isinstance(self.base.support, Integers) else self.low
        return self.base.cdf(below), self.base.cdf(self.high)

    def _draw(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Num[Array, "..."]:
        whole = shape + self.batch_shape
        start, end = (jnp.broadcast_to(place, whole) for place in self._ends())
        share = jax.random.uniform(key, whole, start.dtype, minval=float(jnp.finfo(start.dtype).tiny))
        draws = self.base.icdf(start + (end - start) * share)
        support = self.support
        low, high = jnp.broadcast_to(support.low, whole), jnp.broadcast_to(support.high, whole)  # pyright: ignore[reportAttributeAccessIssue]
        return jnp.clip(draws, low, high)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The log of the density or mass [*S, *B], in nats."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        low, high = jnp.broadcast_to(self.low, shape), jnp.broadcast_to(self.high, shape)
        score = jnp.broadcast_to(self.base.log_prob(value), shape) - jnp.log(end - start)
        value = jnp.broadcast_to(value, shape).astype(score.dtype)
        return jnp.where((value < low) | (value > high) | (score == -jnp.inf), -jnp.inf, score)

    def cdf(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The probability of at most `value` [*S, *B]."""
        value = jnp.asarray(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        return jnp.clip((jnp.broadcast_to(self.base.cdf(value), shape) - start) / (end - start), 0, 1)

    def icdf(self, probability: Float[ArrayLike, "..."]) -> Num[Array, "..."]:
        """The value below which `probability` lies [*S, *B]; NaN unless that is in [0, 1]."""
        probability = jnp.asarray(probability)
        shape = np.broadcast_shapes(probability.shape, self.batch_shape)
        start, end = (jnp.broadcast_to(place, shape) for place in self._ends())
        inside = jnp.where((probability >= 0) & (probability <= 1), probability, jnp.nan)
        return self.base.icdf(start + (end - start) * jnp.broadcast_to(inside, shape))


class TruncatedNormal(Family):
    """A normal variate given that it lies between `low` and `high`, either of which may be infinite.

    The density is taken relative to that at the mode, and its integral by quadrature over the distance from there, so
    that nothing underflows or cancels however far out in a tail, or narrow, the interval is.
    """

    loc: Float[Parameter, "..."] = parameter(real)
    scale: Float[Parameter, "..."] = parameter(positive)
    low: Float[Parameter, "..."] = parameter(not_nan)
    high: Float[Parameter, "..."] = parameter(not_nan)

    def _check(self):
        check_order(self, "low", "high")

    def _support(self):
        return Interval(self.low, self.high)

    def _mode(self):
        return jnp.clip(self.loc, self.low, self.high)

    def _sides(self) -> tuple[Array, Array, Array, Array]:
        """Slopes and widths, in units of `scale`, above and below the mode.

        At a distance s above the mode, the density is that at the mode times exp(-s (slope + s / 2)).
        """
        mode = self._mode()
        offset = (mode - self.loc) / self.scale
        above = (jnp.where(self.high < jnp.inf, self.high, mode + _FAR * self.scale) - mode) / self.scale
        below = (mode - jnp.where(self.low > -jnp.inf, self.low, mode - _FAR * self.scale)) / self.scale
        return jnp.maximum(offset, 0), jnp.maximum(-offset, 0), above, below

    def _moments(self) -> tuple[Array, Array, Array]:
        """Integrals of the relative density, of it times the distance from the mode, and of it times the square."""
        up, down, above, below = self._sides()
        zeroth, first, second = (_tail_integral(up, above, order) for order in range(3))
        other, other_first, other_second = (_tail_integral(down, below, order) for order in range(3))
        return zeroth + other, first - other_first, second + other_second

    def _log_density(self, x):
        mode = self._mode()
        distance, offset = (x - mode) / self.scale, (mode - self.loc) / self.scale
        return -distance * (offset + 0.5 * distance) - jnp.log(self.scale) - jnp.log(self._moments()[0])

    def _mean(self):
        mass, first, _ = self._moments()
        return self._mode() + self.scale * first / mass

    def _variance(self):
        mass, first, second = self._moments()
        return self.scale**2 * (second / mass - (first / mass) ** 2)

    def _entropy(self):
        mass, first, second = self._moments()
        offset = (self._mode() - self.loc) / self.scale
        return jnp.log(self.scale * mass) + (offset * first + 0.5 * second) / mass

    def _cdf(self, x):
        up, down, above, below = self._sides()
        distance = (x - self._mode()) / self.scale
        left = _tail_integral(down, below, 0)
        upper = left + _tail_integral(up, jnp.maximum(distance, 0), 0)
        lower = left - _tail_integral(down, jnp.maximum(-distance, 0), 0)
        return jnp.where(distance > 0, upper, lower) / (left + _tail_integral(up, above, 0))

    def _icdf(self, p):
        up, down, above, below = self._sides()
        slope, width = jnp.maximum(up, down), jnp.where(up > 0, above, below)
        far = slope > _TAIL  # all on one side of loc, where the distribution function has few digits
        inward = _tail_quantile(jnp.where(down > 0, 1 - p, p), jnp.where(far, slope, _TAIL), jnp.where(far, width, 1.0))
        outside = self._mode() + self.scale * jnp.where(down > 0, -inward, inward)
        low, high = jnp.where(far, -1.0, up - down - below), jnp.where(far, 1.0, up - down + above)
        flip = low > 0  # in the upper half, work with the lower one, where floats are dense
        near, end = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
        share = jnp.where(flip, 1 - p, p)
        z = ndtri(ndtr(near) * (1 - share) + ndtr(end) * share)
        inside = self.loc + self.scale * jnp.where(flip, -z, z)
        span, drop = above + below, (up - down + 0.5 * (above - below)) * (above + below)
        narrow = (span < 0.02) & (jnp.abs(drop) < 1)  # where the log-density is a line, to span^2 / 8
        between = self._mode() + self.scale * (jnp.where(narrow, span, 0) * _line_quantile(p, drop) - below)
        place = jnp.where(narrow, between, jnp.where(far, outside, inside))
        place = jnp.where(p == 0, self.low, jnp.where(p == 1, self.high, place))
        return jnp.clip(place, self.low, self.high)


def _tail_integral(slope: Array, width: Array, order: int) -> Array:
    """The integral of s^order exp(-s (slope + s / 2)) over s from 0 to `width`, for slopes from 0 on."""
    end = jnp.minimum(width, 2 * _CUT / (slope + jnp.sqrt(slope**2 + 2 * _CUT)))[..., None]
    nodes, weights = (jnp.asarray(part, end.dtype).reshape((1,) * (end.ndim - 1) + (-1,)) for part in _RULE)
    s = end * nodes
    return (end * weights * s**order * jnp.exp(-s * (slope[..., None] + 0.5 * s))).sum(-1)


def _line_quantile(p: Array, drop: Array) -> Array:
    """The quantile on [0, 1] of the density proportional to exp(-drop x), for drops from -1 to 1."""
    small = jnp.abs(drop) < 1e-3
    safe = jnp.where(small | (jnp.abs(drop) > 1), 1.0, drop)
    return jnp.where(small, p - 0.5 * drop * p * (1 - p), -jnp.log1p(p * jnp.expm1(-safe)) / safe)


def _tail_quantile(p: Array, slope: Array, width: Array) -> Array:
    """The s up to which a share `p` of `_tail_integral(slope, width, 0)` lies, for slopes from 4 on.

    With R Mills' ratio, the integral from s to infinity is exp(-s (slope + s / 2)) R(slope + s): its logarithm is
    solved for s by Newton's method, which starts near the root because R hardly changes.
    """
    drop = jnp.minimum(width * (slope + 0.5 * width), _CUT)  # of the log-density
    ratio = _mills(slope)
    kept = jnp.exp(-drop) * _mills(slope + width) / ratio
    log_kept = jnp.log(jnp.maximum(1 - p * (1 - kept), kept))
    s = -2 * log_kept / (slope + jnp.sqrt(slope**2 - 2 * log_kept))
    for _ in range(3):
        here = _mills(slope + s)
        s -= here * (s * (slope + 0.5 * s) - jnp.log(here / ratio) + log_kept)
    return jnp.clip(s, 0, width)


def _mills(z: Array) -> Array:
    """The integral of the normal density above z, divided by the density there: a continued fraction, for z from 4."""
    rest = jnp.zeros_like(z)
    for level in range(12, 0, -1):
        rest = level / (z + rest)
    return 1 / (z + rest)
