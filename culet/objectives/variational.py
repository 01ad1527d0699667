"""The parts of a variational autoencoder's bound, and the loss that holds its capacity.

Axis letters: B examples in a batch, Z latents.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from culet.objectives.loss import Loss


def bernoulli_cross_entropy(logits: Float[Array, "B *P"], targets: Float[Array, "B *P"]) -> Float[Array, "B"]:
    """`-log p(targets)` in nats, summed over the pixels of each example, where `p(1) = sigmoid(logits)`.

    Targets between 0 and 1 are taken as means of bits.
    """
    axes = tuple(range(1, logits.ndim))
    return jnp.sum(jax.nn.softplus(logits) - targets * logits, axis=axes)


def capacity_bound(
    error: Float[Array, "B"],
    divergence: Float[Array, "B Z"],
    *,
    beta: Float[Array, ""],
    gamma: Float[Array, ""],
    capacity: Float[Array, ""],
) -> Loss:
    """`error + beta * KL + gamma * |KL - capacity|`, with the KL summed over latents and averaged over the batch.

    `divergence` is the KL of each latent from its prior, `kl_divergence(codes, prior)`. With gamma 0 it is the beta-VAE
    (Higgins and others 2017), and with beta 1 the negative evidence lower bound; with beta 0 and a growing capacity
    (nats) that of Burgess and others (2018, 1804.03599, equation 8). The weight is the number of examples. Because
    |KL - capacity| is that of the batch's mean, losses of micro-batches add up to that of the batch only where the KL
    of each is on the same side of the capacity. Metrics: `reconstruction`, `divergence`, and `divergence_z` of each
    latent z, in nats per example.
    """
    count = jnp.asarray(error.shape[0], error.dtype)
    by_latent = divergence.sum(axis=0)
    total = by_latent.sum()
    penalty = beta * total + gamma * jnp.abs(total - count * capacity)
    metrics = {"reconstruction": error.sum(), "divergence": total}
    metrics |= {f"divergence_{z}": by_latent[z] for z in range(divergence.shape[1])}
    return Loss(error.sum() + penalty, count, metrics)
