"""The digamma function, fast on a CPU, and expectations of sticks, for local steps.

KL, entropy and moments of a Dirichlet are those of `culet.distributions.Dirichlet`.

`jax.scipy.special.digamma` treats every argument that there is; a concentration is positive, and for those six steps
of the recurrence psi(x) = psi(x + 1) - 1/x lead to where four terms of the asymptotic series are exact in float32
(Abramowitz and Stegun 1964, 6.3.6 and 6.3.18).

Axis letters: K categories.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def digamma(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The derivative of log Gamma at x > 0 (-inf at 0), to the rounding of float32."""
    z = x + 6.0
    return jnp.log(z) - _below_log(x, z)


def exp_digamma(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """exp(digamma(x)) for x >= 0, without the logarithm: about x - 1/2 for large x, and 0 where float32 ends."""
    z = x + 6.0
    return z * jnp.exp(-_below_log(x, z))


def _below_log(x: Float[Array, "*shape"], z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(z) - digamma(x) for z = x + 6."""
    # 1/x + 1/(x+1) + ... + 1/(x+5), added in pairs whose ends have the same sum: three divisions in place of six.
    y = x * (x + 5.0)
    recurrence = (2.0 * x + 5.0) * (1.0 / y + 1.0 / (y + 4.0) + 1.0 / (y + 6.0))
    inverse = 1.0 / z
    square = inverse * inverse
    return recurrence + 0.5 * inverse + square * (1 / 12 - square * (1 / 120 - square / 252))


def expected_log_sticks(mass: Float[Array, "K"], concentration: jax.Array | float) -> Float[Array, "K"]:
    """E[log sigma] of a truncated stick-breaking posterior whose K pieces hold `mass` observations.

    Piece k is broken off what is left by v_k ~ Beta(1 + mass_k, concentration + mass_{k+1} + ...); the last takes the
    rest (Hoffman et al. 2013, section 3.3).
    """
    taken, left = _sticks(mass, concentration)
    both = digamma(taken + left)
    log_taken = jnp.append(digamma(taken) - both, 0.0)
    return log_taken + jnp.append(0.0, jnp.cumsum(digamma(left) - both))


def mean_sticks(mass: Float[Array, "K"], concentration: jax.Array | float) -> Float[Array, "K"]:
    """E[sigma] of the same posterior; it sums to 1."""
    taken, left = _sticks(mass, concentration)
    share = taken / (taken + left)
    return jnp.append(share, 1.0) * jnp.append(1.0, jnp.cumprod(1.0 - share))


def _sticks(
    mass: Float[Array, "K"], concentration: jax.Array | float
) -> tuple[Float[Array, "K-1"], Float[Array, "K-1"]]:
    behind = jnp.cumsum(mass[::-1])[::-1] - mass
    return 1.0 + mass[:-1], concentration + behind[:-1]
