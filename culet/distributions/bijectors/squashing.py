"""Bijectors of single numbers onto an interval: the positive half line, (0, 1) or (-1, 1).

Far out, y rounds to the end of the interval. Its inverse and log det are finite there too, but exact only at the x
itself: see `forward_and_log_det`.
"""

# ruff: noqa: D102 - what the methods are is said once, in Elementwise

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from culet.distributions.bijectors.elementwise import Elementwise, against
from culet.distributions.parameters import as_float


class Softplus(Elementwise):
    """`y = log(1 + exp(x))`: positive, and nearly x where x is large."""

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, math.inf

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.softplus(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return y + jnp.log(-jnp.expm1(-y))

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.log_sigmoid(x)


class UnitInterval(Elementwise):
    """A bijector onto (0, 1), such as the cumulative distribution function of a distribution."""

    @property
    def image(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0


class Sigmoid(UnitInterval):
    """`y = 1 / (1 + exp(-x))`."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.sigmoid(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(y) - jnp.log1p(-y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)


class NormalCDF(UnitInterval):
    """The cumulative distribution function of the standard normal distribution."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.scipy.special.ndtr(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.scipy.special.ndtri(y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -0.5 * jnp.square(x) - 0.5 * math.log(2 * math.pi)


class GumbelCDF(UnitInterval):
    """`y = exp(-exp(-x))`, the cumulative distribution function of the standard Gumbel distribution."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(-jnp.exp(-jnp.maximum(x, -80.0)))  # 0 there already; further out the inner one overflows

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return -jnp.log(-jnp.log(y))

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -x - jnp.exp(-x)


class WeibullCDF(UnitInterval):
    """`y = 1 - exp(-(x / scale) ** concentration)` of positive x; both parameters are positive."""

    scale: Float[Array, "..."]
    concentration: Float[Array, "..."]

    def __init__(self, scale: ArrayLike, concentration: ArrayLike):
        self.scale, self.concentration = as_float(scale), as_float(concentration)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, scale, concentration = against(x, self.scale, self.concentration)
        return -jnp.expm1(-((x / scale) ** concentration))

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, scale, concentration = against(y, self.scale, self.concentration)
        return scale * (-jnp.log1p(-y)) ** (1 / concentration)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, scale, concentration = against(x, self.scale, self.concentration)
        ratio = x / scale
        return jnp.log(concentration / scale) + (concentration - 1) * jnp.log(ratio) - ratio**concentration


class KumaraswamyCDF(UnitInterval):
    """`y = 1 - (1 - x ** a) ** b` of x in (0, 1), with a and b positive (Kumaraswamy, 1980)."""

    a: Float[Array, "..."]
    b: Float[Array, "..."]

    def __init__(self, a: ArrayLike, b: ArrayLike):
        self.a, self.b = as_float(a), as_float(b)

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, a, b = against(x, self.a, self.b)
        return -jnp.expm1(b * jnp.log1p(-(x**a)))

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        y, a, b = against(y, self.a, self.b)
        return (-jnp.expm1(jnp.log1p(-y) / b)) ** (1 / a)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x, a, b = against(x, self.a, self.b)
        return jnp.log(a) + jnp.log(b) + (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-(x**a))


class Tanh(Elementwise):
    """`y = tanh(x)`."""

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.tanh(x)

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.arctanh(y)

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return 2 * (math.log(2) - x - jax.nn.softplus(-2 * x))  # log(1 - tanh(x)^2) would be log 0 from x = 9 on


class Softsign(Elementwise):
    """`y = x / (1 + |x|)`: onto (-1, 1) as tanh, with tails that fall off as a power."""

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x / (1 + jnp.abs(x))

    def solve(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return y / (1 - jnp.abs(y))

    def log_slope(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -2 * jnp.log1p(jnp.abs(x))
