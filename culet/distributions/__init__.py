"""Distributions, bijectors and flows. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.distributions.autoregressive import (
        AffineMap, MaskedAutoregressive, MaskedNetwork, ShiftMap, SplineMap,
    )  # fmt: skip
    from culet.distributions.bijector import Bijector
    from culet.distributions.combinators import Blocks, Chain, Invert, Reshape
    from culet.distributions.convolution import MaskedConvolution
    from culet.distributions.coupling import Coupling
    from culet.distributions.elementwise import (
        Affine, Elementwise, Exp, LeakyRelu, Log, Power, Scale, Shift, Sinh, SinhArcsinh,
    )  # fmt: skip
    from culet.distributions.flow_training import fit_to_data, fit_to_density
    from culet.distributions.flows import (
        coupling_flow, inverse_autoregressive_flow, masked_autoregressive_flow, residual_flow,
    )  # fmt: skip
    from culet.distributions.linear import Householder, LULinear, TriangularAffine
    from culet.distributions.matrices import CholeskyFactor, CorrelationFactor, FillTriangular, GramMatrix
    from culet.distributions.pixel_cnn import CategoricalPixels, LogisticPixels, PixelCNN
    from culet.distributions.residual import Residual
    from culet.distributions.spline import RationalQuadraticSpline
    from culet.distributions.squashing import (
        GumbelCDF, KumaraswamyCDF, NormalCDF, Sigmoid, Softplus, Softsign, Tanh, WeibullCDF,
    )  # fmt: skip
    from culet.distributions.vectors import CentredSoftmax, CumulativeSum, Ordered, Permute, Reverse, StickBreaking

_HOME = {
    "autoregressive": ("AffineMap", "MaskedAutoregressive", "MaskedNetwork", "ShiftMap", "SplineMap"),
    "bijector": ("Bijector",),
    "combinators": ("Blocks", "Chain", "Invert", "Reshape"),
    "convolution": ("MaskedConvolution",),
    "coupling": ("Coupling",),
    "elementwise": (
        "Affine", "Elementwise", "Exp", "LeakyRelu", "Log", "Power", "Scale", "Shift", "Sinh", "SinhArcsinh",
    ),
    "flow_training": ("fit_to_data", "fit_to_density"),
    "flows": ("coupling_flow", "inverse_autoregressive_flow", "masked_autoregressive_flow", "residual_flow"),
    "linear": ("Householder", "LULinear", "TriangularAffine"),
    "matrices": ("CholeskyFactor", "CorrelationFactor", "FillTriangular", "GramMatrix"),
    "pixel_cnn": ("CategoricalPixels", "LogisticPixels", "PixelCNN"),
    "residual": ("Residual",),
    "spline": ("RationalQuadraticSpline",),
    "squashing": (
        "GumbelCDF", "KumaraswamyCDF", "NormalCDF", "Sigmoid", "Softplus", "Softsign", "Tanh", "WeibullCDF",
    ),
    "vectors": ("CentredSoftmax", "CumulativeSum", "Ordered", "Permute", "Reverse", "StickBreaking"),
}  # fmt: skip

__all__ = [name for names in _HOME.values() for name in names]

__getattr__, __dir__ = lazy(__name__, _HOME)
