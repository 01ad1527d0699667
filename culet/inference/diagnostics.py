"""How good an approximation is: the bound, importance weights and their tail, agreement of chains.

Axis letters: S draws, C chains, T steps.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from culet.core.keys import as_key
from culet.inference.posterior import LogDensity, Posterior

_FEWEST_IN_TAIL = 5


def log_weights(
    log_density: LogDensity, posterior: Posterior, key: int | Key[Array, ""], draws: int = 1000
) -> Float[Array, "S"]:
    """Log density minus log of the approximation at draws from it, in nats: log importance weights."""

    @eqx.filter_jit
    def weigh(posterior: Posterior, key: Key[Array, ""]) -> Float[Array, "S"]:
        points = posterior.sample(key, (draws,))
        return jax.vmap(log_density)(points) - jax.vmap(posterior.log_prob)(points)

    return weigh(posterior, as_key(key))


def elbo(
    log_density: LogDensity, posterior: Posterior, key: int | Key[Array, ""], draws: int = 1000
) -> tuple[float, float]:
    """The evidence lower bound by Monte Carlo and its standard error, in nats."""
    weights = log_weights(log_density, posterior, key, draws)
    return float(jnp.mean(weights)), float(jnp.std(weights)) / math.sqrt(draws)


def effective_sample_size(log_weights: Float[Array | np.ndarray, "S"]) -> float:
    """How many equal weights are worth these: (sum w)^2 / sum w^2, between 1 and S."""
    logs = _checked(log_weights)
    weights = np.exp(logs - logs.max())
    return float(weights.sum() ** 2 / np.square(weights).sum())


def pareto_k(log_weights: Float[Array | np.ndarray, "S"]) -> float:
    """The shape of the importance weights' tail; above 0.7 expectations by these weights cannot be trusted.

    Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto Smoothed Importance Sampling" (2024): the generalised Pareto
    distribution of Zhang and Stephens (2009) fitted to the largest weights, min(S / 5, 3 sqrt(S)) of them, with a weak
    prior towards 0.5. Raises `ValueError` for under 25 weights, or weights that are not finite.
    """
    logs = np.sort(_checked(log_weights))
    tail = int(min(logs.size / 5, 3 * math.sqrt(logs.size)))
    if tail < _FEWEST_IN_TAIL:
        raise ValueError(f"{logs.size} weights have too short a tail; give at least 25")
    weights = np.exp(logs[-tail - 1 :] - logs[-1])
    beyond = weights[1:] - weights[0]
    if beyond[-1] <= 0:
        return -math.inf  # all equal: no tail
    shape = _pareto_shape(beyond[beyond > 0])
    return (tail * shape + 5) / (tail + 10)


def _pareto_shape(beyond: np.ndarray) -> float:
    """The posterior mean of Zhang and Stephens for ascending positive excesses."""
    count = beyond.size
    grid = 30 + int(math.sqrt(count))
    quarter = beyond[max(int(count / 4 + 0.5) - 1, 0)]
    ratios = 1 / beyond[-1] + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quarter)
    shapes = np.log1p(-ratios[:, None] * beyond).mean(axis=1)
    profile = count * (np.log(-ratios / shapes) - shapes - 1)
    share = np.exp(profile - profile.max())
    ratio = float(share @ ratios / share.sum())
    return float(np.log1p(-ratio * beyond).mean())


def r_hat(chains: Float[Array | np.ndarray, "C T"]) -> float:
    """Potential scale reduction of split chains: near 1 when all chains, and both halves of each, look alike.

    Gelman et al., "Bayesian Data Analysis" (2013), section 11.4. Raises `ValueError` for under 4 steps, and
    for chains that are not finite or never move.
    """
    draws = np.asarray(chains, np.float64)
    if draws.ndim != 2 or draws.shape[1] < 4:
        raise ValueError(f"chains have shape {draws.shape}; give [chains, steps] with at least 4 steps")
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, -half:]])
    within = parts.var(axis=1, ddof=1).mean()
    if not np.isfinite(draws).all() or within == 0:
        raise ValueError("the chains are not finite or do not move")
    between = parts.mean(axis=1).var(ddof=1)
    return math.sqrt((half - 1) / half + between / within)


def _checked(log_weights: Float[Array | np.ndarray, "S"]) -> np.ndarray:
    logs = np.asarray(log_weights, np.float64)
    if logs.ndim != 1 or logs.size == 0 or not np.isfinite(logs).all():
        raise ValueError(f"log weights must be finite numbers in one axis; these have shape {logs.shape}")
    return logs
