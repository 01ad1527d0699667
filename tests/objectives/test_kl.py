"""Against sums over all texts of an enumerable policy, and the table in the docstring of `kl_estimate`."""

import inspect
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from culet.objectives import exact_kl, kl_estimate, sampled_kl
from culet.objectives.kl import Estimator
from tests.enumerable import (
    MASK,
    assert_close,
    expected,
    kl,
    logits,
    parameters,
    sequence_log_probs,
    size,
    token_log_probs,
)

THETA, REFERENCE = parameters(1), parameters(2)
NAMES = get_args(Estimator)


both = jax.jit(lambda p, q: (exact_kl(p, q, direction="reverse"), exact_kl(p, q, direction="forward")))


def test_both_directions_are_scipys():
    rows = 3 * np.random.default_rng(0).normal(size=(2, 4, 7))
    p, q = scipy.special.softmax(rows, axis=-1)
    policy, reference = np.asarray(rows, np.float32)
    reverse, forward = both(policy, reference)
    assert_close(reverse, scipy.special.rel_entr(p, q).sum(axis=-1))
    assert_close(forward, scipy.special.rel_entr(q, p).sum(axis=-1))
    assert_close(both(policy + 5, reference - 9), (reverse, forward))
    assert both(policy.astype(jnp.bfloat16), reference)[0].dtype == jnp.float32


def test_tokens_that_are_ruled_out():
    policy, reference = jnp.array([0.0, 1.0, -jnp.inf]), jnp.array([0.5, 0.0, -jnp.inf])
    narrow = jnp.array([0.0, -jnp.inf, -jnp.inf])
    value, slope = jax.jit(jax.value_and_grad(lambda z: both(z, reference)[0]))(policy)
    p, q = scipy.special.softmax([0.0, 1.0]), scipy.special.softmax([0.5, 0.0])
    assert_close(value, scipy.special.rel_entr(p, q).sum())
    assert np.isfinite(slope).all()
    assert_close(both(narrow, reference), (-np.log(q[0]), np.inf))


def estimates(theta, reference):
    """The expectations under `theta` of all three."""
    return jnp.stack(
        [expected(theta, kl_estimate(sequence_log_probs(theta), reference, estimator=name)) for name in NAMES]
    )


def test_values_of_the_estimators():
    policy, reference = (np.asarray(sequence_log_probs(theta), np.float64) for theta in (THETA, REFERENCE))
    exact = (np.exp(policy) * (policy - reference)).sum()
    found = jax.jit(estimates)(THETA, sequence_log_probs(REFERENCE))
    assert_close(found[jnp.array([0, 2])], [exact, exact])
    assert abs(found[1] - exact) > 0.05 * exact  # biased...
    near = jax.tree.map(lambda x, y: x + 0.01 * y, THETA, REFERENCE)
    found = jax.jit(estimates)(near, sequence_log_probs(THETA))
    assert_close(found[1], found[0], 2e-2)  # ...but not to second order
    k1, k3 = (
        kl_estimate(sequence_log_probs(THETA), sequence_log_probs(REFERENCE), estimator=name) for name in NAMES[::2]
    )
    assert (k1 < 0).any() and (k3 >= 0).all()


def test_gradients_of_the_estimators_as_losses():
    @jax.jit
    def gradients(theta, reference):
        def in_reward(theta):
            cost = jax.lax.stop_gradient(kl_estimate(sequence_log_probs(theta), reference, estimator="k1"))
            return expected(theta, cost * sequence_log_probs(theta))

        reverse = jax.grad(lambda theta: kl(sequence_log_probs(theta), reference))(theta)
        forward = jax.grad(lambda theta: kl(reference, sequence_log_probs(theta)))(theta)
        return reverse, forward, jax.grad(in_reward)(theta), jax.jacrev(estimates)(theta, reference)

    reverse, forward, in_reward, estimated = gradients(THETA, sequence_log_probs(REFERENCE))
    k1, k2, k3 = (jax.tree.map(lambda rows, i=i: rows[i], estimated) for i in range(3))
    assert size(k1) < 1e-6
    assert_close(k2, reverse)
    assert_close(k3, forward)
    assert_close(in_reward, reverse)
    assert size(jax.tree.map(jnp.subtract, reverse, forward)) > 0.01  # so the two are told apart


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_sampled_loss_has_the_gradient_of_the_exact_divergence_of_tokens(direction):
    # Prefixes taken as given: the exact divergence of each token, weighted by how often its prefix is drawn.
    def exact(theta):
        rows = exact_kl(logits(theta), logits(REFERENCE), direction=direction)
        return expected(theta, rows.sum(axis=-1))

    def sampled(theta):
        loss = jax.vmap(lambda *rows: sampled_kl(*rows, direction=direction, per="sequence"))
        losses = loss(token_log_probs(theta), token_log_probs(REFERENCE), MASK)
        return expected(theta, losses.total), {name: expected(theta, metric) for name, metric in losses.metrics.items()}

    @jax.jit
    def compute(theta):
        whole = jax.grad(lambda theta: kl(sequence_log_probs(theta), sequence_log_probs(REFERENCE)))(theta)
        values = (
            kl(sequence_log_probs(theta), sequence_log_probs(REFERENCE)),
            -expected(theta, sequence_log_probs(theta)),
        )
        return jax.grad(sampled, has_aux=True)(theta), jax.grad(exact)(theta), whole, values, exact(theta)

    (gradient, metrics), wanted, whole, values, sum_of_tokens = compute(THETA)
    assert_close(gradient, wanted)
    assert_close(metrics, dict(zip(("reverse_kl", "policy_entropy"), values, strict=True)))
    # The gradient of the divergence of whole texts is another one, as the docstring says; the value is the same.
    assert size(jax.tree.map(jnp.subtract, gradient, whole)) > 0.01
    if direction == "reverse":
        assert_close(sum_of_tokens, values[0])


def test_no_gradient_to_the_reference_and_silent_padding():
    mask = MASK.at[:, 1].set(False)
    junk = np.array(token_log_probs(THETA))
    junk[:, 1] = np.nan
    loss = jax.jit(jax.grad(lambda p, q: sampled_kl(p, q, mask, direction="forward", per="token").total, (0, 1)))
    to_policy, to_reference = loss(junk, token_log_probs(REFERENCE))
    assert np.isfinite(to_policy).all() and size(to_policy) > 0.01
    assert size(to_reference) == 0


def test_unknown_names_are_refused():
    row = jnp.zeros(2)  # unwrapped: past the tests' check of types, as a user has it
    with pytest.raises(ValueError, match="direction is 'backward'; it is one of 'reverse', 'forward'"):
        inspect.unwrap(exact_kl)(row, row, direction="backward")
    with pytest.raises(ValueError, match="estimator is 'k4'"):
        inspect.unwrap(kl_estimate)(row, row, estimator="k4")
