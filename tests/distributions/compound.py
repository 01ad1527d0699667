"""The rest of the table: vectors, matrices, directions, and distributions made of others."""

import jax.numpy as jnp
import numpy as np
from scipy import special

import culet.distributions as d
from culet.distributions.bijectors.bijector import Bijector
from tests.distributions import references as r
from tests.distributions.members import (
    CHANCES,
    NORTH,
    TRIL,
    VALUES,
    WEIGHTS,
    Member,
    each,
    lkj,
    low_rank,
    normal_of_matrices,
    plackett_luce,
    power_spherical,
    relaxed_one_hot,
    row,
    stats,
)  # fmt: skip
from tests.distributions.references import Each, Formula


class Doubling(Bijector):
    """y = exp(2 x), of numbers."""

    @property
    def event_ndims_in(self):
        return 0

    @property
    def event_ndims_out(self):
        return 0

    def forward_and_log_det(self, x):
        return jnp.exp(2 * x), jnp.log(2.0) + 2 * x

    def inverse_and_log_det(self, y):
        x = 0.5 * jnp.log(jnp.where(y > 0, y, 1))
        return x, jnp.where(y > 0, -jnp.log(2.0) - 2 * x, -jnp.inf)


VECTORS = [
    row(
        d.MultivariateNormal,
        each(lambda x, loc, scale_tril: stats.multivariate_normal(loc, scale_tril @ scale_tril.T).logpdf(x)),
        [0.0, np.inf],
        r.plane,
        loc=VALUES,
        scale_tril=TRIL,
    ),
    row(
        d.LowRankNormal,
        each(low_rank),
        [0.0, np.inf],
        r.plane,
        loc=VALUES,
        factor=VALUES[..., None],
        diagonal=[[0.5, 1], [2, 0.3]],
    ),
    row(
        d.MultivariateStudentT,
        each(lambda x, loc, scale_tril, df: stats.multivariate_t(loc, scale_tril @ scale_tril.T, df).logpdf(x)),
        [0.0, np.inf],
        r.plane,
        loc=VALUES,
        scale_tril=TRIL,
        df=[5.0, 9.0],
    ),
    row(
        d.Dirichlet,
        each(lambda x, concentration: stats.dirichlet(concentration).logpdf(x / x.sum())),
        [0.7, 0.7],
        r.segment,
        concentration=[[0.8, 3.0], [2.0, 1.5]],
    ),
    row(
        d.RelaxedOneHotCategorical, each(relaxed_one_hot), [0.7, 0.7], r.segment, temperature=[0.7, 1.5], logits=VALUES
    ),
    row(d.OneHotCategorical, each(lambda x, logits: np.log(x @ special.softmax(logits))), [1, 1, 0], logits=WEIGHTS),
    row(
        d.Multinomial,
        each(lambda x, total, logits: stats.multinomial(total, special.softmax(logits)).logpmf(x)),
        [1, 1, 0],
        total=[4, 7],
        logits=WEIGHTS,
    ),
    row(
        d.DirichletMultinomial,
        each(
            lambda x, total, concentration: stats.dirichlet_multinomial(concentration, int(total)).logpmf(x.astype(int))
        ),
        [1, 1, 0],
        total=[4, 7],
        concentration=[[0.8, 3, 1], [2, 1.5, 9]],
    ),
    row(d.PlackettLuce, each(plackett_luce), [0, 1, 1], logits=WEIGHTS),
    row(
        d.VonMisesFisher,
        each(
            lambda x, direction, concentration: stats.vonmises_fisher(direction, concentration).logpdf(
                x / np.linalg.norm(x)
            )
        ),
        [1, 1, 0],
        r.sphere,
        direction=NORTH,
        concentration=[0.5, 9.0],
    ),
    row(d.PowerSpherical, each(power_spherical), [1, 1, 0], r.sphere, direction=NORTH, concentration=[0.5, 9.0]),
]
NEGATIVE = -np.eye(2)
LKJ = np.array([0.8, 3.0])
MATRICES = [
    row(
        d.MatrixNormal,
        each(normal_of_matrices),
        np.full((1, 2), np.inf),
        r.matrices,
        loc=VALUES[:, None, :],
        row_tril=[[[2.0]], [[0.5]]],
        column_tril=TRIL,
    ),
    row(
        d.Wishart,
        each(lambda x, df, scale_tril: stats.wishart(df, scale_tril @ scale_tril.T).logpdf(x)),
        NEGATIVE,
        df=[3.5, 7],
        scale_tril=TRIL,
    ),
    row(
        d.InverseWishart,
        each(lambda x, df, scale_tril: stats.invwishart(df, scale_tril @ scale_tril.T).logpdf(x)),
        NEGATIVE,
        df=[9.5, 12],
        scale_tril=TRIL,
    ),
    (
        "LKJCholesky",
        Member(
            lambda: d.LKJCholesky(2, LKJ.astype(np.float32)),
            each(lkj)(concentration=LKJ),
            np.ones((2, 2)),
            r.correlations,
        ),
    ),
]


