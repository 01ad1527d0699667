"""Against values by hand (post-training notes), population optima in closed form, and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from culet.objectives import bradley_terry, dpo, ipo, sequence_sum, slic
from tests.enumerable import assert_close, parameters, sequence_log_probs, size

ONE = jnp.ones(())


@pytest.mark.parametrize(
    ("margin", "values"),
    [
        (0.0, (0.6931472, 0.25, 1.0)),
        (0.5, (0.66846, 0.0, 0.999)),
        (-0.5, (0.71846, 1.0, 1.001)),
        (2.0, (0.598139, 2.25, 0.996)),
    ],
)
def test_values_at_the_papers_strengths(margin, values):
    h = jnp.array(margin)
    losses = dpo(h, ONE, beta=0.1), ipo(h, ONE, beta=1.0), slic(h, ONE, beta=0.002)
    assert_close([loss.total for loss in losses], list(values))
    for loss in losses:
        assert float(loss.weight) == 1
        assert float(loss.metrics["margin"]) == margin
        assert float(loss.metrics["accuracy"]) == {0.0: 0.5, 0.5: 1.0, -0.5: 0.0, 2.0: 1.0}[margin]


def test_hinge_ends_where_the_margin_is_wide_enough():
    assert float(slic(jnp.array(4.1), ONE, beta=0.25).total) == 0
    assert float(jax.grad(lambda h: slic(h, ONE, beta=0.25).total)(jnp.array(3.9))) == -0.25


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        h, weights = jnp.array([-3.0, 0.2, 40.0]), jnp.array([1.0, 2.0, 0.5])

        def total(h, first):
            pairs = [loss(h, weights, beta=0.3).total for loss in (dpo, ipo, slic)]
            return jnp.stack([*pairs, bradley_terry(first, h, jnp.array([0.0, 0.3, 1.0]), weights).total]).sum()

        check_grads(jax.jit(total), (h, 2 * h + 1), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


def test_dpo_is_solved_by_the_regularised_optimum():
    # Preferences of a Bradley-Terry judge over all pairs: the policy that solves max E[r] - beta KL has no gradient.
    beta, reference = 0.3, sequence_log_probs(parameters(2))
    reward = jnp.asarray(np.random.default_rng(3).normal(size=reference.shape), jnp.float32)
    pairs = jnp.array(list(itertools.permutations(range(len(reward)), 2)))
    chosen, rejected = pairs[:, 0], pairs[:, 1]
    weights = jax.nn.sigmoid(reward[chosen] - reward[rejected])

    def loss(policy):
        ratio = jax.nn.log_softmax(policy) - reference
        return dpo(ratio[chosen] - ratio[rejected], weights, beta=beta).total

    gradient = jax.jit(jax.grad(loss))
    optimum = reference + reward / beta
    assert size(gradient(optimum)) < 1e-5
    assert size(gradient(optimum + 0.1 * reward)) > 1e-2


def test_ipo_solves_its_own_problem_and_stays_finite():
    # One pair, always preferred: DPO has no finite optimum, IPO has the margin 1 / (2 beta).
    slope = jax.grad(lambda h, loss: loss(h, ONE, beta=0.2).total)
    assert float(slope(jnp.array(2.5), ipo)) == 0
    assert float(slope(jnp.array(2.5), dpo)) < -0.07


def test_reward_model_learns_the_log_odds_of_soft_labels():
    labels = jnp.array([0.1, 0.5, 0.9, 1.0])
    log_odds = jnp.array([np.log(0.1 / 0.9), 0.0, np.log(0.9 / 0.1), 30.0], jnp.float32)
    weights = jnp.ones(4)

    @jax.jit
    def compute(margin):
        def loss(d):
            return bradley_terry(d + 0.3, jnp.full(4, 0.3), labels, weights)

        return jax.grad(lambda d: loss(d).total)(margin), loss(margin)

    gradient, loss = compute(log_odds)
    assert_close(gradient, np.zeros(4))
    p = np.array([0.1, 0.5, 0.9])
    assert_close(loss.total, -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum())
    assert_close((loss.metrics["accuracy"], loss.metrics["decided"], loss.weight), (3.0, 3.0, 4.0))
    gradient, loss = compute(jnp.array([2.0, 1.0, -1.0, 0.0]))
    assert_close(gradient, 1 / (1 + np.exp([-2.0, -1.0, 1.0, 0.0])) - labels)
    assert_close(loss.metrics["accuracy"], 0.5)


@pytest.mark.parametrize("loss", [dpo, ipo, slic])
def test_weights_order_and_parts(loss):
    rng = np.random.default_rng(4)
    h, weights = rng.normal(size=6).astype(np.float32), rng.uniform(0.5, 2, 6).astype(np.float32)
    evaluate = jax.jit(lambda h, w: (loss(h, w, beta=0.4), jax.grad(lambda h: loss(h, w, beta=0.4).total)(h)))
    whole, slope = evaluate(h, weights)
    assert_close(evaluate(h[::-1], weights[::-1]), (whole, slope[::-1]))
    parts = [evaluate(h[i], weights[i])[0] for i in (slice(3), slice(3, 6))]
    assert_close(jax.tree.map(jnp.add, *parts), whole)
    junk, more = evaluate(np.append(h, np.nan), np.append(weights, np.float32(0)))
    assert_close((junk, more), (whole, np.append(slope, 0)))  # finite, and nothing to learn from it
    singles = jax.jit(jax.vmap(lambda h, w: loss(h, w, beta=0.4)))(h, weights)
    assert_close(jax.tree.map(jnp.sum, singles), whole)


def test_reward_model_ignores_what_has_no_weight():
    full = jax.jit(jax.value_and_grad(lambda x, w: bradley_terry(x[0], x[1], x[2], w).total))
    x = jnp.array([[1.0, np.nan], [0.5, 3.0], [0.7, np.nan]], jnp.float32)
    value, slope = full(x, jnp.array([2.0, 0.0]))
    wanted = 2 * (0.7 * np.log1p(np.exp(-0.5)) + 0.3 * np.log1p(np.exp(0.5)))
    assert_close(value, wanted)
    assert np.isfinite(slope).all() and (slope[:, 1] == 0).all()


def test_margin_of_whole_texts_counts_completions_only():
    logs = jnp.array([[-1.0, -2.0, -3.0, np.nan], [np.nan, -0.5, -4.0, -8.0]])
    mask = jnp.array([[False, True, True, False], [False, True, False, False]])
    assert_close(sequence_sum(logs, mask), [-5.0, -0.5])
    slope = jax.grad(lambda x: sequence_sum(x, mask)[0])(logs)
    assert slope.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
