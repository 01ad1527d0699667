"""Every distribution against scipy or its closed form: densities, gradients, integrals, moments, samples, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import culet.distributions as d
from culet.distributions.supports import Integers, Interval
from tests.distributions.compound import MADE, MATRICES, VECTORS
from tests.distributions.members import ON_INTERVAL, ON_LINE, POSITIVE, WHOLE
from tests.distributions.references import line

MEMBERS = dict(ON_LINE + POSITIVE + ON_INTERVAL + WHOLE + VECTORS + MATRICES + MADE)
NUMBERS = dict(ON_LINE + POSITIVE + ON_INTERVAL + MADE[:6])
DRAWS = 4000
KEY = jax.random.key(7)
DISCRETE = {
    *dict(WHOLE),
    "OneHotCategorical",
    "Multinomial",
    "DirichletMultinomial",
    "PlackettLuce",
    "ZeroInflated",
    "Quantised",
}

every = pytest.mark.parametrize("name", MEMBERS)
_MADE: dict[str, tuple] = {}


def drawn(name):
    """The distribution, its reference, and draws [N, 2, *E]: made once."""
    if name not in _MADE:
        distribution = MEMBERS[name].make()
        _MADE[name] = distribution, MEMBERS[name].reference, distribution.sample(KEY, (DRAWS,))
    return _MADE[name]


def log_density(reference, x):
    x = np.asarray(x, np.float64)
    return reference.logpmf(x) if hasattr(reference, "logpmf") else reference.logpdf(x)


def offered(method):
    """What a method gives, or None where the distribution has no closed form for it."""
    try:
        return method()
    except NotImplementedError as error:
        assert "has no closed form" in str(error)
        return None


def test_the_table_is_whole():
    exported = {name for name in d.__all__ if isinstance(getattr(d, name), type)}
    assert exported - {"Distribution", "Family", "SphericalUniform"} == MEMBERS.keys()
    assert len(MEMBERS) >= 45


@every
def test_log_prob(name):
    distribution, reference, draws = drawn(name)
    assert draws.shape == (DRAWS, *distribution.batch_shape, *distribution.event_shape)
    values = draws[:16] if hasattr(reference, "densities") else draws[:512]
    found = distribution.log_prob(values)
    assert found.shape == (len(values), 2) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, log_density(reference, values), rtol=3e-4, atol=3e-4)


@every
def test_outside_the_support(name):
    """-inf, with gradients of 0; and NaN of a NaN."""
    distribution, _, _ = drawn(name)
    member, support = MEMBERS[name], distribution.support
    event = distribution.event_shape
    outside = [np.full(event, np.inf)] if name != "Masked" else []
    if member.outside is not None:
        outside.append(np.asarray(member.outside))
    elif isinstance(support, Integers):
        outside += [np.asarray(0.5), np.min(support.low) - 1]
    elif isinstance(support, Interval) and np.isfinite(np.min(support.low)):
        outside.append(np.min(support.low) - 1)
    if name == "Delta":
        outside.append(np.asarray(0.5))
    if name == "Transformed":
        outside.append(np.asarray(-1.0))

    def total(distribution, value):
        return jnp.where(jnp.isfinite(scores := distribution.log_prob(value)), scores, 0).sum()

    for value in outside:
        values = jnp.broadcast_to(jnp.asarray(value, jnp.float32), (2, *event))
        assert (distribution.log_prob(values) == -jnp.inf).all(), value
        for leaf in jax.tree.leaves(jax.grad(total, (0, 1), allow_int=True)(distribution, values)):
            assert leaf.dtype != jnp.float32 or (leaf == 0).all(), value
    if name not in DISCRETE and not event and name != "Masked":
        assert jnp.isnan(distribution.log_prob(jnp.full((2,), jnp.nan))).all()


@every
def test_gradients(name):
    """In float64, along a random direction of all parameters and, where values are continuous, of the value."""
    distribution, _, draws = drawn(name)
    with jax.enable_x64(True):
        wide = lambda a: jnp.asarray(np.asarray(a, np.float64)) if a.dtype == jnp.float32 else a  # noqa: E731
        leaves, structure = jax.tree.flatten(jax.tree.map(wide, distribution))
        values = jnp.asarray(np.asarray(draws[:6], np.float64))
        random = np.random.default_rng(0)
        still = name in {"Delta", "DiscreteUniform", "Truncated", "Masked"}
        directions = [_direction(leaf, random, still, name) for leaf in leaves]
        moved = (
            np.zeros(values.shape) if name in DISCRETE or distribution.event_shape else random.normal(size=values.shape)
        )

        @jax.jit
        def scores(t):
            there = [leaf + t * way if way is not None else leaf for leaf, way in zip(leaves, directions, strict=True)]
            return jax.tree.unflatten(structure, there).log_prob(values + t * moved)

        slope = jax.jit(lambda: jax.jvp(scores, (jnp.asarray(0.0),), (jnp.asarray(1.0),))[1])()
        step = 1e-6
        expected = (scores(jnp.asarray(step)) - scores(jnp.asarray(-step))) / (2 * step)
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(slope, expected, rtol=2e-5, atol=2e-5)


def _direction(leaf, random, still, name):
    """Of a leaf that is not a float, a whole number or an end: none. Triangles stay triangles, directions lengths."""
    if leaf.dtype != jnp.float64 or still or name in {"VonMisesFisher", "PowerSpherical"}:
        return None
    if (
        name in {"Binomial", "BetaBinomial", "Multinomial", "DirichletMultinomial", "Quantised"}
        and (leaf == jnp.floor(leaf)).all()
    ):
        return None
    direction = random.normal(size=leaf.shape) * 0.1
    square = leaf.ndim == 3 and leaf.shape[-1] == leaf.shape[-2]
    return jnp.asarray(np.tril(direction) if square else direction)


@pytest.mark.parametrize(
    "name", [name for name in MEMBERS if name not in DISCRETE and name not in {"Masked", "Wishart", "InverseWishart"}]
)
def test_integral_is_one(name):
    """By double exponential rules; of Wisharts, whose matrices have three numbers, the density is scipy's."""
    distribution, _, _ = drawn(name)
    if name in NUMBERS:
        support = distribution.support
        bounds = np.broadcast_arrays(getattr(support, "low", 0.0), getattr(support, "high", np.inf), np.zeros(2))
        grids = [line(float(bounds[0][i]), float(bounds[1][i])) for i in range(2)]
        points, weights = (np.stack(parts, 1) for parts in zip(*grids, strict=True))
    else:
        grid = MEMBERS[name].grid
        assert grid is not None
        points, weights = grid()
        points = np.broadcast_to(points[:, None], (len(points), 2, *points.shape[1:]))
        weights = weights[:, None]
    density = np.exp(np.asarray(distribution.log_prob(jnp.asarray(points, jnp.float32)), np.float64))
    terms = np.where(np.isfinite(density), density, 0) * weights
    np.testing.assert_allclose(terms.sum(0), 1, atol=2e-3)


