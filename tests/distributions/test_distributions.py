"""Every distribution against scipy or its closed form: densities, gradients, integrals, moments, samples, batches.

A member is compiled once for each thing that it does: values of all tests are padded to one shape.
"""

import functools

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
CONTINUOUS = dict(ON_LINE + POSITIVE + ON_INTERVAL + MADE[:1] + MADE[2:6])
DISCRETE = {"OneHotCategorical", "Multinomial", "DirichletMultinomial", "PlackettLuce", "ZeroInflated", "Quantised"}
DISCRETE |= dict(WHOLE).keys()
CIRCULAR = {"VonMises", "WrappedCauchy"}
DRAWS, ROWS = 4000, 1024
SURE = 5 / np.sqrt(DRAWS)

every = pytest.mark.parametrize("name", MEMBERS)


@functools.cache
def made(name):
    return MEMBERS[name].make()


@functools.cache
def drawn(name):
    """Draws [N, 2, *E], under vmap over the batch."""
    sample = jax.jit(jax.vmap(lambda one, key: one.sample(key, (DRAWS,)), out_axes=1))
    return np.asarray(sample(made(name), jax.random.split(jax.random.key(7), 2)))


def padded(method, values):
    """A method of values [N, 2, *E], for N up to a thousand, always on the same shape."""
    values = np.asarray(values)
    rows = np.resize(values, (ROWS, *values.shape[1:]))
    return np.asarray(method(jnp.asarray(rows)))[: len(values)]


def log_prob(name, values):
    return padded(made(name).log_prob, np.asarray(values, drawn(name).dtype))


@functools.cache
def moments(name):
    """Whatever of these the distribution has."""

    def offered(distribution, what):
        try:
            return getattr(distribution, what)()
        except NotImplementedError as error:
            assert "has no closed form" in str(error)
            return None

    known = ("mean", "variance", "entropy", "mode")
    return jax.jit(lambda distribution: {what: offered(distribution, what) for what in known})(made(name))


def outsiders(name):
    """Values [N, 2, *E] that are not in the support."""
    distribution, outside = made(name), MEMBERS[name].outside
    event, support = distribution.event_shape, distribution.support
    values = [np.full(event, np.inf), np.full(event, -np.inf)]
    if outside is not None:
        values.append(np.asarray(outside))
    elif isinstance(support, Integers):
        values += [np.asarray(0.5), np.min(support.low) - 1]
    elif isinstance(support, Interval) and np.isfinite(np.min(support.low)):
        values.append(np.min(support.low) - 1)
    if name in ("Delta", "Transformed"):
        values.append(np.asarray(-0.5))
    return np.stack([np.broadcast_to(value, (2, *event)) for value in values]).astype(np.float32)


def test_the_table_is_whole():
    exported = {
        name for name in d.__all__ if isinstance(kind := getattr(d, name), type) and issubclass(kind, d.Distribution)
    }
    assert exported - {"Distribution", "Family", "PixelCNN", "SphericalUniform"} == MEMBERS.keys()
    assert len(MEMBERS) >= 45


@every
def test_log_prob(name):
    distribution, reference = made(name), MEMBERS[name].reference
    values = drawn(name)[: 16 if hasattr(reference, "densities") else ROWS]
    shape = jax.eval_shape(lambda key: distribution.sample(key, (5,)), jax.random.key(0)).shape
    assert shape == (5, *distribution.batch_shape, *distribution.event_shape) == (5, *values.shape[1:])
    exact = reference.logpmf if hasattr(reference, "logpmf") else reference.logpdf
    np.testing.assert_allclose(log_prob(name, values), exact(values.astype(np.float64)), rtol=3e-4, atol=3e-4)


@every
def test_the_interior_is_inside(name):
    def holds(distribution, value):
        return distribution.support.contains(jnp.broadcast_to(distribution.support.interior(value), value.shape))

    assert np.asarray(jax.vmap(holds)(made(name), drawn(name)[0].astype(np.float32))).all()


