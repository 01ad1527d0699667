"""What the approximations here give: a mixture of Gaussians over an unconstrained pytree of parameters.

Axis letters: N components, D numbers in the parameters.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

LogDensity = Callable[[Any], Float[Array, ""]]
"""From a pytree of parameters, any real numbers, to a log density; it need not integrate to one."""


class Posterior(eqx.Module):
    """An equal-weight mixture of Gaussians (one Gaussian if N is 1) over a pytree of parameters."""

    means: Float[Array, "N D"]
    scales: Float[Array, "N D"] | Float[Array, "N D D"]  # standard deviations, or lower Cholesky factors
    unravel: Callable[[Float[Array, "D"]], Any] = eqx.field(static=True)

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> PyTree:
        """Draws parameters; every leaf gets `shape` in front of its own."""
        which_key, noise_key = jax.random.split(key)
        components, size = self.means.shape
        which = jax.random.randint(which_key, shape, 0, components)
        noise = jax.random.normal(noise_key, (*shape, size), self.means.dtype)
        scales = self.scales[which]
        spread = scales * noise if self.scales.ndim == 2 else jnp.einsum("...ij,...j->...i", scales, noise)
        unravel = self.unravel
        for _ in shape:
            unravel = jax.vmap(unravel)
        return unravel(self.means[which] + spread)

    def log_prob(self, value: PyTree) -> Float[Array, ""]:
        """Log density of the approximation at one pytree of parameters."""
        vector, _ = ravel_pytree(value)
        each = jax.vmap(_log_normal, (None, 0, 0))(vector, self.means, self.scales)
        return jax.nn.logsumexp(each) - math.log(self.means.shape[0])

    def mean(self) -> PyTree:
        """The mean of the mixture."""
        return self.unravel(jnp.mean(self.means, axis=0))

    def standard_deviation(self) -> PyTree:
        """Marginal standard deviations of the mixture."""
        own = jnp.square(self.scales) if self.scales.ndim == 2 else jnp.sum(jnp.square(self.scales), axis=2)
        return self.unravel(jnp.sqrt(jnp.mean(own, axis=0) + jnp.var(self.means, axis=0)))


def flattened(log_density: LogDensity, start: PyTree) -> tuple[Float[Array, "D"], Callable]:
    """The start as a vector, and the function from vectors to pytrees.

    Raises `ValueError` when `start` has leaves that are not floating, or the density at it is not one finite number.
    """
    if any(not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating) for leaf in jax.tree.leaves(start)):
        raise ValueError("the parameters to start from must all be floating; keep counts and labels in the log density")
    vector, unravel = ravel_pytree(start)
    value = jnp.asarray(log_density(start))
    if value.shape != ():
        raise ValueError(f"the log density has shape {value.shape} at the start; it must give one number")
    if not bool(jnp.isfinite(value)):
        raise ValueError(f"the log density is {float(value)} at the start; start where it is finite")
    return vector, unravel


def _log_normal(x: Float[Array, "D"], mean: Float[Array, "D"], scale: Array) -> Float[Array, ""]:
    diagonal = scale if scale.ndim == 1 else jnp.diagonal(scale)
    centred = x - mean
    white = centred / scale if scale.ndim == 1 else jax.scipy.linalg.solve_triangular(scale, centred, lower=True)
    return -0.5 * jnp.sum(jnp.square(white)) - jnp.sum(jnp.log(diagonal)) - 0.5 * x.size * math.log(2 * math.pi)
