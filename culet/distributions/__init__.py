"""Distributions, bijectors and flows, and what is known of them. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.distributions.autoregressive import AffineMap, MaskedAutoregressive, MaskedNetwork, ShiftMap, SplineMap
    from culet.distributions.bijector import Bijector
    from culet.distributions.combinators import Blocks, Chain, Invert, Reshape
    from culet.distributions.convolution import MaskedConvolution
    from culet.distributions.counts import (
        BetaBinomial,
        Binomial,
        DirichletMultinomial,
        Geometric,
        LogarithmicSeries,
        Multinomial,
        NegativeBinomial,
        Poisson,
    )  # fmt: skip
    from culet.distributions.coupling import Coupling
    from culet.distributions.cut import Quantised, Truncated
    from culet.distributions.directional import (
        PowerSpherical,
        SphericalUniform,
        VonMises,
        VonMisesFisher,
        WrappedCauchy,
    )  # fmt: skip
    from culet.distributions.discrete import (
        Bernoulli,
        Categorical,
        Delta,
        DiscreteUniform,
        OneHotCategorical,
        OrderedLogistic,
        PlackettLuce,
    )  # fmt: skip
    from culet.distributions.distribution import Distribution
    from culet.distributions.divergence import kl_divergence, register_kl
    from culet.distributions.elementwise import (
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
    )  # fmt: skip
    from culet.distributions.family import Family
    from culet.distributions.flow_training import fit_to_data, fit_to_density
    from culet.distributions.flows import (
        coupling_flow,
        inverse_autoregressive_flow,
        masked_autoregressive_flow,
        residual_flow,
    )  # fmt: skip
    from culet.distributions.gamma import BetaPrime, Chi, ChiSquared, FisherSnedecor, Gamma, InverseGamma, Nakagami
    from culet.distributions.interval import Beta, ContinuousBernoulli, Kumaraswamy, RaisedCosine, Triangular, Uniform
    from culet.distributions.line import Cauchy, Gumbel, HyperbolicSecant, Laplace, Logistic, Moyal, Normal, StudentT
    from culet.distributions.linear import Householder, LULinear, TriangularAffine
    from culet.distributions.matrices import CholeskyFactor, CorrelationFactor, FillTriangular, GramMatrix
    from culet.distributions.matrix import InverseWishart, LKJCholesky, MatrixNormal, Wishart
    from culet.distributions.mixture import Mixture, ZeroInflated
    from culet.distributions.multivariate import (
        Dirichlet,
        LowRankNormal,
        MultivariateNormal,
        MultivariateStudentT,
        RelaxedOneHotCategorical,
    )  # fmt: skip
    from culet.distributions.pixel_cnn import CategoricalPixels, LogisticPixels, PixelCNN
    from culet.distributions.positive import (
        Exponential,
        HalfCauchy,
        HalfNormal,
        InverseGaussian,
        LogLogistic,
        LogNormal,
        Rayleigh,
        Weibull,
    )  # fmt: skip
    from culet.distributions.residual import Residual
    from culet.distributions.shaped import AsymmetricLaplace, GeneralisedNormal, JohnsonSU, SkewNormal
    from culet.distributions.spline import RationalQuadraticSpline
    from culet.distributions.squashing import (
        GumbelCDF,
        KumaraswamyCDF,
        NormalCDF,
        Sigmoid,
        Softplus,
        Softsign,
        Tanh,
        WeibullCDF,
    )  # fmt: skip
    from culet.distributions.squeezed import LogitNormal, RelaxedBernoulli, TruncatedNormal
    from culet.distributions.tails import BirnbaumSaunders, Frechet, Gompertz, Levy, LogUniform, Lomax, Pareto
    from culet.distributions.transformed import Independent, Masked, Transformed
    from culet.distributions.vectors import CentredSoftmax, CumulativeSum, Ordered, Permute, Reverse, StickBreaking

_HOME = {
    "autoregressive": ("AffineMap", "MaskedAutoregressive", "MaskedNetwork", "ShiftMap", "SplineMap"),
    "bijector": ("Bijector",),
    "combinators": ("Blocks", "Chain", "Invert", "Reshape"),
    "convolution": ("MaskedConvolution",),
    "counts": (
        "BetaBinomial", "Binomial", "DirichletMultinomial", "Geometric", "LogarithmicSeries", "Multinomial",
        "NegativeBinomial", "Poisson",
    ),
    "coupling": ("Coupling",),
    "cut": ("Quantised", "Truncated"),
    "directional": ("PowerSpherical", "SphericalUniform", "VonMises", "VonMisesFisher", "WrappedCauchy"),
    "discrete": (
        "Bernoulli", "Categorical", "Delta", "DiscreteUniform", "OneHotCategorical", "OrderedLogistic",
        "PlackettLuce",
    ),
    "distribution": ("Distribution",),
    "divergence": ("kl_divergence", "register_kl"),
    "elementwise": (
        "Affine", "Elementwise", "Exp", "LeakyRelu", "Log", "Power", "Scale", "Shift", "Sinh", "SinhArcsinh",
    ),
    "family": ("Family",),
    "flow_training": ("fit_to_data", "fit_to_density"),
    "flows": ("coupling_flow", "inverse_autoregressive_flow", "masked_autoregressive_flow", "residual_flow"),
    "gamma": ("BetaPrime", "Chi", "ChiSquared", "FisherSnedecor", "Gamma", "InverseGamma", "Nakagami"),
    "interval": ("Beta", "ContinuousBernoulli", "Kumaraswamy", "RaisedCosine", "Triangular", "Uniform"),
    "line": ("Cauchy", "Gumbel", "HyperbolicSecant", "Laplace", "Logistic", "Moyal", "Normal", "StudentT"),
    "linear": ("Householder", "LULinear", "TriangularAffine"),
    "matrices": ("CholeskyFactor", "CorrelationFactor", "FillTriangular", "GramMatrix"),
    "matrix": ("InverseWishart", "LKJCholesky", "MatrixNormal", "Wishart"),
    "mixture": ("Mixture", "ZeroInflated"),
    "multivariate": (
        "Dirichlet", "LowRankNormal", "MultivariateNormal", "MultivariateStudentT", "RelaxedOneHotCategorical",
    ),
    "pixel_cnn": ("CategoricalPixels", "LogisticPixels", "PixelCNN"),
    "positive": (
        "Exponential", "HalfCauchy", "HalfNormal", "InverseGaussian", "LogLogistic", "LogNormal", "Rayleigh",
        "Weibull",
    ),
    "residual": ("Residual",),
    "shaped": ("AsymmetricLaplace", "GeneralisedNormal", "JohnsonSU", "SkewNormal"),
    "spline": ("RationalQuadraticSpline",),
    "squashing": ("GumbelCDF", "KumaraswamyCDF", "NormalCDF", "Sigmoid", "Softplus", "Softsign", "Tanh", "WeibullCDF"),
    "squeezed": ("LogitNormal", "RelaxedBernoulli", "TruncatedNormal"),
    "tails": ("BirnbaumSaunders", "Frechet", "Gompertz", "Levy", "LogUniform", "Lomax", "Pareto"),
    "transformed": ("Independent", "Masked", "Transformed"),
    "vectors": ("CentredSoftmax", "CumulativeSum", "Ordered", "Permute", "Reverse", "StickBreaking"),
}  # fmt: skip

__all__ = [
    "Affine", "AffineMap", "AsymmetricLaplace", "Bernoulli", "Beta", "BetaBinomial", "BetaPrime", "Bijector",
    "Binomial", "BirnbaumSaunders", "Blocks", "Categorical", "CategoricalPixels", "Cauchy", "CentredSoftmax", "Chain",
    "Chi", "ChiSquared", "CholeskyFactor", "ContinuousBernoulli", "CorrelationFactor", "Coupling", "CumulativeSum",
    "Delta", "Dirichlet", "DirichletMultinomial", "DiscreteUniform", "Distribution", "Elementwise", "Exp",
    "Exponential", "Family", "FillTriangular", "FisherSnedecor", "Frechet", "Gamma", "GeneralisedNormal", "Geometric",
    "Gompertz", "GramMatrix", "Gumbel", "GumbelCDF", "HalfCauchy", "HalfNormal", "Householder", "HyperbolicSecant",
    "Independent", "InverseGamma", "InverseGaussian", "InverseWishart", "Invert", "JohnsonSU", "Kumaraswamy",
    "KumaraswamyCDF", "LKJCholesky", "LULinear", "Laplace", "LeakyRelu", "Levy", "Log", "LogLogistic", "LogNormal",
    "LogUniform", "LogarithmicSeries", "Logistic", "LogisticPixels", "LogitNormal", "Lomax", "LowRankNormal",
    "Masked", "MaskedAutoregressive", "MaskedConvolution", "MaskedNetwork", "MatrixNormal", "Mixture", "Moyal",
    "Multinomial", "MultivariateNormal", "MultivariateStudentT", "Nakagami", "NegativeBinomial", "Normal",
    "NormalCDF", "OneHotCategorical", "Ordered", "OrderedLogistic", "Pareto", "Permute", "PixelCNN", "PlackettLuce",
    "Poisson", "Power", "PowerSpherical", "Quantised", "RaisedCosine", "RationalQuadraticSpline", "Rayleigh",
    "RelaxedBernoulli", "RelaxedOneHotCategorical", "Reshape", "Residual", "Reverse", "Scale", "Shift", "ShiftMap",
    "Sigmoid", "Sinh", "SinhArcsinh", "SkewNormal", "Softplus", "Softsign", "SphericalUniform", "SplineMap",
    "StickBreaking", "StudentT", "Tanh", "Transformed", "Triangular", "TriangularAffine", "Truncated",
    "TruncatedNormal", "Uniform", "VonMises", "VonMisesFisher", "Weibull", "WeibullCDF", "Wishart", "WrappedCauchy",
    "ZeroInflated", "coupling_flow", "fit_to_data", "fit_to_density", "inverse_autoregressive_flow", "kl_divergence",
    "masked_autoregressive_flow", "register_kl", "residual_flow",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