@every
def test_moments(name):
    """Mean, variance and entropy against scipy's, and all that are given against the draws."""
    distribution, reference, draws = drawn(name)
    found = {what: offered(getattr(distribution, what)) for what in ("mean", "variance", "entropy", "mode")}
    batch, event = distribution.batch_shape, distribution.event_shape
    for what, known in (("mean", "mean"), ("variance", "var"), ("entropy", "entropy")):
        exact = getattr(reference, known, None)
        if found[what] is not None and exact is not None and not _on_circle(name):
            expected = np.broadcast_to(exact(), batch)
            np.testing.assert_allclose(found[what], expected, rtol=2e-4, atol=2e-5, err_msg=what)
    numbers, error = np.asarray(draws, np.float64), 5 / np.sqrt(DRAWS)
    if found["entropy"] is not None:
        surprise = -np.asarray(distribution.log_prob(draws), np.float64)
        assert (np.abs(surprise.mean(0) - found["entropy"]) <= error * surprise.std(0) + 1e-4).all()
    if found["mean"] is not None and not _on_circle(name) and _light(numbers):
        np.testing.assert_array_less(np.abs(numbers.mean(0) - found["mean"]), error * numbers.std(0) + 1e-4)
    if found["variance"] is not None and not _on_circle(name) and _light(numbers):
        squares = (numbers - numbers.mean(0)) ** 2
        np.testing.assert_array_less(np.abs(squares.mean(0) - found["variance"]), error * squares.std(0) + 1e-3)
    if found["mode"] is not None:
        assert found["mode"].shape == batch + event
        peak, others = distribution.log_prob(found["mode"]), distribution.log_prob(draws)
        assert (jnp.isnan(peak) | (peak >= others.max(0) - 1e-4)).all()


