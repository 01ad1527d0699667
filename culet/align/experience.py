"""What one step learns from: completions of its prompts by source, their rewards, and the models that take part.

Axis letters: B prompts, K completions of each by one source, N new tokens, R = B K rows.
"""

import abc
import functools
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from culet.align.rollout import Rollout, hidden, log_probabilities
from culet.lm import Decoder
from culet.objectives import Loss, distillation, sequence_sum

RolloutSource = Literal["policy", "reference", "teacher", "data"]


class Models(eqx.Module):
    """The models that a loss may use. Gradients go to the policy, the critic and the discriminator."""

    # Any, because in the halves that are trained and not trained the others' leaves are missing.
    policy: Any  # a Decoder
    reference: Any = None  # a Decoder: the reference model, from which the policy's divergence is taken
    critic: Any = None  # a Scorer
    discriminator: Any = None  # a Scorer
    teachers: Any = ()  # Decoders


class Experience(eqx.Module):
    """All leaves begin with the axes B, so that a batch can be cut into micro-batches, and most go on with K."""

    rollouts: Mapping[str, Rollout]  # by source
    rewards: Mapping[str, Float[Array, "B K"]]  # of the sources that are judged
    teacher_ids: Int[Array, "B"]  # which teacher each prompt belongs to
    targets: Mapping[str, Array]  # computed over the whole batch (`Method.compute_targets`): advantages, say


class Method(abc.ABC):
    """An algorithm: which models write completions, which of them get rewards, and the loss."""

    judged: tuple[RolloutSource, ...] = ()  # sources whose completions get rewards
    critic: bool = False  # whether a critic learns beside the policy
    discriminator: bool = False
    updates: int = 1  # gradient steps on each batch
    reference_rate: float = 0.0  # of the reference model, if the recipe does not say

    @abc.abstractmethod
    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """How many completions of each prompt each source gives at a step; a function of the step alone."""

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """What the loss needs of the whole batch, computed without gradient: arrays with a first axis B."""
        return {}

    @abc.abstractmethod
    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """The loss of a batch or a micro-batch of it."""


def flat(tree: Any) -> Any:
    """Arrays [B, K, ...] as [B K, ...]."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)


@functools.partial(jax.jit, static_argnums=1)
def grouped(tree: Any, completions: int) -> Any:
    """Arrays [B K, ...] as [B, K, ...]."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, completions, *leaf.shape[1:]), tree)


def written(rollout: Rollout) -> Bool[Array, "..."]:
    """True for every token that was written."""
    return rollout.mask > 0


def ends(rollout: Rollout) -> Bool[Array, "..."]:
    """True at the last token of each completion, whether a stop token or the limit ended it."""
    following = jnp.concatenate([rollout.mask[..., 1:], jnp.zeros_like(rollout.mask[..., :1])], axis=-1)
    return written(rollout) & (following == 0)


def token_log_probs(model: Decoder, rollout: Rollout) -> Float[Array, "B K N"]:
    """The log-probability of each token that was written under a model."""
    return log_probabilities(model, flat(rollout)).reshape(rollout.mask.shape)


def sequence_log_probs(model: Decoder, rollout: Rollout) -> Float[Array, "B K"]:
    """The log-probability of each completion under a model."""
    return sequence_sum(token_log_probs(model, rollout), written(rollout))


def sequence_kl(policy: Decoder, reference: Decoder, rollout: Rollout) -> Float[Array, ""]:
    """KL(policy || reference) of every next token of a rollout, exact over the vocabulary, summed.

    On what the policy itself wrote, divided by the number of completions, an unbiased estimate of the divergence of
    whole completions. The gradient takes prefixes as given, and does not go to the reference.
    """
    rows = flat(rollout)
    loss = distillation(
        hidden(policy, rows), policy.embedding, hidden(reference, rows), reference.embedding, rows.mask,
        divergence="reverse_kl", student_cap=policy.config.logit_cap, teacher_cap=reference.config.logit_cap,
    )  # fmt: skip
    return loss.total


def chosen(rollout: Rollout, which: Int[Array, "B"]) -> Rollout:
    """One completion of each prompt, [B, 1, ...]."""
    return jax.tree.map(lambda leaf: jnp.take_along_axis(leaf, _index(which, leaf), axis=1), rollout)


def _index(which: Int[Array, "B"], leaf: Array) -> Array:
    return which.reshape(-1, *[1] * (leaf.ndim - 1))
