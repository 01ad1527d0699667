"""From values per token to sums per sequence and losses per batch, their normalisation named.

Axis letters: T tokens of a row, B any leading axes (rows of a batch).
"""

from collections.abc import Mapping
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from culet.objectives.loss import Loss

Per = Literal["token", "sequence", "sequence_mean"]
"""What a mean is taken over, and so what a `Loss` counts as its weight.

- `"token"`: the sum over tokens, the weight their number. Every token of a batch counts the same.
- `"sequence"`: the sum over tokens, the weight the number of sequences. It is what an expectation over sequences asks
  for: with it `reinforce` follows the gradient of the expected reward.
- `"sequence_mean"`: each sequence's mean over its own tokens, the weight the number of sequences. Tokens of short
  sequences count more.

A sequence without any token that counts is no sequence: padding a batch with empty rows changes nothing.
"""


def masked(mask: Bool[Array, "*B T"], values: Float[Array, "*B T"]) -> Float[Array, "*B T"]:
    """`values`, at least in float32, and 0 where the mask is false, whatever stood there, NaN too.

    To be done before any arithmetic, because the gradient of what is thrown away later may still be NaN.
    """
    return jnp.where(mask, values.astype(np.promote_types(values.dtype, np.float32)), 0)


def sequence_sum(values: Float[Array, "*B T"], mask: Bool[Array, "*B T"]) -> Float[Array, "*B"]:
    """The sum over the tokens that the mask lets through: of log-probabilities, that of the sequence.

    The mask holds the completion with its end token, and neither prompt nor padding.
    """
    return masked(mask, values).sum(axis=-1)


def sequence_starts(like: Bool[Array, "*B T"], positions: Int[Array, "*B T"] | None) -> Bool[Array, "*B T"]:
    """Where a new sequence starts: at the head of each row, and where `positions` return to 0 in a packed one."""
    starts = jnp.zeros(like.shape, bool).at[..., 0].set(True)
    return starts if positions is None else starts | (positions == 0)


def token_loss(
    values: Float[Array, "*B T"],
    mask: Bool[Array, "*B T"],
    metrics: Mapping[str, Float[Array, "*B T"]],
    *,
    per: Per,
    positions: Int[Array, "*B T"] | None = None,
) -> Loss:
    """The sums of `values` and of `metrics` over the tokens that the mask lets through, normalised as `per` says.

    `positions` are needed where rows are packed: each token's place in its own sequence, 0 where one begins. No
    gradient goes through the metrics.

    Raises:
        ValueError: `per` is none of those.
    """
    if per not in get_args(Per):
        raise ValueError(f"per is {per!r}; a loss is per {', '.join(map(repr, get_args(Per)))}")
    counted = mask.ravel().astype(np.float32)
    row = jnp.cumsum(sequence_starts(mask, positions).ravel()) - 1
    lengths = jax.ops.segment_sum(counted, row, num_segments=mask.size)
    weight = counted.sum() if per == "token" else (lengths > 0).sum().astype(np.float32)
    row_weights = 1 / jnp.maximum(lengths, 1)[row].reshape(mask.shape) if per == "sequence_mean" else None

    def total(values: Array) -> Array:
        values = masked(mask, values)
        return (values if row_weights is None else values * row_weights.astype(values.dtype)).sum()

    return Loss(total(values), weight, {name: total(jax.lax.stop_gradient(each)) for name, each in metrics.items()})
