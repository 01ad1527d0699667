"""Learning from pairs of which one was preferred.

The losses of policies see a pair as its margin, h = log(p(preferred) / ref(preferred)) - log(p(rejected) /
ref(rejected)), of whole sequences: each half is `sequence_sum(policy - reference, mask)` over the completion with its
end token. Every pair has weight 1 in the mean, times the weight it is given; one with weight 0 may hold anything.
All report `margin` and `accuracy`, the fraction with h > 0, where a tie is half.

Axis letters: B any leading axes (a batch of pairs).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.objectives.likelihood import weighted_sum
from culet.objectives.loss import Loss, Scalar


def dpo(margins: Float[Array, "*B"], weights: Float[Array, "*B"], *, beta: Scalar) -> Loss:
    """Direct preference optimisation, -log sigmoid(beta h) (Rafailov and others 2023, 2305.18290, equation 7).

    `beta` is the strength of the divergence KL(policy || reference) of the reward problem that it solves.
    """
    return _loss(lambda h: jax.nn.softplus(-beta * h), margins, weights)


def ipo(margins: Float[Array, "*B"], weights: Float[Array, "*B"], *, beta: Scalar) -> Loss:
    """Identity preference optimisation, (h - 1 / (2 beta))² (Azar and others 2023, 2310.12036).

    `beta` is that paper's tau. The margin is pulled to 1 / (2 beta) and no further.
    """
    return _loss(lambda h: jnp.square(h - 0.5 / beta), margins, weights)


def slic(margins: Float[Array, "*B"], weights: Float[Array, "*B"], *, beta: Scalar) -> Loss:
    """The hinge max(0, 1 - beta h) of sequence-likelihood calibration, as 2402.04792 writes it."""
    return _loss(lambda h: jax.nn.relu(1 - beta * h), margins, weights)


def bradley_terry(
    first: Float[Array, "*B"], second: Float[Array, "*B"], preference: Float[Array, "*B"], weights: Float[Array, "*B"]
) -> Loss:
    """A reward model's cross-entropy with soft labels: P(first preferred) = sigmoid(first - second).

    `first` and `second` are the rewards of the two; `preference` is the probability from 0 to 1 that the first is
    preferred: 1 or 0 where someone chose, an AI labeller's mean over both orders (2309.00267), 0.5 for a
    tie. Its least mean is the labels' own entropy, where the rewards differ by the labels' log-odds. Metrics: `margin`,
    first - second; `accuracy`, how often the sign of the margin is that of the preference, counted over labels other
    than 0.5 only, with `decided` their fraction.
    """
    margin, preference = jnp.where(weights == 0, 0, first - second), jnp.where(weights == 0, 0.5, preference)
    # Both terms are softplus, so that no probability of 0 is ever taken the logarithm of.
    loss = preference * jax.nn.softplus(-margin) + (1 - preference) * jax.nn.softplus(margin)
    lean = jnp.sign(preference - 0.5)
    decided = jnp.abs(lean)
    total = weighted_sum(weights, loss)
    metrics = {"margin": margin, "accuracy": decided * _above(lean * margin), "decided": decided}
    return Loss(total, weights.sum(), _metrics(metrics, weights))


def _loss(of_margin: Callable[[Array], Array], margins: Array, weights: Array) -> Loss:
    margins = jnp.where(weights == 0, 0, margins)  # before the arithmetic: the gradient of a NaN is one too
    total = weighted_sum(weights, of_margin(margins))
    return Loss(total, weights.sum(), _metrics({"margin": margins, "accuracy": _above(margins)}, weights))


def _above(margins: Array) -> Array:
    return 0.5 * (1 + jnp.sign(margins))


def _metrics(values: dict[str, Array], weights: Array) -> dict[str, Array]:
    return {name: jax.lax.stop_gradient(weighted_sum(weights, value)) for name, value in values.items()}
