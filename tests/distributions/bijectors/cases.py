"""Every bijector with an event to map, and the coordinates in which its Jacobian is square."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from culet.distributions.bijectors.bijector import Blocks, Chain, Invert, Reshape
from culet.distributions.bijectors.elementwise import (
    Affine,
    Exp,
    LeakyRelu,
    Log,
    Power,
    Scale,
    Shift,
    Sinh,
    SinhArcsinh,
)
from culet.distributions.bijectors.linear import Householder, LULinear, TriangularAffine
from culet.distributions.bijectors.matrices import CholeskyFactor, CorrelationFactor, FillTriangular, GramMatrix
from culet.distributions.bijectors.spline import RationalQuadraticSpline
from culet.distributions.bijectors.squashing import (
    GumbelCDF,
    KumaraswamyCDF,
    NormalCDF,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    WeibullCDF,
)
from culet.distributions.bijectors.vectors import (
    CentredSoftmax,
    CumulativeSum,
    Ordered,
    Permute,
    Reverse,
    StickBreaking,
)
from culet.distributions.flows.layers import AffineMap, Coupling, MaskedAutoregressive, Residual, ShiftMap

GENERATOR = np.random.default_rng(3)


class Case(NamedTuple):
    """`fill` makes an event of the free numbers that `free_in` takes out of it."""

    bijector: Any
    x: np.ndarray
    free_in: Callable = jnp.ravel
    free_out: Callable = jnp.ravel
    fill: Callable | None = None


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


def uniform(*shape: int) -> np.ndarray:
    return GENERATOR.uniform(0.1, 0.9, size=shape).astype(np.float32)


def all_but_last(y):
    return y[..., :-1]


def triangle(y):
    return y[np.tril_indices(y.shape[-1])]


def below(y):
    return y[np.tril_indices(y.shape[-1], -1)]


def lower(numbers):
    return jnp.zeros((3, 3)).at[np.tril_indices(3)].set(numbers)


def factor(size: int) -> np.ndarray:
    return np.tril(0.3 * normal(size, size), -1) + np.diag(0.5 + uniform(size))


def trained(module: Any, far: float = 0.3) -> Any:
    """The network with every weight moved, so that no map is near the identity; the same whatever ran before."""
    generator = np.random.default_rng(3)

    def move(leaf: Any) -> Any:
        return (
            leaf + far * generator.normal(size=leaf.shape).astype(np.float32)
            if jnp.issubdtype(leaf.dtype, jnp.floating)
            else leaf
        )

    return jax.tree.map(lambda leaf: move(leaf) if hasattr(leaf, "dtype") else leaf, module)


def key() -> jax.Array:
    return jax.random.key(0)


def spline() -> RationalQuadraticSpline:
    widths, heights, slopes = (jnp.asarray(normal(5, size)) for size in (6, 6, 5))
    return RationalQuadraticSpline(widths, heights, slopes, 2.0)


def autoregressive(number_map: Any) -> MaskedAutoregressive:
    return trained(MaskedAutoregressive(4, number_map, width=8, depth=1, key=key()))


def coupling(number_map: Any) -> Coupling:
    return trained(Coupling(5, 2, number_map, width=12, depth=1, key=key()))


CASES: dict[str, Callable[[], Case]] = {
    "Affine": lambda: Case(Affine(normal(4), -1.5), normal(4)),
    "Shift": lambda: Case(Shift(normal(4)), normal(4)),
    "Scale": lambda: Case(Scale(np.float32(-2.5)), normal(4)),
    "Exp": lambda: Case(Exp(), normal(4)),
    "Log": lambda: Case(Log(), uniform(4)),
    "Power": lambda: Case(Power(np.array([2.5, -1.0, 0.3, -2.0], np.float32)), uniform(4)),
    "Sinh": lambda: Case(Sinh(), normal(4)),
    "SinhArcsinh": lambda: Case(SinhArcsinh(normal(4), 1.4), normal(4)),
    "LeakyRelu": lambda: Case(LeakyRelu(0.2), normal(4)),
    "Softplus": lambda: Case(Softplus(), 3 * normal(4)),
    "Sigmoid": lambda: Case(Sigmoid(), 2 * normal(4)),
    "NormalCDF": lambda: Case(NormalCDF(), normal(4)),
    "GumbelCDF": lambda: Case(GumbelCDF(), normal(4)),
    "WeibullCDF": lambda: Case(WeibullCDF(1.3, 2.2), uniform(4)),
    "KumaraswamyCDF": lambda: Case(KumaraswamyCDF(1.7, 2.2), uniform(4)),
    "Tanh": lambda: Case(Tanh(), normal(4)),
    "Softsign": lambda: Case(Softsign(), normal(4)),
    "RationalQuadraticSpline": lambda: Case(spline(), np.array([-1.9, -0.4, 0.1, 1.3, 2.7], np.float32)),
    "StickBreaking": lambda: Case(StickBreaking(), normal(4), free_out=all_but_last),
    "CentredSoftmax": lambda: Case(CentredSoftmax(), normal(4), free_out=all_but_last),
    "Ordered": lambda: Case(Ordered(), normal(4)),
    "CumulativeSum": lambda: Case(CumulativeSum(), normal(4)),
    "Reverse": lambda: Case(Reverse(), normal(4)),
    "Permute": lambda: Case(Permute((2, 0, 3, 1)), normal(4)),
    "TriangularAffine": lambda: Case(TriangularAffine(normal(4), factor(4) + 7 * np.triu(normal(4, 4), 1)), normal(4)),
    "LULinear": lambda: Case(LULinear(normal(4, 4)), normal(4)),
    "Householder": lambda: Case(Householder(normal(4)), normal(4)),
    "FillTriangular": lambda: Case(FillTriangular(), normal(6), free_out=triangle),
    "CholeskyFactor": lambda: Case(CholeskyFactor(), normal(6), free_out=triangle),
    "CorrelationFactor": lambda: Case(CorrelationFactor(), normal(6), free_out=below),
    "GramMatrix": lambda: Case(GramMatrix(), factor(3), triangle, triangle, lower),
    "Chain": lambda: Case(Chain([Tanh(), Permute((2, 0, 1)), Affine(0.5, 3.0), Softplus(), StickBreaking()]),
                          normal(3), free_out=all_but_last),
    "Chain to matrices": lambda: Case(Chain([Scale(0.5), CholeskyFactor(), GramMatrix()]), normal(6),
                                      free_out=triangle),
    "Invert": lambda: Case(Invert(Chain([Exp(), Permute((2, 0, 1))])), uniform(3)),
    "Blocks": lambda: Case(Blocks([Exp(), Ordered(), Shift(1.0)], (2, 3, 1)), normal(6)),
    "Reshape": lambda: Case(Reshape((6,), (2, 3)), normal(6)),
    "MaskedAutoregressive": lambda: Case(autoregressive(AffineMap()), normal(4)),
    "IAF": lambda: Case(Invert(autoregressive(AffineMap())), normal(4)),
    "Coupling": lambda: Case(coupling(AffineMap()), normal(5)),
    "Coupling, shift": lambda: Case(coupling(ShiftMap()), normal(5)),
    "Residual": lambda: Case(trained(Residual(5, width=12, depth=2, key=key())), normal(5)),
}  # fmt: skip
