"""Laplace's approximation: a Gaussian at the mode, as narrow as the curvature there.

Axis letters: D numbers in the parameters.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from culet.core.minimise import lbfgs
from culet.distributions import MultivariateNormal
from culet.inference.posterior import LogDensity, Posterior, flattened


def laplace(log_density: LogDensity, start: PyTree, *, steps: int = 500) -> tuple[Posterior, Float[Array, ""]]:
    """The Gaussian at the mode that L-BFGS reaches from `start`, and Laplace's estimate of the log evidence, in nats.

    (MacKay, "Information Theory, Inference, and Learning Algorithms", chapter 27.) Costs D gradients of gradients and
    the memory of a D x D matrix. Raises `ArithmeticError` when the curvature at the point that is reached is not
    that of a maximum.
    """
    vector, unravel = flattened(log_density, start)
    mode, value, precision = _peak(log_density, unravel, vector, steps)
    curvature, directions = jnp.linalg.eigh(precision)
    if not bool(curvature[0] > 0):  # also when it is not a number
        raise ArithmeticError(
            f"L-BFGS ended at a point that is not a maximum: the least curvature there is {float(curvature[0]):.3g}. "
            "Use more steps, another start, or a proper prior for parameters that the data do not determine"
        )
    covariance = (directions / curvature[None]) @ directions.T
    q = MultivariateNormal(mode, jnp.linalg.cholesky(covariance))
    return Posterior(mode[None], q.scale_tril[None], unravel), value - q.log_prob(mode)


@eqx.filter_jit
def _peak(
    log_density: LogDensity, unravel: Callable, vector: Float[Array, "D"], steps: int
) -> tuple[Float[Array, "D"], Float[Array, ""], Float[Array, "D D"]]:
    """The mode, the log density there and minus its Hessian."""

    def density(flat: Float[Array, "D"]) -> Float[Array, ""]:
        return log_density(unravel(flat))

    mode = lbfgs(lambda flat: -density(flat), vector, steps=steps)
    return mode, density(mode), -jax.hessian(density)(mode)
