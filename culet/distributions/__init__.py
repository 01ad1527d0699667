"""Distributions, and what is known of them. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
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
    from culet.distributions.family import Family
    from culet.distributions.gamma import (
        BetaPrime,
        Chi,
        ChiSquared,
        FisherSnedecor,
        Gamma,
        InverseGamma,
        Nakagami,
    )  # fmt: skip
    from culet.distributions.interval import (
        Beta,
        ContinuousBernoulli,
        Kumaraswamy,
        RaisedCosine,
        Triangular,
        Uniform,
    )  # fmt: skip
    from culet.distributions.line import (
        Cauchy,
        Gumbel,
        HyperbolicSecant,
        Laplace,
        Logistic,
        Moyal,
        Normal,
        StudentT,
    )  # fmt: skip
    from culet.distributions.matrix import InverseWishart, LKJCholesky, MatrixNormal, Wishart
    from culet.distributions.mixture import Mixture, ZeroInflated
    from culet.distributions.multivariate import (
        Dirichlet,
        LowRankNormal,
        MultivariateNormal,
        MultivariateStudentT,
        RelaxedOneHotCategorical,
    )  # fmt: skip
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
    from culet.distributions.shaped import AsymmetricLaplace, GeneralisedNormal, JohnsonSU, SkewNormal
    from culet.distributions.squeezed import LogitNormal, RelaxedBernoulli, TruncatedNormal
    from culet.distributions.tails import BirnbaumSaunders, Frechet, Gompertz, Levy, LogUniform, Lomax, Pareto
    from culet.distributions.transformed import Independent, Masked, Transformed

_HOME = {
    "counts": (
        "BetaBinomial", "Binomial", "DirichletMultinomial", "Geometric", "LogarithmicSeries", "Multinomial",
        "NegativeBinomial", "Poisson",
    ),
    "cut": ("Quantised", "Truncated"),
    "directional": ("PowerSpherical", "SphericalUniform", "VonMises", "VonMisesFisher", "WrappedCauchy"),
    "discrete": (
        "Bernoulli", "Categorical", "Delta", "DiscreteUniform", "OneHotCategorical", "OrderedLogistic",
        "PlackettLuce",
    ),
    "distribution": ("Distribution",),
    "divergence": ("kl_divergence", "register_kl"),
    "family": ("Family",),
    "gamma": ("BetaPrime", "Chi", "ChiSquared", "FisherSnedecor", "Gamma", "InverseGamma", "Nakagami"),
    "interval": ("Beta", "ContinuousBernoulli", "Kumaraswamy", "RaisedCosine", "Triangular", "Uniform"),
    "line": ("Cauchy", "Gumbel", "HyperbolicSecant", "Laplace", "Logistic", "Moyal", "Normal", "StudentT"),
    "matrix": ("InverseWishart", "LKJCholesky", "MatrixNormal", "Wishart"),
    "mixture": ("Mixture", "ZeroInflated"),
    "multivariate": (
        "Dirichlet", "LowRankNormal", "MultivariateNormal", "MultivariateStudentT",
        "RelaxedOneHotCategorical",
    ),
    "positive": (
        "Exponential", "HalfCauchy", "HalfNormal", "InverseGaussian", "LogLogistic", "LogNormal", "Rayleigh",
        "Weibull",
    ),
    "shaped": ("AsymmetricLaplace", "GeneralisedNormal", "JohnsonSU", "SkewNormal"),
    "squeezed": ("LogitNormal", "RelaxedBernoulli", "TruncatedNormal"),
    "tails": ("BirnbaumSaunders", "Frechet", "Gompertz", "Levy", "LogUniform", "Lomax", "Pareto"),
    "transformed": ("Independent", "Masked", "Transformed"),
}  # fmt: skip

__all__ = [
    "AsymmetricLaplace", "Bernoulli", "Beta", "BetaBinomial", "BetaPrime", "Binomial", "BirnbaumSaunders",
    "Categorical", "Cauchy", "Chi", "ChiSquared", "ContinuousBernoulli", "Delta", "Dirichlet",
    "DirichletMultinomial", "DiscreteUniform", "Distribution", "Exponential", "Family", "FisherSnedecor",
    "Frechet", "Gamma", "GeneralisedNormal", "Geometric", "Gompertz", "Gumbel", "HalfCauchy", "HalfNormal",
    "HyperbolicSecant", "Independent", "InverseGamma", "InverseGaussian", "InverseWishart", "JohnsonSU",
    "Kumaraswamy", "LKJCholesky", "Laplace", "Levy", "LogLogistic", "LogNormal", "LogUniform",
    "LogarithmicSeries", "Logistic", "LogitNormal", "Lomax", "LowRankNormal", "Masked", "MatrixNormal",
    "Mixture", "Moyal", "Multinomial", "MultivariateNormal", "MultivariateStudentT", "Nakagami",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OrderedLogistic", "Pareto", "PlackettLuce", "Poisson",
    "PowerSpherical", "Quantised", "RaisedCosine", "Rayleigh", "RelaxedBernoulli", "RelaxedOneHotCategorical",
    "SkewNormal", "SphericalUniform", "StudentT", "Transformed", "Triangular", "Truncated", "TruncatedNormal",
    "Uniform", "VonMises", "VonMisesFisher", "Weibull", "Wishart", "WrappedCauchy", "ZeroInflated",
    "kl_divergence", "register_kl",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
