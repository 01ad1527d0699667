"""The table of all distributions: each with a batch of two, and what it is compared with.

Axis letters: N draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy import special

import culet.distributions as d
from tests.distributions.references import Each, Formula, Mapped

stats: Any = scipy.stats  # whose classes are not known to the type checker
TRIL = np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.3, 0.0], [-0.2, 0.7]]])
WEIGHTS = np.array([[0.5, -1.0, 0.2], [2.0, 0.0, 1.0]])
CHANCES = special.softmax(WEIGHTS, -1)
VALUES = np.array([[0.5, -1.0], [1.0, 2.0]])
NORTH = np.array([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]])


@dataclass
class Member:
    """A distribution, what has its log-density, and for events of more than a number: outsiders and a grid."""

    make: Callable[[], d.Distribution]
    reference: Any
    outside: Any = None
    """Values [*E] that are not in the support; of numbers the support tells."""
    grid: Callable | None = None
    """Points [N, *E] and weights [N] of a rule of integration."""


def row(kind: type, reference: Callable, outside=None, grid=None, **parameters) -> tuple[str, Member]:
    """A family by its parameters, from which `reference` makes what it is compared with."""
    arrays = {name: np.asarray(value, float) for name, value in parameters.items()}
    return kind.__name__, Member(lambda: kind(**parameters_of(arrays)), reference(**arrays), outside, grid)


def parameters_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def each(density: Callable) -> Callable:
    """A reference of events of more than a number: `density(value, **parameters of one of the batch)`."""

    def reference(**arrays):
        count = len(next(iter(arrays.values())))
        pieces = [{name: array[i] for name, array in arrays.items()} for i in range(count)]
        return Each([lambda x, piece=piece: density(x, **piece) for piece in pieces])

    return reference


def classes(chances: np.ndarray) -> Formula:
    """Chances [2, K] of the numbers 0 to K - 1."""
    number = np.arange(chances.shape[-1])
    below = np.cumsum(chances, -1)
    mean = chances @ number

    def pick(table, x):
        return np.stack([table[i][x[..., i].astype(int)] for i in range(2)], -1)

    var = chances @ number**2 - mean**2
    return Formula(lambda x: np.log(pick(chances, x)), lambda x: pick(below, x), lambda: mean, lambda: var)


def continuous_bernoulli(logits):
    return Formula(
        lambda x: logits * x - np.log(np.expm1(logits) / logits), lambda x: np.expm1(logits * x) / np.expm1(logits)
    )


def mapped_to_unit(base):
    return Mapped(base, special.logit, lambda y: -np.log(y) - np.log1p(-y))


def kumaraswamy(a, b):
    return Mapped(stats.beta(1, b), lambda x: x**a, lambda x: np.log(a) + (a - 1) * np.log(x))


def relaxed_bernoulli(temperature, logits):
    return mapped_to_unit(stats.logistic(logits / temperature, 1 / temperature))


def wrapped_cauchy(loc, concentration):
    c = concentration
    return Formula(lambda x: np.log((1 - c * c) / (2 * np.pi * (1 + c * c - 2 * c * np.cos(x - loc)))))


def ordered(loc, cutpoints):
    below = special.expit(cutpoints - loc[:, None])
    return classes(np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=(0, 1)), axis=-1))


def relaxed_one_hot(x, temperature, logits):
    chances, size = special.softmax(logits), len(logits)
    terms = chances * x**-temperature
    norm = np.log(terms.sum()) * size - np.log(terms / x).sum()
    return special.gammaln(size) + (size - 1) * np.log(temperature) - norm


def plackett_luce(x, logits):
    left, total = list(np.exp(logits)), 0.0
    for place in x.astype(int):
        total += logits[place] - np.log(sum(left))
        left[place] = 0
    return total


def lkj(x, concentration):
    """The density of one correlation r, on the scale of the entry below the diagonal."""
    c = concentration
    return (2 * c - 2) * np.log(x[1, 1]) - special.betaln(0.5, c)


def power_spherical(x, direction, concentration):
    a, b = 1 + concentration, 1.0  # in three dimensions
    norm = (a + b) * np.log(2) + b * np.log(np.pi) + special.gammaln(a) - special.gammaln(a + b)
    return concentration * np.log1p(x @ direction) - norm


def low_rank(x, loc, factor, diagonal):
    return stats.multivariate_normal(loc, factor @ factor.T + np.diag(diagonal)).logpdf(x)


def normal_of_matrices(x, loc, row_tril, column_tril):
    return stats.matrix_normal(loc, row_tril @ row_tril.T, column_tril @ column_tril.T).logpdf(x)


LINE = dict(loc=[-1.0, 2.0], scale=[0.5, 3.0])
ON_LINE = [
    row(d.Normal, stats.norm, **LINE),
    row(d.Cauchy, stats.cauchy, **LINE),
    row(d.Laplace, stats.laplace, **LINE),
    row(d.Logistic, stats.logistic, **LINE),
    row(d.Gumbel, stats.gumbel_r, **LINE),
    row(d.Moyal, stats.moyal, **LINE),
    row(d.HyperbolicSecant, stats.hypsecant, **LINE),
    row(d.StudentT, stats.t, df=[1.5, 40.0], **LINE),
    row(
        d.AsymmetricLaplace, lambda asymmetry, **p: stats.laplace_asymmetric(asymmetry, **p), asymmetry=[0.5, 2], **LINE
    ),
    row(d.SkewNormal, lambda skew, **p: stats.skewnorm(skew, **p), skew=[-2.0, 4.0], **LINE),
    row(d.GeneralisedNormal, lambda power, **p: stats.gennorm(power, **p), power=[1.3, 5.0], **LINE),
    row(d.JohnsonSU, lambda skew, tail, **p: stats.johnsonsu(skew, tail, **p), skew=[-1, 2], tail=[1.5, 3.0], **LINE),
]
TWO = dict(concentration=[0.7, 3.5], scale=[0.5, 2.0])
LIGHTER = dict(concentration=[2.5, 5.5], scale=[0.5, 2.0])
POSITIVE = [
    row(d.Exponential, lambda rate: stats.expon(scale=1 / rate), rate=[0.5, 3.0]),
    row(d.Weibull, lambda concentration, scale: stats.weibull_min(concentration, scale=scale), **TWO),
    row(d.Rayleigh, lambda scale: stats.rayleigh(scale=scale), scale=[0.5, 3.0]),
    row(d.HalfNormal, lambda scale: stats.halfnorm(scale=scale), scale=[0.5, 3.0]),
    row(d.HalfCauchy, lambda scale: stats.halfcauchy(scale=scale), scale=[0.5, 3.0]),
    row(d.LogNormal, lambda loc, scale: stats.lognorm(scale, scale=np.exp(loc)), loc=[-1.0, 0.5], scale=[0.3, 1.2]),
    row(d.LogLogistic, lambda concentration, scale: stats.fisk(concentration, scale=scale), **LIGHTER),
    row(d.Frechet, lambda concentration, scale: stats.invweibull(concentration, scale=scale), **LIGHTER),
    row(
        d.InverseGaussian,
        lambda loc, concentration: stats.invgauss(loc / concentration, scale=concentration),
        loc=[0.5, 2.0],
        concentration=[3.0, 1.0],
    ),
    row(d.Pareto, lambda concentration, scale: stats.pareto(concentration, scale=scale), **LIGHTER),
    row(d.Lomax, lambda concentration, scale: stats.lomax(concentration, scale=scale), **LIGHTER),
    row(d.Levy, lambda scale: stats.levy(scale=scale), scale=[0.5, 3.0]),
    row(
        d.Gompertz,
        lambda concentration, rate: stats.gompertz(concentration, scale=1 / rate),
        concentration=[0.2, 2.0],
        rate=[2.0, 0.5],
    ),
    row(
        d.BirnbaumSaunders,
        lambda spread, scale: stats.fatiguelife(spread, scale=scale),
        spread=[0.5, 2],
        scale=[1, 3.0],
    ),
    row(
        d.Gamma,
        lambda concentration, rate: stats.gamma(concentration, scale=1 / rate),
        concentration=[0.3, 5],
        rate=[2, 0.5],
    ),
    row(d.ChiSquared, stats.chi2, df=[1.0, 7.5]),
    row(d.Chi, stats.chi, df=[1.0, 7.5]),
    row(
        d.Nakagami,
        lambda concentration, spread: stats.nakagami(concentration, scale=spread**0.5),
        concentration=[0.8, 3],
        spread=[2, 0.5],
    ),
    row(d.InverseGamma, lambda concentration, scale: stats.invgamma(concentration, scale=scale), **LIGHTER),
    row(d.BetaPrime, stats.betaprime, a=[0.5, 3.0], b=[4.5, 6.0]),
    row(d.FisherSnedecor, lambda df1, df2: stats.f(df1, df2), df1=[3.0, 8.0], df2=[9.0, 12.0]),
]
UNIT = dict(a=[0.5, 3.0], b=[0.7, 2.0])
ON_INTERVAL = [
    row(d.Uniform, lambda low, high: stats.uniform(low, high - low), low=[-1.0, 2.0], high=[1.0, 5.0]),
    row(d.LogUniform, lambda low, high: stats.loguniform(low, high), low=[0.1, 2.0], high=[1.0, 50.0]),
    row(d.Beta, stats.beta, **UNIT),
    row(d.Kumaraswamy, kumaraswamy, **UNIT),
    row(
        d.Triangular,
        lambda low, peak, high: stats.triang((peak - low) / (high - low), low, high - low),
        low=[-1, 2],
        peak=[0, 3.5],
        high=[3, 4],
    ),
    row(d.RaisedCosine, lambda loc, scale: stats.cosine(loc, scale / np.pi), **LINE),
    row(d.ContinuousBernoulli, continuous_bernoulli, logits=[-3.0, 4.0]),
    row(d.LogitNormal, lambda loc, scale: mapped_to_unit(stats.norm(loc, scale)), loc=[-1.0, 0.5], scale=[0.5, 2.0]),
    row(d.RelaxedBernoulli, relaxed_bernoulli, temperature=[0.5, 1.5], logits=[-1.0, 0.5]),
    row(
        d.TruncatedNormal,
        lambda low, high, loc, scale: stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale),
        low=[0.5, -1.0],
        high=[3.0, 7.0],
        **LINE,
    ),
    row(
        d.VonMises,
        lambda loc, concentration: Formula(stats.vonmises(concentration, loc).logpdf),
        loc=[-1.0, 2.0],
        concentration=[0.5, 8.0],
    ),
    row(d.WrappedCauchy, wrapped_cauchy, loc=[-1.0, 2.0], concentration=[0.2, 0.8]),
]
TRIALS = dict(total=[5.0, 12.0], logits=[-1.0, 0.7])
WHOLE = [
    row(d.Bernoulli, lambda logits: stats.bernoulli(special.expit(logits)), logits=[-1.0, 0.7]),
    row(d.Categorical, lambda logits: classes(special.softmax(logits, -1)), logits=WEIGHTS),
    row(d.OrderedLogistic, ordered, loc=[0.3, -1.0], cutpoints=[[-1.0, 0.5, 2.0], [-2.0, 0.0, 0.5]]),
    row(d.DiscreteUniform, lambda low, high: stats.randint(low, high + 1), low=[-2.0, 3.0], high=[3.0, 9.0]),
    row(d.Delta, lambda value: Formula(lambda x: np.where(x == value, 0.0, -np.inf)), value=[-1.5, 2.0]),
    row(d.Poisson, lambda rate: stats.poisson(rate), rate=[0.7, 8.0]),
    row(d.Binomial, lambda total, logits: stats.binom(total, special.expit(logits)), **TRIALS),
    row(d.Geometric, lambda logits: stats.geom(special.expit(logits), -1), logits=[-1.0, 0.7]),
    row(
        d.NegativeBinomial,
        lambda concentration, logits: stats.nbinom(concentration, special.expit(logits)),
        concentration=[0.7, 6.0],
        logits=[-1.0, 0.7],
    ),
    row(d.BetaBinomial, lambda total, a, b: stats.betabinom(total, a, b), total=[5.0, 12.0], **UNIT),
    row(d.LogarithmicSeries, lambda probability: stats.logser(probability), probability=[0.3, 0.9]),
]
