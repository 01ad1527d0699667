"""Bijectors of single numbers, on the real line or on the positive half of it.

Parameters broadcast against the last axes of the argument, as in numpy.
"""

# ruff: noqa: D102 - what the methods are is said once, in Elementwise

import abc
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from culet.distributions.bijectors.bijector import Bijector
from culet.distributions.numerics import with_rank
from culet.distributions.parameters import as_float


class Elementwise(Bijector):
    """A monotonic function of a number, given by the function, its inverse and the logarithm of its slope."""

    def at_rank(self, rank: int) -> "Elementwise":
        """The same, its parameters with at least `rank` axes, those in front of length 1."""
        return jax.tree.map(lambda leaf: with_rank(leaf, rank), self)

    @property
    def event_ndims_in(self) -> int:
        """0: an event is a number."""
        return 0

    @property
    def event_ndims_out(self) -> int:
        """0: an event is a number."""
        return 0

    @property
    def image(self) -> tuple[float, float]:
        """The ends of the interval of all y. At an end itself, to which values round, the inverse is still finite."""
        return -math.inf, math.inf

    @abc.abstractmethod
    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The function."""

    @abc.abstractmethod
    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The x of y strictly inside the image."""

    @abc.abstractmethod
    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`log |dy/dx|`, of the shape of y."""

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The function and its `log_slope`."""
        return self.forward(x), self.log_slope(x)

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """X; for y beyond the image, that of a y near its end."""
        return self.solve(self._inside(y))

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """X and minus its `log_slope`; -inf for y beyond the image."""
        x = self.inverse(y)
        low, high = self.image
        log_det = -self.log_slope(x)
        if math.isinf(low) and math.isinf(high):
            return x, log_det
        return x, jnp.where((y >= low) & (y <= high), log_det, -jnp.inf)

    def _inside(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The nearest number strictly inside the image, and further in where y is beyond it, for finite gradients."""
        low, high = self.image
        if math.isinf(low) and math.isinf(high):
            return y
        kind = jnp.finfo(y.dtype)
        first = low + max(float(kind.tiny), abs(low) * float(kind.epsneg))
        last = high if math.isinf(high) else high - max(float(kind.tiny), abs(high) * float(kind.epsneg))
        middle = low + 1 if math.isinf(high) else (low + high) / 2
        return jnp.clip(jnp.where((y >= low) & (y <= high), y, middle), first, last)


def against(x: Float[Array, "..."], *parameters: Float[Array, "..."]) -> tuple[Float[Array, "..."], ...]:
    """`x` and the parameters with axes of length 1 put in front, so that all have as many axes or none."""
    rank = max(array.ndim for array in (x, *parameters))
    return tuple(a if a.ndim in (0, rank) else a.reshape((1,) * (rank - a.ndim) + a.shape) for a in (x, *parameters))


class Affine(Elementwise):
    """`y = loc + scale x`, with `scale` other than 0."""

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, loc: ArrayLike, scale: ArrayLike):
        self.loc, self.scale = as_float(loc), as_float(scale)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, loc, scale = against(x, self.loc, self.scale)
        return loc + scale * x

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, loc, scale = against(y, self.loc, self.scale)
        return (y - loc) / scale

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        shape = jnp.broadcast_shapes(x.shape, self.loc.shape, self.scale.shape)
        return jnp.broadcast_to(jnp.log(jnp.abs(self.scale)), shape)


class Shift(Elementwise):
    """`y = x + loc`."""

    loc: Float[Array, "..."]

    def __init__(self, loc: ArrayLike):
        self.loc = as_float(loc)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, loc = against(x, self.loc)
        return x + loc

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, loc = against(y, self.loc)
        return y - loc

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.zeros(jnp.broadcast_shapes(x.shape, self.loc.shape), x.dtype)


class Scale(Elementwise):
    """`y = scale x`, with `scale` other than 0."""

    scale: Float[Array, "..."]

    def __init__(self, scale: ArrayLike):
        self.scale = as_float(scale)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, scale = against(x, self.scale)
        return scale * x

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, scale = against(y, self.scale)
        return y / scale

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.broadcast_to(jnp.log(jnp.abs(self.scale)), jnp.broadcast_shapes(x.shape, self.scale.shape))


class Exp(Elementwise):
    """`y = exp(x)`."""

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, math.inf

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x


class Log(Elementwise):
    """`y = log(x)` of positive x."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -jnp.log(x)


class Power(Elementwise):
    """`y = x ** exponent` of positive x, with an exponent other than 0; -1 is the reciprocal."""

    exponent: Float[Array, "..."]

    def __init__(self, exponent: ArrayLike):
        self.exponent = as_float(exponent)

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, math.inf

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, exponent = against(x, self.exponent)
        return x**exponent

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, exponent = against(y, self.exponent)
        return y ** (1 / exponent)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, exponent = against(x, self.exponent)
        return jnp.log(jnp.abs(exponent)) + (exponent - 1) * jnp.log(x)


class Sinh(Elementwise):
    """`y = sinh(x)`: nearly x in the middle, exponential in both tails."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.sinh(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.arcsinh(y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return log_cosh(x)


class SinhArcsinh(Elementwise):
    """`y = sinh(tails arcsinh(x) + skewness)`, with `tails` > 0: heavier than the normal's above 1.

    Jones and Pewsey, "Sinh-arcsinh distributions", 2009, section 1.
    """

    skewness: Float[Array, "..."]
    tails: Float[Array, "..."]

    def __init__(self, skewness: ArrayLike, tails: ArrayLike):
        self.skewness, self.tails = as_float(skewness), as_float(tails)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, skewness, tails = against(x, self.skewness, self.tails)
        return jnp.sinh(tails * jnp.arcsinh(x) + skewness)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, skewness, tails = against(y, self.skewness, self.tails)
        return jnp.sinh((jnp.arcsinh(y) - skewness) / tails)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, skewness, tails = against(x, self.skewness, self.tails)
        inner = jnp.arcsinh(x)
        return log_cosh(tails * inner + skewness) + jnp.log(tails) - log_cosh(inner)


class LeakyRelu(Elementwise):
    """`y = x` for x >= 0, else `slope x`, with `slope` > 0."""

    slope: Float[Array, "..."]

    def __init__(self, slope: ArrayLike):
        self.slope = as_float(slope)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, slope = against(x, self.slope)
        return jnp.where(x >= 0, x, slope * x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, slope = against(y, self.slope)
        return jnp.where(y >= 0, y, y / slope)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, slope = against(x, self.slope)
        return jnp.where(x >= 0, jnp.zeros_like(slope), jnp.log(slope))


def log_cosh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log cosh x`, which does not overflow."""
    return jax.nn.softplus(2 * x) - x - math.log(2)