@every
def test_gradients_and_outside(name):
    """In float64, under vmap over the batch, along a random direction of parameters and value.

    Inside, derivatives are finite and those of finite differences; outside, the density is -inf and they are 0.
    """
    distribution, inside = made(name), drawn(name)[:6].astype(np.float32)
    outside = outsiders(name)[:0] if name == "Masked" else outsiders(name)
    random = np.random.default_rng(0)
    still = name in DISCRETE or distribution.event_shape
    moved = np.zeros(inside.shape) if still else np.minimum(np.abs(inside), 1) * random.normal(size=inside.shape)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: np.asarray(a, np.float64) if a.dtype == jnp.float32 else a, distribution)
        leaves, structure = jax.tree.flatten(wide)
        ways = [_direction(np.asarray(leaf), random, name) for leaf in leaves]
        values = jnp.asarray(np.concatenate([inside, outside]).astype(np.float64))
        moved = jnp.asarray(np.concatenate([moved, np.zeros(outside.shape)]))

        def scores(t):
            there = [
                jnp.asarray(leaf) if way is None else leaf + t * way for leaf, way in zip(leaves, ways, strict=True)
            ]
            over_batch = jax.vmap(lambda one, value: one.log_prob(value), in_axes=(0, 1), out_axes=1)
            return over_batch(jax.tree.unflatten(structure, there), values + t * moved)

        both = jax.jit(lambda t: jax.jvp(scores, (t,), (jnp.ones_like(t),)))
        step = 1e-6
        (here, slope), (after, _), (before, _) = (both(jnp.asarray(t)) for t in (0.0, step, -step))
    count = len(inside)
    np.testing.assert_allclose(here[:count], log_prob(name, drawn(name)[:6]), rtol=1e-3, atol=3e-4)
    assert (here[count:] == -jnp.inf).all()
    assert (slope[count:] == 0).all()
    np.testing.assert_allclose(slope[:count], (after - before)[:count] / (2 * step), rtol=2e-5, atol=2e-5)


def _direction(leaf, random, name):
    """None for what has to stay: whole numbers, masks, ends, lengths of 1. Triangles stay triangles."""
    fixed = {"Delta", "DiscreteUniform", "Masked", "VonMisesFisher", "PowerSpherical", "Quantised"}
    counted = {"Binomial", "BetaBinomial", "Multinomial", "DirichletMultinomial"}
    if leaf.dtype != np.float64 or name in fixed or (name in counted and (leaf == np.floor(leaf)).all()):
        return None
    direction = np.where(np.isfinite(leaf), 0.01 * random.normal(size=leaf.shape), 0)
    return np.tril(direction) if leaf.ndim == 3 and leaf.shape[-1] == leaf.shape[-2] else direction


@pytest.mark.parametrize("name", sorted(MEMBERS.keys() - DISCRETE - {"Masked", "Wishart", "InverseWishart"}))
def test_integral_is_one(name):
    """By double exponential rules; Wisharts, whose matrices have three numbers, have the density of scipy."""
    grid = MEMBERS[name].grid
    if grid is None:
        support = made(name).support
        ends = np.broadcast_arrays(getattr(support, "low", -np.inf), getattr(support, "high", np.inf), np.zeros(2))
        low = np.zeros(2) if name == "Transformed" else ends[0]
        points, weights = (
            np.stack(parts, 1)
            for parts in zip(*(line(float(low[i]), float(ends[1][i])) for i in range(2)), strict=True)
        )
    else:
        points, weights = grid()
        points, weights = np.stack([points, points], 1), weights[:, None]
    pieces = [log_prob(name, points[start : start + ROWS]) for start in range(0, len(points), ROWS)]
    density = np.exp(np.concatenate(pieces).astype(np.float64))
    total = (np.where(np.isfinite(density), density, 0) * weights).sum(0)
    np.testing.assert_allclose(total, 1, atol=2e-3)


@every
def test_moments(name):
    """Mean, variance and entropy against scipy's, and all that are given against the draws."""
    reference, closed, draws = MEMBERS[name].reference, moments(name), drawn(name).astype(np.float64)
    shape = draws.shape[1:]
    for what, method in (("mean", "mean"), ("variance", "var"), ("entropy", "entropy")):
        exact = getattr(reference, method, None)
        if closed[what] is not None and exact is not None and name not in CIRCULAR:
            expected = np.broadcast_to(exact(), (2,))
            np.testing.assert_allclose(closed[what], expected, rtol=3e-4, atol=2e-5, err_msg=what)
    scores = log_prob(name, drawn(name)[:ROWS])
    if closed["entropy"] is not None:
        surprise = -scores.astype(np.float64)
        gap = np.abs(surprise.mean(0) - closed["entropy"])
        assert (gap <= 5 / np.sqrt(ROWS) * surprise.std(0) + 1e-3).all()
    squares = (draws - draws.mean(0)) ** 2
    light = (squares**2).max(0) <= 0.2 * (squares**2).sum(0) + 1e-9  # the fourth moment is not that of a few draws
    if closed["mean"] is not None and name not in CIRCULAR:
        assert closed["mean"].shape == shape
        assert (~light | (np.abs(draws.mean(0) - closed["mean"]) <= SURE * draws.std(0) + 1e-4)).all()
    if closed["variance"] is not None and name not in CIRCULAR:
        assert closed["variance"].shape == shape
        assert (~light | (np.abs(squares.mean(0) - closed["variance"]) <= SURE * squares.std(0) + 1e-3)).all()
    if closed["mode"] is not None:
        peak = log_prob(name, np.asarray(closed["mode"])[None])[0]
        assert (np.isnan(peak) | (peak >= scores.max(0) - 1e-3)).all()


