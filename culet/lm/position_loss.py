"""How a decoder's loss depends on the position: over rows of any length, and beyond the length that it was trained on.

Axis letters: S tokens of a text, N rows, T tokens in a row, B bins.
"""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.lm.decoder import Decoder

Rows = Mapping[str, np.ndarray]
TIMES = 8  # rows of `loss_beyond` are as many times as long as those of the training


class PositionLoss(NamedTuple):
    """Mean loss in nats per token, by position in the row."""

    positions: Float[np.ndarray, "B"]  # middle of each bin, in tokens from the start of the row
    loss: Float[np.ndarray, "B"]


class BeyondLoss(NamedTuple):
    """The loss of the same tokens with little and with much before them, in nats per token (see `loss_beyond`)."""

    inside: float  # with half to one training length of tokens before them
    beyond: float  # with 4 to 8 training lengths before them
    by_position: PositionLoss  # over the long rows


def stream_rows(tokens: Int[np.ndarray, "S"], length: int) -> dict[str, np.ndarray]:
    """A text cut into rows [N, T] of `length` tokens, whatever documents it holds; tokens left over are not used.

    They have the names of `text_rows`: inputs, targets (the next token), positions from 0 and weights of one. Raises
    ValueError for a text of fewer than `length + 1` tokens.
    """
    if not 1 <= length < len(tokens):
        raise ValueError(f"a text of {len(tokens)} tokens cannot be cut into rows of {length} and their next tokens")
    count = (len(tokens) - 1) // length
    shape = (count, length)
    return {
        "inputs": tokens[: count * length].reshape(shape),
        "targets": tokens[1 : count * length + 1].reshape(shape),
        "positions": np.broadcast_to(np.arange(length, dtype=np.int32), shape),
        "weights": np.ones(shape, np.float32),
    }


def token_losses(model: Decoder, rows: Rows) -> Float[np.ndarray, "N T"]:
    """The next-token loss of every token of the rows, in nats; the rows are read one at a time."""
    names = ("inputs", "targets", "positions")
    losses = [_losses(model, *row) for row in zip(*(rows[name] for name in names), strict=True)]
    return np.asarray(jax.device_get(losses))


@eqx.filter_jit
def _losses(
    model: Decoder, inputs: Int[Array, "T"], targets: Int[Array, "T"], positions: Int[Array, "T"]
) -> Float[Array, "T"]:
    log_probabilities = jax.nn.log_softmax(model(inputs, positions))
    return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=1)[:, 0]


def loss_by_position(losses: Float[np.ndarray, "N T"], bins: int = 32) -> PositionLoss:
    """The mean of `token_losses` over rows, by position, in bins of equal width.

    Raises ValueError unless the rows' length is a multiple of `bins`.
    """
    length = losses.shape[1]
    if bins < 1 or length % bins:
        raise ValueError(f"rows of {length} tokens cannot be cut into {bins} bins of equal width")
    width = length // bins
    return PositionLoss((np.arange(bins) + 0.5) * width, losses.mean(axis=0).reshape(bins, width).mean(axis=1))


def loss_beyond(model: Decoder, tokens: Int[np.ndarray, "S"], length: int) -> BeyondLoss:
    """How the loss of a model that was trained on rows of `length` tokens goes on in rows eight times as long.

    `beyond` is the loss of tokens that stand 4 to 8 times `length` from the start of their row; `inside` is that of the
    same tokens when the model starts anew every `length` tokens. Only the second half of each such piece counts, so
    that every token has at least half of `length` before it. Raises ValueError for a text that is shorter than a row.
    """
    rows = stream_rows(tokens, TIMES * length)
    long = token_losses(model, rows)
    short = token_losses(model, {**rows, "positions": rows["positions"] % length})  # as rows of `length`
    beyond, inside = (
        losses.reshape(-1, TIMES, length)[:, TIMES // 2 :, length // 2 :].mean() for losses in (long, short)
    )
    return BeyondLoss(float(inside), float(beyond), loss_by_position(long))