def _mixture():
    normals = stats.norm(np.array([[-2.0, 0, 3], [1, 5, -1]]), np.array([[0.5, 1, 0.3], [2, 0.4, 1]]))
    mean = (CHANCES * normals.mean()).sum(-1)
    var = (CHANCES * (normals.var() + (normals.mean() - mean[:, None]) ** 2)).sum(-1)
    return Formula(
        lambda x: special.logsumexp(normals.logpdf(x[..., None]), -1, b=CHANCES),
        lambda x: (CHANCES * normals.cdf(x[..., None])).sum(-1),
        lambda: mean,
        lambda: var,
    )


def _zero_inflated():
    base, zero = stats.poisson([0.7, 8.0]), special.expit(np.array([-1.0, 0.7]))
    mean = (1 - zero) * base.mean()
    return Formula(
        lambda x: np.log(zero * (x == 0) + (1 - zero) * base.pmf(x)),
        mean=lambda: mean,
        var=lambda: (1 - zero) * (base.var() + zero * base.mean() ** 2),
    )


def _truncated():
    base, low, high = stats.gumbel_r([-1.0, 2.0], [0.5, 3.0]), np.array([-1.5, 0]), np.array([0.0, np.inf])
    share = base.cdf(high) - base.cdf(low)
    return Formula(lambda x: base.logpdf(x) - np.log(share), lambda x: (base.cdf(x) - base.cdf(low)) / share)


def _quantised():
    base, low, high = stats.logistic([-1.0, 2.0], [0.5, 3.0]), np.array([-3.0, 0]), np.array([0.0, 9])

    def top(x):
        return np.where(x >= high, 1, base.cdf(x))

    return Formula(lambda x: np.log(top(x) - np.where(x <= low, 0, base.cdf(x - 1))), top)


LINE = dict(loc=np.array([-1.0, 2.0], np.float32), scale=np.array([0.5, 3.0], np.float32))
_independent = Each([stats.norm([0.5, -1.0], [1.0, 2.0]).logpdf, stats.norm([1.0, 2.0], [3.0, 1.0]).logpdf])
MADE = [
    (
        "Mixture",
        Member(
            lambda: d.Mixture(
                WEIGHTS.astype(np.float32), d.Normal([[-2.0, 0, 3], [1, 5, -1]], [[0.5, 1, 0.3], [2, 0.4, 1]])
            ),
            _mixture(),
        ),
    ),
    ("ZeroInflated", Member(lambda: d.ZeroInflated(d.Poisson([0.7, 8.0]), [-1.0, 0.7]), _zero_inflated())),
    ("Truncated", Member(lambda: d.Truncated(d.Gumbel(**LINE), [-1.5, 0.0], [0.0, np.inf]), _truncated())),
    ("Quantised", Member(lambda: d.Quantised(d.Logistic(**LINE), [-3.0, 0.0], [0.0, 9.0]), _quantised())),
    (
        "Masked",
        Member(
            lambda: d.Masked(d.Normal(**LINE), jnp.array([True, False])),
            Formula(lambda x: np.where([True, False], stats.norm(**LINE).logpdf(x), 0)),
        ),
    ),
    (
        "Transformed",
        Member(
            lambda: d.Transformed(d.Normal([-1.0, 2.0], [0.5, 0.7]), Doubling()),
            stats.lognorm([1.0, 1.4], scale=np.exp([-2.0, 4.0])),
        ),
    ),
    (
        "Independent",
        Member(
            lambda: d.Independent(d.Normal(VALUES.astype(np.float32), [[1.0, 2], [3, 1]]), 1),
            Each([lambda x, f=f: f(x).sum() for f in _independent.densities]),
            [0.0, np.inf],
            r.plane,
        ),
    ),
]
