"""Next-token likelihood, its logits taken a chunk of the vocabulary at a time.

Axis letters: T tokens, V vocabulary, D width, B any leading axes (a batch of sequences is just more tokens).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from culet.objectives.loss import Loss
from culet.objectives.vocabulary import Head, LogSum, Rule, chunk_size, over_vocabulary


class _LogProbability(Rule):
    """The log-probability of one target per token. Statistics: the log-sum of all logits, and the target's logit."""

    targets: Int[Array, "T"]

    def init(self, tokens, dtype) -> Any:
        return LogSum.empty(tokens, dtype), jnp.full(tokens, jnp.nan, dtype)

    def absorb(self, statistics, logits, chunk) -> Any:
        log_sum, target_logit = statistics
        place, inside = chunk.place(self.targets)
        here = jnp.take_along_axis(logits[0], place[:, None], axis=1, mode="clip")[:, 0]
        return log_sum.add(logits[0], chunk), jnp.where(inside, here, target_logit)

    def values(self, statistics):
        log_sum, target_logit = statistics
        return target_logit - log_sum.value()

    def slope(self, statistics, logits, chunk, weights):
        place, _ = chunk.place(self.targets)
        is_target = place[:, None] == jnp.arange(logits[0].shape[1], dtype=place.dtype)[None, :]
        probabilities = jnp.exp(logits[0] - statistics[0].value()[:, None])
        return weights[:, None] * (is_target.astype(probabilities.dtype) - probabilities)


class _AndMean(_LogProbability):
    """The log-probability of one target per token, and the mean over the vocabulary."""

    entries: int = eqx.field(static=True)

    def init(self, tokens, dtype):
        return *super().init(tokens, dtype), jnp.zeros(tokens, dtype)

    def absorb(self, statistics, logits, chunk):
        total = statistics[2] + jnp.where(chunk.fresh[None, :], logits[0], 0).sum(axis=-1)
        return *super().absorb(statistics[:2], logits, chunk), total

    def values(self, statistics):
        log_sum, _, total = statistics
        return super().values(statistics[:2]), total / self.entries - log_sum.value()

    def slope(self, statistics, logits, chunk, weights):
        from_target = super().slope(statistics[:2], logits, chunk, weights[0])
        probabilities = jnp.exp(logits[0] - statistics[0].value()[:, None])
        return from_target + weights[1][:, None] * (1 / self.entries - probabilities)


class _AndLogSum(_LogProbability):
    """The log-probability of one target per token, and the log-sum of all logits."""

    def values(self, statistics):
        return super().values(statistics), statistics[0].value()

    def slope(self, statistics, logits, chunk, weights):
        probabilities = jnp.exp(logits[0] - statistics[0].value()[:, None])
        return super().slope(statistics, logits, chunk, weights[0]) + weights[1][:, None] * probabilities


def token_log_probabilities(
    hidden: Float[Array, "*B D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "*B"],
    *,
    cap: float | None = None,
    chunk: int | None = None,
) -> Float[Array, "*B"]:
    """The log-probability of each target under `softmax(cap * tanh(hidden @ embedding.T / cap))`, in float32.

    `chunk` is how many entries of the vocabulary to take at a time; without it, as many as `LOGIT_BYTES` allow. Give
    all sequences of a batch in one call rather than under `vmap`, which would make one embedding gradient for each.
    A target outside `[0, V)` has the log-probability NaN. Differentiable in reverse mode only.

    Raises:
        ValueError: `chunk` is less than 1.
    """
    size = chunk_size(targets.size, embedding.shape[0], chunk)
    head = Head(hidden.reshape(-1, hidden.shape[-1]), embedding, cap)
    values: Array = over_vocabulary(_LogProbability(targets.ravel()), (head,), size)
    return values.reshape(targets.shape)


def soft_values(
    hidden: Float[Array, "*B D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "*B"],
    *,
    cap: float | None = None,
    chunk: int | None = None,
) -> tuple[Float[Array, "*B"], Float[Array, "*B"]]:
    """`token_log_probabilities`, to the bit, and the log-sum-exp of the logits that each target was chosen from.

    Where logits are read as action values, that is the soft value of the state (see `inverse_q_learning`).

    Raises:
        ValueError: `chunk` is less than 1.
    """
    size = chunk_size(targets.size, embedding.shape[0], chunk)
    head = Head(hidden.reshape(-1, hidden.shape[-1]), embedding, cap)
    both: tuple[Array, Array] = over_vocabulary(_AndLogSum(targets.ravel()), (head,), size)
    return both[0].reshape(targets.shape), both[1].reshape(targets.shape)


def token_and_mean_log_probabilities(
    hidden: Float[Array, "*B D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "*B"],
    *,
    cap: float | None = None,
    chunk: int | None = None,
) -> tuple[Float[Array, "*B"], Float[Array, "*B"]]:
    """`token_log_probabilities`, to the bit, and the mean log-probability of all entries of the vocabulary.

    Label smoothing (Szegedy and others 2015, 1512.00567, section 7) mixes in the latter.

    Raises:
        ValueError: `chunk` is less than 1.
    """
    size = chunk_size(targets.size, embedding.shape[0], chunk)
    head = Head(hidden.reshape(-1, hidden.shape[-1]), embedding, cap)
    both: tuple[Array, Array] = over_vocabulary(_AndMean(targets.ravel(), embedding.shape[0]), (head,), size)
    return both[0].reshape(targets.shape), both[1].reshape(targets.shape)


def cross_entropy(
    hidden: Float[Array, "*B D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "*B"],
    weights: Float[Array, "*B"],
    *,
    cap: float | None = None,
    chunk: int | None = None,
) -> Loss:
    """The weighted sum of negative log-probabilities of the targets, in nats; see `token_log_probabilities`.

    Where the weight is 0 the target may be anything, and no gradient flows. Supervised fine-tuning on completions
    only is this loss with the weights that `completion_weights` makes.

    Raises:
        ValueError: `chunk` is less than 1.
    """
    nll = -token_log_probabilities(hidden, embedding, targets, cap=cap, chunk=chunk)
    total = weighted_sum(weights, nll)
    return Loss(total, weights.sum(), {"cross_entropy": total})


def completion_weights(
    weights: Float[Array, "*B"], positions: Int[Array, "*B"], prompt_lengths: Int[Array, "*B"]
) -> Float[Array, "*B"]:
    """`weights`, and 0 where the target is still a token of the prompt.

    `positions` are those of the inputs in their documents, so that the target's is one higher; `prompt_lengths`
    gives for each token the number of prompt tokens of its document.
    """
    return jnp.where(positions + 1 >= prompt_lengths, weights, 0)


def weighted_sum(weights: Float[Array, "*B"], values: Float[Array, "*B"]) -> Float[Array, ""]:
    """The sum of `weights * values`, in which values of weight 0 are masked, NaN too."""
    return jnp.where(weights == 0, 0, weights.astype(values.dtype) * values).sum()
