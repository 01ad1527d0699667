"""Kullback-Leibler divergences between a policy and its reference: over the whole vocabulary, or from samples.

Directions are named from the policy: `"reverse"` is KL(policy || reference), an expectation under the policy, and
`"forward"` is KL(reference || policy). All in nats.

Axis letters: T tokens, V vocabulary, B any leading axes.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from culet.objectives.loss import Loss
from culet.objectives.tokens import Per, masked, token_loss

Direction = Literal["reverse", "forward"]
Estimator = Literal["k1", "k2", "k3"]


def exact_kl(
    policy_logits: Float[Array, "*B V"], reference_logits: Float[Array, "*B V"], *, direction: Direction
) -> Float[Array, "*B"]:
    """The divergence of two softmaxes, summed over the vocabulary, at least in float32.

    A token that one side rules out (logit minus infinity) costs nothing where the other does too. Of a sequence, the
    sum over its tokens on samples of the policy is an unbiased estimate of the sequences' reverse divergence; its
    gradient takes the prefixes as given. Where two rows of logits per token are too much memory, `distillation`
    with `divergence="reverse_kl"` has the same sum over tokens and the same gradient.

    Raises:
        ValueError: `direction` is neither.
    """
    _check("direction", direction, get_args(Direction))
    rows = policy_logits, reference_logits
    policy, reference = (jax.nn.log_softmax(z.astype(np.promote_types(z.dtype, np.float32))) for z in rows)
    return divergence(policy, reference) if direction == "reverse" else divergence(reference, policy)


def divergence(over: Float[Array, "*B V"], under: Float[Array, "*B V"]) -> Float[Array, "*B"]:
    """KL(over || under) of log-probabilities of an enumerable set."""
    possible = over > -jnp.inf
    # Both are made finite before they are subtracted: the gradient of a difference of infinities would be NaN.
    difference = jnp.where(possible, over, 0) - jnp.where(possible, under, 0)
    return (jnp.exp(over) * difference).sum(axis=-1)


def kl_estimate(
    policy: Float[Array, "*B"], reference: Float[Array, "*B"], *, estimator: Estimator
) -> Float[Array, "*B"]:
    """An estimate of KL(policy || reference) from log-probabilities of what the policy drew (Schulman 2020).

    With d = policy - reference:

    | estimator |               | as a value                             | expected gradient, differentiated as a loss |
    |-----------|---------------|----------------------------------------|---------------------------------------------|
    | `"k1"`    | d             | unbiased, may be negative              | zero                                        |
    | `"k2"`    | d² / 2        | biased, right to second order          | that of KL(policy || reference)             |
    | `"k3"`    | exp(-d) - 1 + d | unbiased, never negative             | that of KL(reference || policy)             |

    So no estimator is both an unbiased value and the loss that minimises that value. In a reward, where no gradient
    flows, subtracting k1 gives the gradient of KL(policy || reference). The table holds for what was drawn as a
    whole. Give sums over a sequence for the divergence of sequences; summed over single tokens, the values of k1 and
    k3 still estimate it without bias, but the gradients take each prefix as given.

    Raises:
        ValueError: `estimator` is none of those.
    """
    _check("estimator", estimator, get_args(Estimator))
    d = policy - reference
    if estimator == "k1":
        return d
    return 0.5 * jnp.square(d) if estimator == "k2" else jnp.expm1(-d) + d


def sampled_kl(
    policy: Float[Array, "*B T"],
    reference: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    *,
    direction: Direction,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """A loss on the policy's own samples whose expected gradient is that of the divergence in the direction named.

    Reverse is k2 of each token and forward k3 of each token, prefixes taken as given (see `kl_estimate`); no gradient
    goes to the reference. The total is no good figure of the divergence, the metrics are: `reverse_kl` by k3 and
    `policy_entropy` by minus the log-probability.

    Raises:
        ValueError: `direction` or `per` is unknown.
    """
    _check("direction", direction, get_args(Direction))
    policy, reference = masked(mask, policy), jax.lax.stop_gradient(masked(mask, reference))
    value = kl_estimate(policy, reference, estimator="k3")
    loss = kl_estimate(policy, reference, estimator="k2") if direction == "reverse" else value
    return token_loss(loss, mask, {"reverse_kl": value, "policy_entropy": -policy}, per=per, positions=positions)


def _check(name: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ValueError(f"{name} is {given!r}; it is one of {', '.join(map(repr, allowed))}")
