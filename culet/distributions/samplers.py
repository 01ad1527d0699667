"""Samplers that several families share: gamma variates, and classes by inversion.

Axis letters: S shape of the draws, B batch of logits, K classes, N draws that are still wanted.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import random_gamma_grad
from jaxtyping import Array, Float, Int, Key

_HUGEST = 1e30  # concentration, from where on a draw is its mean to all digits
ROUNDS = 100  # of a rejection sampler, after which none of the draws is left to be made


def log_gamma_variates(
    key: Key[Array, ""], concentration: Float[Array, "..."], shape: tuple[int, ...], dtype: Any
) -> Float[Array, "..."]:
    """Logs of draws from Gamma(concentration, 1), of `shape`, with which `concentration` broadcasts at equal rank.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), for all draws at once; below
    concentration 1, a draw at concentration + 1 times a power of a uniform one, in logs. The gradient is implicit:
    the draw moves such that its distribution function stays (Figurnov et al., 2018). NaN where the concentration is NaN
    or negative.
    """
    wide = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
    return _log_gamma(key, jnp.broadcast_to(concentration, shape).astype(wide)).astype(dtype)


@jax.custom_jvp
def _log_gamma(key: Array, concentration: Array) -> Array:
    valid = concentration >= 0
    concentration = jnp.where(valid, jnp.clip(concentration, float(jnp.finfo(concentration.dtype).tiny), _HUGEST), 1)
    rejection_key, boost_key = jax.random.split(key)
    small = concentration < 1
    raised = jnp.where(small, concentration + 1, concentration)
    draws = jnp.log(_marsaglia_tsang(rejection_key, raised.ravel()).reshape(concentration.shape))
    uniform = jax.random.uniform(boost_key, concentration.shape, draws.dtype, minval=float(jnp.finfo(draws.dtype).tiny))
    logs = draws + jnp.where(small, jnp.log(uniform) / jnp.where(small, concentration, 1), 0)
    return jnp.where(valid, logs, jnp.nan)


@_log_gamma.defjvp
def _log_gamma_jvp(primals, tangents):
    key, concentration = primals
    logs = _log_gamma(key, concentration)
    # Of a draw so small that it is 0 in floats, log x moves as log(u) / a does: by -log(x) / a.
    draws = jnp.exp(logs)
    tiny = draws < 1e-30
    safe = jnp.where(tiny, 1.0, draws)
    moved = random_gamma_grad(concentration, safe)  # pyright: ignore[reportCallIssue]
    slope = jnp.where(tiny, -logs / concentration, moved / safe)
    return logs, slope * tangents[1]


def _marsaglia_tsang(key: Array, concentration: Array) -> Array:
    """Draws [N] at concentrations of at least 1. Few of the first proposals fail; the rounds after them are small."""
    total = concentration.size
    first_key, key = jax.random.split(key)
    draws, accepted = _propose(first_key, concentration)
    if total == 0:
        return draws
    places = min(total, max(64, total // 8))  # how many of those that failed have another go in one round

    def again(state):
        key, draws, accepted, rounds = state
        key, round_key = jax.random.split(key)
        (chosen,) = jnp.nonzero(~accepted, size=places, fill_value=total)
        proposals, ok = _propose(round_key, concentration.at[chosen].get(mode="fill", fill_value=1.0))
        target = jnp.where(ok, chosen, total)  # beyond the end, and so dropped
        draws = draws.at[target].set(proposals, mode="drop")
        return key, draws, accepted.at[target].set(True, mode="drop"), rounds + 1

    start = (key, draws, accepted, 0)
    return jax.lax.while_loop(lambda state: ~state[2].all() & (state[3] < ROUNDS), again, start)[1]


def _propose(key: Array, concentration: Array) -> tuple[Array, Array]:
    normal_key, uniform_key = jax.random.split(key)
    d = concentration - 1 / 3
    normal = jax.random.normal(normal_key, d.shape, d.dtype)
    step = normal / jnp.sqrt(9 * d)
    root = 1 + step
    cube = root * root * root
    uniform = jax.random.uniform(uniform_key, d.shape, d.dtype)
    bound = 0.5 * normal * normal + d * (1 - cube + jnp.log(jnp.where(root > 0, cube, 1)))
    return d * cube, (root > 0) & (jnp.log(uniform) < bound)


def sample_classes(key: Key[Array, ""], logits: Float[Array, "*B K"], shape: tuple[int, ...]) -> Int[Array, "*S"]:
    """Draws of shape S from softmax(logits), whose batch broadcasts to S: first a block of classes, then one of them.

    Both by inversion. That takes two random numbers for each draw, where Gumbel noise takes one for every class. The
    second draw is as fine within its block as the first is over all, so that float32 does not cut off the tail.
    """
    size = math.isqrt(logits.shape[-1] - 1) + 1
    logits = logits.astype(jnp.float32) if jnp.finfo(logits.dtype).bits < 32 else logits
    weights = jnp.exp(logits - jnp.max(logits, -1, keepdims=True))
    spare = [(0, 0)] * (logits.ndim - 1) + [(0, size * size - logits.shape[-1])]
    weights = jnp.pad(weights, spare).reshape(*logits.shape[:-1], size, size)
    first, second = jax.random.uniform(key, (2, *shape), weights.dtype)
    block = _inverted(first, weights.sum(-1))
    within = jnp.take_along_axis(weights, block[..., None, None], -2)[..., 0, :]
    return (block * size + _inverted(second, within)).astype(jnp.int32)


def _inverted(uniform: Float[Array, "*S"], weights: Float[Array, "*B K"]) -> Int[Array, "*S"]:
    """The first place up to which a share `uniform`, below 1, of the weights lies, and that has a weight."""
    reached = jnp.cumsum(weights, -1)
    real = weights > 0  # sums of the same numbers may differ by rounding, so a place without a weight may seem to add
    total = jnp.max(jnp.where(real, reached, 0), -1)
    below = jnp.minimum(uniform * total, total * (1 - jnp.finfo(total.dtype).eps))
    return jnp.argmax((reached > below[..., None]) & real, -1)
