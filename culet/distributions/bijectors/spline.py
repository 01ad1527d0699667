"""A monotonic curve through knots.

Axis letters: K bins.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from culet.distributions.bijectors.bijector import Bijector
from culet.distributions.numerics import with_rank
from culet.distributions.parameters import as_float

SMALLEST = 1e-3  # of a bin, as a share of the whole, and of a slope at a knot


class _Bin(NamedTuple):
    """Where the bin of a number starts, how large it is, and the slopes at its two knots; all of the number's shape."""

    x: Float[Array, "..."]
    y: Float[Array, "..."]
    width: Float[Array, "..."]
    height: Float[Array, "..."]
    left: Float[Array, "..."]
    right: Float[Array, "..."]


class RationalQuadraticSpline(Bijector):
    """A curve of K pieces, each a quotient of two quadratics, in the square [-bound, bound]; the identity outside.

    The parameters are unconstrained: bins are a softmax of `widths` and `heights`, slopes at inner knots a softplus
    of `slopes` that is 1 at 0, so that all zeros are the identity. The parameters' axes before the last are those of
    the argument, or none. (Durkan and others, "Neural Spline Flows", 2019, section 3.1.)
    """

    widths: Float[Array, "... K"]
    heights: Float[Array, "... K"]
    slopes: Float[Array, "... K-1"]
    bound: float = eqx.field(static=True)

    def __init__(
        self,
        widths: Float[Array, "... K"],
        heights: Float[Array, "... K"],
        slopes: Float[Array, "... K-1"],
        bound: float = 5.0,
    ):
        """Raises `ValueError` for 1000 bins or more and for a bound that is not above 0."""
        if jnp.shape(widths)[-1] * SMALLEST >= 1:
            raise ValueError(
                f"RationalQuadraticSpline: there are {jnp.shape(widths)[-1]} bins; use fewer than {1 / SMALLEST:.0f}"
            )
        if not bound > 0:
            raise ValueError(f"RationalQuadraticSpline: bound is {bound}; it must be positive")
        self.widths, self.heights, self.slopes = as_float(widths), as_float(heights), as_float(slopes)
        self.bound = bound

    def at_rank(self, rank: int) -> "RationalQuadraticSpline":
        """The same, its parameters with at least `rank` axes before the last, those in front of length 1."""
        return jax.tree.map(lambda leaf: with_rank(leaf, rank + 1), self)

    @property
    def event_ndims_in(self) -> int:
        """0: an event is a number."""
        return 0

    @property
    def event_ndims_out(self) -> int:
        """0: an event is a number."""
        return 0

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Equation 4 of the paper, and the logarithm of equation 5."""
        inside = jnp.abs(x) <= self.bound
        safe = jnp.where(inside, x, 0.0)
        bin = self._bin(safe, across=True)
        place = (safe - bin.x) / bin.width
        slope = bin.height / bin.width
        between = place * (1 - place)
        share = (slope * jnp.square(place) + bin.left * between) / _denominator(bin, slope, place)
        y = bin.y + bin.height * share
        return jnp.where(inside, y, x), jnp.where(inside, _log_slope(bin, slope, place), 0.0)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The root of the quadratic of section 3.1, of its two forms by the one that does not cancel."""
        inside = jnp.abs(y) <= self.bound
        safe = jnp.where(inside, y, 0.0)
        bin = self._bin(safe, across=False)
        slope = bin.height / bin.width
        rise = (safe - bin.y) / bin.height
        bend = rise * (bin.left + bin.right - 2 * slope)
        a, b, c = slope - bin.left + bend, bin.left - bend, -slope * rise
        root = jnp.sqrt(jnp.maximum(jnp.square(b) - 4 * a * c, 1e-12))
        place = jnp.where(b >= 0, 2 * c, root - b) / jnp.where(b >= 0, -b - root, 2 * a)
        x = bin.x + bin.width * place
        return jnp.where(inside, x, y), jnp.where(inside, -_log_slope(bin, slope, place), 0.0)

    def _bin(self, value: Float[Array, "..."], across: bool) -> _Bin:
        """The bin that holds each value of x, if `across`, or of y."""
        widths, heights, slopes = (_over(part, value) for part in (self.widths, self.heights, self.slopes))
        widths, heights = (2 * self.bound * _shares(part) for part in (widths, heights))
        knots = -self.bound + jnp.cumsum(widths if across else heights, -1)
        chosen = _holding(value, knots)
        one = jnp.ones_like(widths[..., :1])
        slopes = jnp.concatenate([one, SMALLEST + (1 - SMALLEST) * _softplus_one(slopes), one], -1)
        starts = (-self.bound + jnp.cumsum(part, -1) - part for part in (widths, heights))
        parts = (*starts, widths, heights, slopes[..., :-1], slopes[..., 1:])
        return _Bin(*(jnp.sum(jnp.where(chosen, part, 0.0), -1) for part in parts))


def _over(parameter: Float[Array, "... K"], value: Float[Array, "..."]) -> Float[Array, "... K"]:
    return jnp.broadcast_to(parameter, (*value.shape, parameter.shape[-1]))


def _shares(raw: Float[Array, "... K"]) -> Float[Array, "... K"]:
    return SMALLEST + (1 - SMALLEST * raw.shape[-1]) * jax.nn.softmax(raw, -1)


def _softplus_one(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    return jax.nn.softplus(raw + 0.5413248546)  # softplus of this number is 1


def _holding(value: Float[Array, "..."], ends: Float[Array, "... K"]) -> Bool[Array, "... K"]:
    """Which bin a value is in, as K truth values: a sum over them is quicker than to gather, above all backwards."""
    below = value[..., None] < ends[..., :-1]
    yes = jnp.ones_like(ends[..., :1], bool)
    return jnp.concatenate([below, yes], -1) & jnp.concatenate([yes, ~below], -1)


def _denominator(bin: _Bin, slope: Float[Array, "..."], place: Float[Array, "..."]) -> Float[Array, "..."]:
    return slope + (bin.left + bin.right - 2 * slope) * place * (1 - place)


def _log_slope(bin: _Bin, slope: Float[Array, "..."], place: Float[Array, "..."]) -> Float[Array, "..."]:
    rest = 1 - place
    top = bin.right * jnp.square(place) + 2 * slope * place * rest + bin.left * jnp.square(rest)
    return 2 * jnp.log(slope) + jnp.log(top) - 2 * jnp.log(_denominator(bin, slope, place))