@pytest.mark.parametrize("name", [*CONTINUOUS, *dict(WHOLE), "Quantised"])
def test_distribution_functions(name):
    """cdf against scipy's, icdf as its inverse, and the draws by Kolmogorov and Smirnov."""
    distribution, draws = made(name), drawn(name).astype(np.float64)
    exact = getattr(MEMBERS[name].reference, "cdf", None)
    if exact is not None and name not in DISCRETE:
        ranked = np.sort(exact(draws), 0)
        gap = np.abs(ranked - np.arange(1, DRAWS + 1)[:, None] / DRAWS).max()
        assert gap < 1.95 / np.sqrt(DRAWS)  # one in a thousand
    try:
        below = padded(distribution.cdf, draws[:ROWS].astype(np.float32))
    except NotImplementedError:
        return
    if exact is not None:
        np.testing.assert_allclose(below, exact(draws[:ROWS]), rtol=3e-4, atol=2e-5)
    ends = padded(distribution.cdf, np.array([[-np.inf] * 2, [np.inf] * 2], np.float32))
    np.testing.assert_allclose(ends, [[0, 0], [1, 1]], atol=1e-6)
    share = np.linspace(0.01, 0.99, 21, dtype=np.float32)[:, None].repeat(2, 1)
    try:
        places = padded(distribution.icdf, share)
    except NotImplementedError:
        return
    reached = padded(distribution.cdf, places)
    if name in DISCRETE:
        assert (reached >= share - 1e-6).all() and (padded(distribution.cdf, places - 1) < share).all()
    else:
        np.testing.assert_allclose(reached, share, rtol=1e-3, atol=3e-5)
    assert np.isnan(padded(distribution.icdf, share + 1)).all()


@every
def test_vmap_is_a_loop(name):
    """What is drawn under vmap is what each of the batch draws alone; scores are compared in the test of gradients."""
    keys = jax.random.split(jax.random.key(7), 2)
    one = jax.tree.map(lambda leaf: leaf[1], made(name))
    assert one.batch_shape == ()
    alone = jax.jit(lambda one, key: one.sample(key, (DRAWS,)))(one, keys[1])
    np.testing.assert_allclose(drawn(name)[:, 1], alone, rtol=1e-4, atol=1e-5)


def program(draw, key):
    """What is computed for a key, or a seed, as text; that costs no compilation."""
    return str(jax.make_jaxpr(lambda: draw(key(), (3,)))())


@every
def test_a_whole_number_is_a_seed(name):
    distribution = made(name)
    for draw in (distribution.sample, distribution.sample_and_log_prob):
        assert program(draw, lambda: 5) == program(draw, lambda: jax.random.key(5)) != program(draw, lambda: 6)


def test_draws_of_a_seed_are_those_of_its_key():
    flow = d.coupling_flow(3, 2, layers=1, width=4)
    by_key = d.coupling_flow(jax.random.key(3), 2, layers=1, width=4)
    for leaf, other in zip(jax.tree.leaves(flow), jax.tree.leaves(by_key), strict=True):
        np.testing.assert_array_equal(leaf, other)
    images = d.PixelCNN((2, 2), d.CategoricalPixels(3), channels=2, depth=1, key=4)
    for distribution in (d.Normal(0.0, 1.0), d.Categorical([0.0, 1.0]), flow, images):
        np.testing.assert_array_equal(distribution.sample(7, (3,)), distribution.sample(jax.random.key(7), (3,)))
    with pytest.raises(TypeError):
        d.Normal(0.0, 1.0).sample(0.5)


def test_spherical_uniform():
    uniform = d.SphericalUniform(3)
    draws = uniform.sample(jax.random.key(0), (DRAWS,))
    np.testing.assert_allclose(uniform.log_prob(draws), np.full(DRAWS, -np.log(4 * np.pi)), rtol=1e-5)
    np.testing.assert_allclose(uniform.entropy(), np.log(4 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(draws.var(0), uniform.variance(), atol=0.03)
    assert uniform.log_prob(jnp.ones(3)) == -jnp.inf
    assert stats.kstest(np.asarray(draws[:, 2]), stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_expected_log_of_a_dirichlet():
    concentration = np.array([0.5, 2.0, 7.0])
    samples = stats.dirichlet(concentration).rvs(200_000, random_state=0)
    expected = d.Dirichlet(jnp.asarray(concentration, jnp.float32)).expected_log()
    np.testing.assert_allclose(expected, np.log(samples).mean(0), atol=0.01)
