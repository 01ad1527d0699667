"""Kullback-Leibler divergences in closed form, by a registry of pairs.

Axis letters: none; batches broadcast together.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float

from culet.distributions.bijectors.bijector import sum_last
from culet.distributions.bounded import Uniform
from culet.distributions.counts import Binomial, Geometric, NegativeBinomial, Poisson
from culet.distributions.discrete import Bernoulli, Categorical, OneHotCategorical
from culet.distributions.distribution import Distribution
from culet.distributions.family import Family
from culet.distributions.gamma import Gamma, InverseGamma
from culet.distributions.multivariate import Dirichlet, MultivariateNormal, log_diagonal, whiten
from culet.distributions.numerics import EULER, log_beta, softplus
from culet.distributions.positive import Exponential, HalfNormal, LogNormal, Weibull
from culet.distributions.real_line import Cauchy, Gumbel, Laplace, Normal
from culet.distributions.transformed import Independent
from culet.distributions.unit_interval import Beta

Formula = Callable[[Any, Any], Array]
_FORMULAS: dict[tuple[type, type], Formula] = {}


def register_kl(first: type[Distribution], second: type[Distribution]) -> Callable[[Formula], Formula]:
    """A decorator that makes `formula(p, q)` the divergence of classes `first` and `second` and those below them.

    Families come to the formula with parameters of equal rank, and its result is broadcast.
    """

    def add(formula: Formula) -> Formula:
        _FORMULAS[first, second] = formula
        return formula

    return add


def kl_divergence(p: Distribution, q: Distribution) -> Float[Array, "..."]:
    """KL(p || q), the expectation under `p` of `log p - log q`, in nats, for each of their common batch.

    Raises:
        NotImplementedError: nothing is registered for this pair.
        ValueError: the batch shapes do not broadcast, or the event shapes differ.
    """
    if p.event_shape != q.event_shape:
        raise ValueError(f"kl_divergence: the event shapes {p.event_shape} and {q.event_shape} differ")
    for first in type(p).__mro__:
        for second in type(q).__mro__:
            if formula := _FORMULAS.get((first, second)):
                if isinstance(p, Family) and isinstance(q, Family):
                    return _of_families(formula, p, q)
                return formula(p, q)
    raise NotImplementedError(
        f"no closed form is registered for KL({type(p).__name__} || {type(q).__name__}); register_kl adds one"
    )


def _of_families(formula: Formula, p: Family, q: Family) -> Array:
    shape = jnp.broadcast_shapes(p.batch_shape, q.batch_shape)
    return jnp.broadcast_to(formula(p.at_rank(len(shape)), q.at_rank(len(shape))), shape)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Array:
    if p.ndims != q.ndims:
        raise ValueError(f"kl_divergence: the Independent distributions have ndims {p.ndims} and {q.ndims}")
    return sum_last(kl_divergence(p.base, q.base), p.ndims)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Array:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - jnp.log(ratio))


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Array:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - jnp.log(ratio))


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Array:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio - 1 - jnp.log(ratio))


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Array:
    columns = jnp.swapaxes(p.scale_tril, -1, -2)
    whitened = whiten(q.scale_tril[..., None, :, :], columns)
    gap = whiten(q.scale_tril, p.loc - q.loc)
    square = (whitened**2).sum((-1, -2)) + (gap**2).sum(-1)
    return 0.5 * (square - gap.shape[-1]) + log_diagonal(q.scale_tril) - log_diagonal(p.scale_tril)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Array:
    gap = jnp.abs(p.loc - q.loc)
    return (p.scale * jnp.exp(-gap / p.scale) + gap) / q.scale + jnp.log(q.scale / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Array:
    """Chyzak and Nielsen (2019)."""
    return jnp.log(((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale))


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Array:
    ratio, gap = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return -jnp.log(ratio) + EULER * (ratio - 1) - gap + jnp.exp(gap + gammaln(ratio + 1)) - 1


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Array:
    within = (q.low <= p.low) & (p.high <= q.high)
    return jnp.where(within, jnp.log((q.high - q.low) / (p.high - p.low)), jnp.inf)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Array:
    ratio = q.rate / p.rate
    return ratio - 1 - jnp.log(ratio)


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Array:
    return _gamma_form(p.concentration, p.rate, q.concentration, q.rate)


@register_kl(InverseGamma, InverseGamma)
def _inverse_gamma(p: InverseGamma, q: InverseGamma) -> Array:
    return _gamma_form(p.concentration, p.scale, q.concentration, q.scale)


def _gamma_form(a: Array, rate: Array, other_a: Array, other_rate: Array) -> Array:
    shapes = (a - other_a) * digamma(a) - gammaln(a) + gammaln(other_a)
    return shapes + other_a * jnp.log(rate / other_rate) + a * (other_rate / rate - 1)


@register_kl(Weibull, Weibull)
def _weibull(p: Weibull, q: Weibull) -> Array:
    """Bauckhage (2013)."""
    k, other, ratio = p.concentration, q.concentration, p.scale / q.scale
    logs = jnp.log(k / other) - other * jnp.log(ratio) + (other / k - 1) * EULER - 1
    return logs + jnp.exp(other * jnp.log(ratio) + gammaln(other / k + 1))


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Array:
    total = p.a + p.b
    slopes = (p.a - q.a) * digamma(p.a) + (p.b - q.b) * digamma(p.b)
    return log_beta(q.a, q.b) - log_beta(p.a, p.b) + slopes + (q.a + q.b - total) * digamma(total)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Array:
    a, b = p.concentration, q.concentration
    total, other = a.sum(-1), b.sum(-1)
    logs = digamma(a) - digamma(total)[..., None]
    return gammaln(total) - gammaln(other) + (gammaln(b) - gammaln(a) + (a - b) * logs).sum(-1)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Array:
    return _bernoulli_form(p.logits, q.logits)


def _bernoulli_form(logits: Array, other: Array) -> Array:
    return jax.nn.sigmoid(logits) * (logits - other) + softplus(other) - softplus(logits)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Array:
    """Infinite for different totals, unless q has the larger one, for which there is no closed form: NaN."""
    same = p.total * _bernoulli_form(p.logits, q.logits)
    return jnp.where(p.total == q.total, same, jnp.where(p.total > q.total, jnp.inf, jnp.nan))


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Array:
    return _bernoulli_form(p.logits, q.logits) / jax.nn.sigmoid(p.logits)


@register_kl(NegativeBinomial, NegativeBinomial)
def _negative_binomial(p: NegativeBinomial, q: NegativeBinomial) -> Array:
    """NaN for different concentrations, which have no closed form."""
    same = p.concentration * _bernoulli_form(p.logits, q.logits) / jax.nn.sigmoid(p.logits)
    return jnp.where(p.concentration == q.concentration, same, jnp.nan)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Array:
    return p.rate * jnp.log(p.rate / q.rate) + q.rate - p.rate


@register_kl(Categorical, Categorical)
@register_kl(OneHotCategorical, OneHotCategorical)
def _categorical(p: Categorical | OneHotCategorical, q: Categorical | OneHotCategorical) -> Array:
    logs, other = jax.nn.log_softmax(p.logits), jax.nn.log_softmax(q.logits)
    masses = jnp.exp(logs)
    return (masses * jnp.where(masses > 0, logs - other, 0)).sum(-1)
