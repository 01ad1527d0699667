"""Bijectors: invertible maps with known log determinants. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.distributions.bijectors.bijector import Bijector, Blocks, Chain, Invert, Reshape
    from culet.distributions.bijectors.elementwise import (
        Affine,
        Elementwise,
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

_HOME = {
    "bijector": ("Bijector", "Blocks", "Chain", "Invert", "Reshape"),
    "elementwise": (
        "Affine", "Elementwise", "Exp", "LeakyRelu", "Log", "Power", "Scale", "Shift", "Sinh", "SinhArcsinh",
    ),
    "linear": ("Householder", "LULinear", "TriangularAffine"),
    "matrices": ("CholeskyFactor", "CorrelationFactor", "FillTriangular", "GramMatrix"),
    "spline": ("RationalQuadraticSpline",),
    "squashing": (
        "GumbelCDF", "KumaraswamyCDF", "NormalCDF", "Sigmoid", "Softplus", "Softsign", "Tanh", "WeibullCDF",
    ),
    "vectors": ("CentredSoftmax", "CumulativeSum", "Ordered", "Permute", "Reverse", "StickBreaking"),
}  # fmt: skip

__all__ = [
    "Affine", "Bijector", "Blocks", "CentredSoftmax", "Chain", "CholeskyFactor", "CorrelationFactor",
    "CumulativeSum", "Elementwise", "Exp", "FillTriangular", "GramMatrix", "GumbelCDF", "Householder", "Invert",
    "KumaraswamyCDF", "LULinear", "LeakyRelu", "Log", "NormalCDF", "Ordered", "Permute", "Power",
    "RationalQuadraticSpline", "Reshape", "Reverse", "Scale", "Shift", "Sigmoid", "Sinh", "SinhArcsinh", "Softplus",
    "Softsign", "StickBreaking", "Tanh", "TriangularAffine", "WeibullCDF",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
