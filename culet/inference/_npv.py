"""Nonparametric variational inference: an equal mixture of round Gaussians for any twice-differentiable log density.

Gershman, Hoffman and Blei, "Nonparametric Variational Inference" (2012).

Axis letters: N components, D numbers in the parameters, R random probes, K sweeps.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from culet.core.keys import as_key
from culet.core.minimise import lbfgs
from culet.distributions import Normal
from culet.inference.posterior import LogDensity, Posterior, flattened


def npv(
    log_density: LogDensity,
    starts: PyTree,
    key: int | Key[Array, ""],
    *,
    sweeps: int = 10,
    probes: int | None = None,
    widest: float = 10.0,
) -> tuple[Posterior, Float[Array, "K"]]:
    """The mixture and its approximate lower bound (L2 of the paper, in nats) after each sweep.

    Every leaf of `starts` has the components, N, as its first axis: where each begins. Components that begin in one
    place stay there together, so let them begin apart, for example at draws from the prior.

    A sweep moves all means by L-BFGS on the first-order bound L1, then all standard deviations by L-BFGS on the
    second-order bound L2 (section 3.2; the paper moves means one at a time). The trace of the Hessian in L2 is exact, D
    products with the Hessian per component, or with `probes` estimated from that many random signs (Hutchinson). Where
    the trace is positive L2 has no maximum: no standard deviation gets beyond `widest`.

    L2 is not a bound on the evidence; `culet.inference.elbo` estimates one. Raises `ValueError` for starts that cannot
    be used, `ArithmeticError` when L2 is not finite.
    """
    counts = {leaf.shape[0] if leaf.ndim else 0 for leaf in map(jnp.asarray, jax.tree.leaves(starts))}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"every leaf of starts needs the same first axis, the components; they have {sorted(counts)}")
    (components,) = counts
    pieces = [jax.tree.map(lambda leaf, n=n: leaf[n], starts) for n in range(components)]
    flat = [flattened(log_density, piece) for piece in pieces]
    unravel = flat[0][1]
    means = jnp.stack([vector for vector, _ in flat])
    keys = jax.random.split(as_key(key), sweeps)
    means, scales, bounds = _alternate(log_density, unravel, means, keys, probes, widest)
    if not bool(jnp.all(jnp.isfinite(bounds))):
        raise ArithmeticError("the bound is not finite: let components begin where density and Hessian are finite")
    return Posterior(means, jnp.broadcast_to(scales[:, None], means.shape), unravel), bounds


@eqx.filter_jit
def _alternate(
    log_density: LogDensity, unravel: Callable, means: Float[Array, "N D"], keys: Key[Array, "K"],
    probes: int | None, widest: float,
) -> tuple[Float[Array, "N D"], Float[Array, "N"], Float[Array, "K"]]:  # fmt: skip
    """Means, standard deviations and the bound L2 after each sweep."""

    def density(flat: Float[Array, "D"]) -> Float[Array, ""]:
        return log_density(unravel(flat))

    def sweep(carry: Any, sweep_key: Key[Array, ""]) -> Any:
        means, free = carry
        scales = _scales(free, widest)
        means = _ascend(lambda m: jnp.sum(jax.vmap(density)(m)) - jnp.sum(_log_q(m, scales)), means)
        values = jax.vmap(density)(means)
        traces = jax.vmap(lambda m: trace(density, m, probes, sweep_key))(means)

        def second_order(free: Float[Array, "N"]) -> Float[Array, ""]:
            scales = _scales(free, widest)
            return jnp.sum(values + 0.5 * jnp.square(scales) * traces - _log_q(means, scales))

        free = _ascend(second_order, free)
        return (means, free), second_order(free) / means.shape[0]

    free = jnp.full(means.shape[:1], math.log(widest), means.dtype)  # standard deviations of about 1 to begin with
    (means, free), bounds = jax.lax.scan(sweep, (means, free), keys)
    return means, _scales(free, widest), bounds


def _scales(free: Float[Array, "N"], widest: float) -> Float[Array, "N"]:
    """Standard deviations below `widest` from any numbers."""
    return widest * jnp.exp(-jax.nn.softplus(free))


def _log_q(means: Float[Array, "N D"], scales: Float[Array, "N"]) -> Float[Array, "N"]:
    """Log of the mixture convolved with each component, at its mean: the entropy's lower bound is minus their mean."""
    deviations = jnp.sqrt(jnp.square(scales)[:, None] + jnp.square(scales)[None])
    logs = jnp.sum(Normal(means[None], deviations[..., None]).log_prob(means[:, None]), axis=2)
    return jax.nn.logsumexp(logs, axis=1) - math.log(means.shape[0])


def trace(density: Callable, mean: Float[Array, "D"], probes: int | None, key: Key[Array, ""]) -> Float[Array, ""]:
    """The trace of the Hessian of a log density: exact, or from random signs, as many as `probes`."""

    def curved(direction: Float[Array, "D"]) -> Float[Array, ""]:
        return direction @ jax.jvp(jax.grad(density), (mean,), (direction,))[1]

    if probes is None:
        return jnp.sum(jax.lax.map(curved, jnp.eye(mean.size, dtype=mean.dtype)))
    return jnp.mean(jax.lax.map(curved, jax.random.rademacher(key, (probes, mean.size), mean.dtype)))


def _ascend(objective: Callable, start: Array) -> Array:
    """Where L-BFGS ends on the way up, for an array of any shape."""
    return lbfgs(lambda flat: -objective(flat.reshape(start.shape)), start.ravel(), steps=100).reshape(start.shape)
