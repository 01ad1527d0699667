"""Laplace's approximation: a Gaussian at the mode, as narrow as the curvature there.

Axis letters: D numbers in the parameters.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from culet.inference.minimise import lbfgs
from culet.inference.posterior import LogDensity, Posterior, flattened


def laplace(log_density: LogDensity, start: PyTree, *, steps: int = 500) -> tuple[Posterior, Float[Array, ""]]:
    """The Gaussian at the mode that L-BFGS reaches from `start`, and Laplace's estimate of the log evidence, in nats.

    (MacKay, "Information Theory, Inference, and Learning Algorithms", chapter 27.) Costs D gradients of gradients and
    the memory of a D x D matrix. Raises `ArithmeticError` when the curvature at the point found is not that of a maximum.
    """
    density, vector, unravel = flattened(log_density, start)

    @eqx.filter_jit
    def find(x: Float[Array, "D"]) -> tuple[Array, Array, Array]:
        mode = lbfgs(lambda v: -density(v), x, steps=steps)
        return mode, density(mode), -jax.hessian(density)(mode)

    mode, value, precision = find(vector)
    curvature, directions = jnp.linalg.eigh(precision)
    if not bool(curvature[0] > 0):  # also when it is not a number
        raise ArithmeticError(
            f"the point found is not a maximum: the least curvature there is {float(curvature[0]):.3g}. "
            "Give more steps or another start, or a proper prior to parameters that the data say nothing of"
        )
    covariance = (directions / curvature[None]) @ directions.T
    evidence = value + 0.5 * vector.size * math.log(2 * math.pi) - 0.5 * jnp.sum(jnp.log(curvature))
    return Posterior(mode[None], jnp.linalg.cholesky(covariance)[None], unravel), evidence