def _on_circle(name):
    return name in {"VonMises", "WrappedCauchy"}


def _light(numbers):
    """Whether the fourth moment of the draws is not that of a few of them."""
    gaps = (numbers - numbers.mean(0)) ** 4
    return (gaps.max(0) <= 0.2 * gaps.sum(0) + 1e-9).all()


@pytest.mark.parametrize("name", [*NUMBERS, *dict(WHOLE)])
def test_distribution_functions(name):
    """cdf against scipy's, icdf as its inverse, and the draws by Kolmogorov and Smirnov."""
    distribution, reference, draws = drawn(name)
    numbers = np.asarray(draws, np.float64)
    known = getattr(reference, "cdf", None)
    if known is not None and name not in DISCRETE:
        for i in range(2):
            ranked = np.sort(known(numbers)[:, i])
            gap = np.abs(ranked - np.arange(1, DRAWS + 1) / DRAWS).max()
            assert gap < 1.95 / np.sqrt(DRAWS), gap  # one in a thousand
    below = offered(lambda: distribution.cdf(draws))
    if below is None:
        return
    if known is not None:
        np.testing.assert_allclose(below[:200], known(numbers[:200]), rtol=2e-4, atol=2e-5)
    assert not jnp.isnan(distribution.cdf(jnp.asarray([-jnp.inf, jnp.inf]))).any()
    share = jnp.linspace(0.01, 0.99, 21)[:, None]
    places = offered(lambda: distribution.icdf(share))
    if places is None:
        return
    assert places.shape == (21, 2)
    assert jnp.isnan(distribution.icdf(jnp.full((2,), 1.5))).all()
    reached = distribution.cdf(places)
    if name in DISCRETE:
        assert (reached >= share - 1e-6).all() and (distribution.cdf(places - 1) < share).all()
    else:
        np.testing.assert_allclose(reached, np.broadcast_to(share, (21, 2)), rtol=1e-3, atol=2e-5)


@every
def test_vmap_is_a_loop(name):
    """Over a distribution, a batch axis goes away and the draws and scores are those of each alone."""
    distribution, _, _ = drawn(name)
    keys = jax.random.split(KEY, 2)

    def both(distribution, key):
        assert distribution.batch_shape == ()
        return distribution.sample_and_log_prob(key)

    values, scores = jax.vmap(both)(distribution, keys)
    alone = jax.jit(both)
    for i in range(2):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], distribution)
        value, score = alone(one, keys[i])
        np.testing.assert_allclose(values[i], value, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(scores[i], score, rtol=1e-4, atol=1e-4)
        assert np.isfinite(score).all()


def test_spherical_uniform():
    uniform = d.SphericalUniform(3)
    draws = uniform.sample(KEY, (DRAWS,))
    np.testing.assert_allclose(uniform.log_prob(draws), np.full(DRAWS, -np.log(4 * np.pi)), rtol=1e-5)
    np.testing.assert_allclose(uniform.entropy(), np.log(4 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(draws.var(0), uniform.variance(), atol=0.03)
    assert uniform.log_prob(jnp.ones(3)) == -jnp.inf
    assert stats.kstest(np.asarray(draws[:, 2]), stats.uniform(-1, 2).cdf).pvalue > 1e-3
