"""Distributions, bijectors and flows. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy
from culet.distributions import bijectors, flows

if TYPE_CHECKING:
    from culet.distributions.bijectors import *  # noqa: F403
    from culet.distributions.bounded import LogUniform, RaisedCosine, Triangular, Uniform
    from culet.distributions.counts import (
        BetaBinomial,
        Binomial,
        DirichletMultinomial,
        Geometric,
        LogarithmicSeries,
        Multinomial,
        NegativeBinomial,
        Poisson,
    )
    from culet.distributions.directional import (
        PowerSpherical,
        SphericalUniform,
        VonMises,
        VonMisesFisher,
        WrappedCauchy,
    )
    from culet.distributions.discrete import (
        Bernoulli,
        Categorical,
        Delta,
        DiscreteUniform,
        OneHotCategorical,
        OrderedLogistic,
        PlackettLuce,
    )
    from culet.distributions.distribution import Distribution
    from culet.distributions.divergence import kl_divergence, register_kl
    from culet.distributions.family import Family
    from culet.distributions.flows import *  # noqa: F403
    from culet.distributions.gamma import BetaPrime, Chi, ChiSquared, FisherSnedecor, Gamma, InverseGamma, Nakagami
    from culet.distributions.heavy_tailed import Frechet, HalfCauchy, Levy, LogLogistic, Lomax, Pareto
    from culet.distributions.matrix import InverseWishart, LKJCholesky, MatrixNormal, Wishart
    from culet.distributions.mixture import Mixture, ZeroInflated
    from culet.distributions.multivariate import (
        Dirichlet,
        LowRankNormal,
        MultivariateNormal,
        MultivariateStudentT,
        RelaxedOneHotCategorical,
    )
    from culet.distributions.positive import (
        BirnbaumSaunders,
        Exponential,
        Gompertz,
        HalfNormal,
        InverseGaussian,
        LogNormal,
        Rayleigh,
        Weibull,
    )
    from culet.distributions.quantised import Quantised
    from culet.distributions.real_line import (
        AsymmetricLaplace,
        Cauchy,
        GeneralisedNormal,
        Gumbel,
        HyperbolicSecant,
        JohnsonSU,
        Laplace,
        Logistic,
        Moyal,
        Normal,
        SkewNormal,
        StudentT,
    )
    from culet.distributions.transformed import Independent, Masked, Transformed
    from culet.distributions.truncated import Truncated, TruncatedNormal
    from culet.distributions.unit_interval import Beta, ContinuousBernoulli, Kumaraswamy, LogitNormal, RelaxedBernoulli

_HOME = {
    "bounded": ("LogUniform", "RaisedCosine", "Triangular", "Uniform"),
    "counts": (
        "BetaBinomial", "Binomial", "DirichletMultinomial", "Geometric", "LogarithmicSeries", "Multinomial",
        "NegativeBinomial", "Poisson",
    ),
    "directional": ("PowerSpherical", "SphericalUniform", "VonMises", "VonMisesFisher", "WrappedCauchy"),
    "discrete": (
        "Bernoulli", "Categorical", "Delta", "DiscreteUniform", "OneHotCategorical", "OrderedLogistic",
        "PlackettLuce",
    ),
    "distribution": ("Distribution",),
    "divergence": ("kl_divergence", "register_kl"),
    "family": ("Family",),
    "gamma": ("BetaPrime", "Chi", "ChiSquared", "FisherSnedecor", "Gamma", "InverseGamma", "Nakagami"),
    "heavy_tailed": ("Frechet", "HalfCauchy", "Levy", "LogLogistic", "Lomax", "Pareto"),
    "matrix": ("InverseWishart", "LKJCholesky", "MatrixNormal", "Wishart"),
    "mixture": ("Mixture", "ZeroInflated"),
    "multivariate": (
        "Dirichlet", "LowRankNormal", "MultivariateNormal", "MultivariateStudentT", "RelaxedOneHotCategorical",
    ),
    "positive": (
        "BirnbaumSaunders", "Exponential", "Gompertz", "HalfNormal", "InverseGaussian", "LogNormal", "Rayleigh",
        "Weibull",
    ),
    "quantised": ("Quantised",),
    "real_line": (
        "AsymmetricLaplace", "Cauchy", "GeneralisedNormal", "Gumbel", "HyperbolicSecant", "JohnsonSU", "Laplace",
        "Logistic", "Moyal", "Normal", "SkewNormal", "StudentT",
    ),
    "transformed": ("Independent", "Masked", "Transformed"),
    "truncated": ("Truncated", "TruncatedNormal"),
    "unit_interval": ("Beta", "ContinuousBernoulli", "Kumaraswamy", "LogitNormal", "RelaxedBernoulli"),
    "bijectors": bijectors.__all__,
    "flows": flows.__all__,
}  # fmt: skip

__all__ = [
    "AsymmetricLaplace", "Bernoulli", "Beta", "BetaBinomial", "BetaPrime", "Binomial", "BirnbaumSaunders",
    "Categorical", "Cauchy", "Chi", "ChiSquared", "ContinuousBernoulli", "Delta", "Dirichlet",
    "DirichletMultinomial", "DiscreteUniform", "Distribution", "Exponential", "Family", "FisherSnedecor", "Frechet",
    "Gamma", "GeneralisedNormal", "Geometric", "Gompertz", "Gumbel", "HalfCauchy", "HalfNormal", "HyperbolicSecant",
    "Independent", "InverseGamma", "InverseGaussian", "InverseWishart", "JohnsonSU", "Kumaraswamy", "LKJCholesky",
    "Laplace", "Levy", "LogLogistic", "LogNormal", "LogUniform", "LogarithmicSeries", "Logistic", "LogitNormal",
    "Lomax", "LowRankNormal", "Masked", "MatrixNormal", "Mixture", "Moyal", "Multinomial", "MultivariateNormal",
    "MultivariateStudentT", "Nakagami", "NegativeBinomial", "Normal", "OneHotCategorical", "OrderedLogistic",
    "Pareto", "PlackettLuce", "Poisson", "PowerSpherical", "Quantised", "RaisedCosine", "Rayleigh",
    "RelaxedBernoulli", "RelaxedOneHotCategorical", "SkewNormal", "SphericalUniform", "StudentT", "Transformed",
    "Triangular", "Truncated", "TruncatedNormal", "Uniform", "VonMises", "VonMisesFisher", "Weibull", "Wishart",
    "WrappedCauchy", "ZeroInflated", "kl_divergence", "register_kl",
]  # fmt: skip
__all__ += bijectors.__all__
__all__ += flows.__all__

__getattr__, __dir__ = lazy(__name__, _HOME)
