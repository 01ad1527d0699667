"""Log densities to try approximations on: two in the plane whose truth a grid gives, and a hierarchical regression.

Axis letters: M cases, F features.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

FOUR_MODES = ((-2.5, -2.5), (-2.5, 2.5), (2.5, -2.5), (2.5, 2.5))
_MODE_SCALE = 0.7


def four_modes(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Four round Gaussians of equal weight and standard deviation 0.7 at the corners of a square; integrates to one."""
    squares = jnp.sum(jnp.square(x[None] - jnp.asarray(FOUR_MODES, x.dtype)), axis=1) / _MODE_SCALE**2
    return jax.nn.logsumexp(-0.5 * squares) - math.log(4 * 2 * math.pi * _MODE_SCALE**2)


def banana(x: Float[Array, "2"]) -> Float[Array, ""]:
    """A Gaussian bent along a parabola: x0 ~ N(0, 2^2), x1 | x0 ~ N(x0^2 / 4 - 1, 0.7^2); integrates to one."""
    squares = jnp.square(x[0] / 2) + jnp.square((x[1] - jnp.square(x[0]) / 4 + 1) / 0.7)
    return -0.5 * squares - math.log(2 * math.pi * 2 * 0.7)


class Regression(NamedTuple):
    """The parameters of a hierarchical logistic regression."""

    weights: Float[Array, "F"]
    log_precision: Float[Array, ""]  # of the weights' prior


def hierarchical_logistic(
    parameters: Regression, features: Float[Array, "M F"], labels: Float[Array, "M"]
) -> Float[Array, ""]:
    """Log joint of Gershman, Hoffman and Blei (2012), section 4: weights ~ N(0, 1/a), a ~ Gamma(1, 0.01).

    Labels are 0 or 1. The parameter is log a, and the log determinant of that change is in it.
    """
    weights, log_precision = parameters
    precision = jnp.exp(log_precision)
    prior = 0.5 * weights.size * log_precision - 0.5 * precision * jnp.sum(jnp.square(weights))
    hyperprior = math.log(0.01) - 0.01 * precision + log_precision
    constant = -0.5 * weights.size * math.log(2 * math.pi)
    return jnp.sum(label_log_prob(parameters, features, labels)) + prior + hyperprior + constant


def label_log_prob(
    parameters: Regression, features: Float[Array, "M F"], labels: Float[Array, "M"]
) -> Float[Array, "M"]:
    """Log probability of each label, 0 or 1."""
    return jax.nn.log_sigmoid((2 * labels - 1) * (features @ parameters.weights))
