"""ADVI, NPV and Laplace against closed forms."""

import json
import math
import os
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.core import Interrupted
from culet.inference import advi, elbo, laplace, npv
from culet.inference._npv import trace
from culet.inference.targets import FOUR_MODES, Regression, four_modes, hierarchical_logistic

MEAN, COVARIANCE = np.array([1.0, -2.0]), np.array([[1.0, 0.6], [0.6, 0.8]])
EVIDENCE = 1.7


def gaussian(parameters):
    """A correlated normal over a pytree, times exp(1.7)."""
    centred = jnp.stack([parameters["a"], parameters["b"]]) - jnp.asarray(MEAN, jnp.float32)
    precision = jnp.asarray(np.linalg.inv(COVARIANCE), jnp.float32)
    constant = EVIDENCE - math.log(2 * math.pi) - 0.5 * math.log(np.linalg.det(COVARIANCE))
    return -0.5 * centred @ precision @ centred + constant


START = {"a": jnp.zeros(()), "b": jnp.zeros(())}


def test_full_rank_advi_and_laplace_are_exact_for_a_normal():
    for posterior in (advi(gaussian, START, jax.random.key(0), full_rank=True)[0], laplace(gaussian, START)[0]):
        np.testing.assert_allclose(posterior.means[0], MEAN, atol=0.08)
        np.testing.assert_allclose(posterior.scales[0] @ posterior.scales[0].T, COVARIANCE, atol=0.08)
    np.testing.assert_allclose(laplace(gaussian, START)[1], EVIDENCE, atol=1e-3)
    bound, error = elbo(gaussian, laplace(gaussian, START)[0], jax.random.key(1))
    np.testing.assert_allclose(bound, EVIDENCE, atol=1e-3 + 3 * error)


def test_mean_field_advi_has_the_precisions_and_loses_what_theory_says():
    posterior, bounds = advi(gaussian, START, jax.random.key(0))
    precision = np.linalg.inv(COVARIANCE)
    np.testing.assert_allclose(posterior.mean()["a"], MEAN[0], atol=0.08)
    np.testing.assert_allclose(posterior.scales[0], np.diag(precision) ** -0.5, rtol=0.08)
    gap = 0.5 * math.log(np.prod(np.diag(precision)) * np.linalg.det(COVARIANCE))
    np.testing.assert_allclose(np.mean(bounds[-500:]), EVIDENCE - gap, atol=0.05)


def test_a_stopped_advi_goes_on_and_ends_the_same(tmp_path):
    calls = []

    def stopping(parameters):
        calls.append(parameters)
        if len(calls) == 2:  # the first is the check of the start, the second the trace of the first steps
            os.kill(os.getpid(), signal.SIGTERM)
        return gaussian(parameters)

    with pytest.raises(Interrupted, match="after step 1;"):
        advi(stopping, START, 0, steps=200, folder=tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(draws 8 instead of 4, key\)"):
        advi(stopping, START, 1, steps=200, draws=4, folder=tmp_path)
    posterior, bounds = advi(stopping, START, 0, steps=200, folder=tmp_path)
    whole, whole_bounds = advi(gaussian, START, jax.random.key(0), steps=200)
    np.testing.assert_array_equal(bounds, whole_bounds)
    np.testing.assert_array_equal(posterior.scales, whole.scales)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([row["loss"] for row in rows], -np.reshape(bounds, (2, 100)).mean(axis=1), rtol=1e-5)


def test_one_component_of_npv_is_the_round_normal_of_least_divergence():
    starts = jax.tree.map(lambda leaf: leaf[None], START)
    posterior, bounds = npv(gaussian, starts, jax.random.key(0))
    curvature = np.trace(np.linalg.inv(COVARIANCE))
    np.testing.assert_allclose(posterior.means[0], MEAN, atol=1e-3)
    # L2 = s^2/2 tr H + log s^2 + const: the entropy bound has log q of variance 2 s^2 at the mean
    np.testing.assert_allclose(posterior.scales[0], math.sqrt(2 / curvature), rtol=1e-3)
    value = EVIDENCE - math.log(2 * math.pi) - 0.5 * math.log(np.linalg.det(COVARIANCE))
    expected = value - 1 + math.log(2 * math.pi * 2 * 2 / curvature)
    np.testing.assert_allclose(bounds[-1], expected, atol=1e-3)


def test_the_trace_of_the_hessian_exactly_and_by_random_signs():
    matrix = jnp.asarray([[3.0, 1.0, 0.5], [1.0, -1.0, 0.2], [0.5, 0.2, 2.0]])

    def density(x):
        return 0.5 * x @ matrix @ x

    exact, guessed = (trace(density, jnp.ones(3), probes, jax.random.key(0)) for probes in (None, 4000))
    np.testing.assert_allclose(exact, 4, rtol=1e-6)
    np.testing.assert_allclose(guessed, 4, atol=0.2)


def test_ten_components_find_four_modes_and_from_one_place_only_one():
    starts = 3 * jax.random.normal(jax.random.key(0), (10, 2))
    corners = np.asarray(FOUR_MODES)

    def modes(starts):
        posterior, _ = npv(four_modes, starts, jax.random.key(0), sweeps=5)
        assert np.all(posterior.scales < 2)
        return {int(np.argmin(np.linalg.norm(corners - mean, axis=1))) for mean in np.asarray(posterior.means)}

    assert modes(starts) == {0, 1, 2, 3}
    assert len(modes(jnp.broadcast_to(starts[:1], starts.shape))) == 1


def test_a_hierarchical_regression_whose_data_are_an_argument():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 3)).astype(np.float32)
    truth = np.array([1.5, -1.0, 0.0])
    labels = (generator.random(200) < 1 / (1 + np.exp(-features @ truth))).astype(np.float32)
    joint = eqx.Partial(hierarchical_logistic, features=jnp.asarray(features), labels=jnp.asarray(labels))
    posterior, _ = laplace(joint, Regression(jnp.zeros(3), jnp.zeros(())))
    mean, sd = posterior.mean(), posterior.standard_deviation()
    assert np.all(np.abs(np.asarray(mean.weights) - truth) < 3 * np.asarray(sd.weights))
    assert np.all(np.asarray(sd.weights) < 0.4)


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(ArithmeticError, match="not a maximum"):
        laplace(lambda x: jnp.sum(jnp.square(x)), jnp.full(2, 1e-6), steps=3)
    with pytest.raises(ValueError, match="same first axis"):
        npv(gaussian, {"a": jnp.zeros(2), "b": jnp.zeros(3)}, jax.random.key(0))
    with pytest.raises(ArithmeticError, match="not finite at step"):
        advi(lambda x: jnp.log(x), jnp.ones(()), jax.random.key(0), steps=50, learning_rate=5.0)
