"""What the approximations here give: a mixture of Gaussians over an unconstrained pytree of parameters.

Axis letters: N components, D numbers in the parameters.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from culet.core.keys import as_key
from culet.distributions import Independent, Mixture, MultivariateNormal, Normal

LogDensity = Callable[[Any], Float[Array, ""]]
"""From a pytree of parameters, any real numbers, to a log density; it need not integrate to one."""


class Posterior(eqx.Module):
    """An equal-weight mixture of Gaussians (one Gaussian if N is 1) over a pytree of parameters.

    `distribution` is the same over vectors [D]; `unravel` makes a pytree of one.
    """

    distribution: Mixture
    unravel: Callable[[Float[Array, "D"]], Any] = eqx.field(static=True)

    def __init__(
        self,
        means: Float[Array, "N D"],
        scales: Float[Array, "N D"] | Float[Array, "N D D"],
        unravel: Callable[[Float[Array, "D"]], Any],
    ):
        """`scales` are standard deviations, or lower Cholesky factors of covariances."""
        self.distribution = Mixture(jnp.zeros(means.shape[0], means.dtype), gaussian(means, scales))
        self.unravel = unravel

    @property
    def means(self) -> Float[Array, "N D"]:
        """Those of the components."""
        return self.distribution.components.mean()

    @property
    def scales(self) -> Float[Array, "N D"] | Float[Array, "N D D"]:
        """Those of the components, as they were given."""
        components: Any = self.distribution.components
        return components.scale_tril if isinstance(components, MultivariateNormal) else components.base.scale

    def sample(self, key: int | Key[Array, ""], shape: tuple[int, ...] = ()) -> PyTree:
        """Draws parameters; every leaf gets `shape` in front of its own."""
        unravel = self.unravel
        for _ in shape:
            unravel = jax.vmap(unravel)
        return unravel(self.distribution.sample(as_key(key), shape))

    def log_prob(self, value: PyTree) -> Float[Array, ""]:
        """Log density of the approximation at one pytree of parameters."""
        return self.distribution.log_prob(ravel_pytree(value)[0])

    def mean(self) -> PyTree:
        """The mean of the mixture."""
        return self.unravel(self.distribution.mean())

    def standard_deviation(self) -> PyTree:
        """Marginal standard deviations of the mixture."""
        return self.unravel(jnp.sqrt(self.distribution.variance()))


def gaussian(means: Float[Array, "*B D"], scales: Array) -> Independent | MultivariateNormal:
    """Gaussian vectors from standard deviations [*B, D] or lower Cholesky factors [*B, D, D]."""
    if scales.ndim == means.ndim:
        return Independent(Normal(means, scales), 1)
    return MultivariateNormal(means, scales)


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
