"""Who takes part in a run: what is trained, what it is held to, and who teaches it.

Axis letters: B rows, N new tokens, D width.
"""

import dataclasses
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from culet.align.rollout import Rollout, hidden
from culet.core import TrainState
from culet.core.settings import Setting
from culet.lm import Decoder


class Scorer(eqx.Module):
    """A decoder with a number in place of the vocabulary: the value of a prefix, or how like the data a text is."""

    decoder: Decoder
    head: Float[Array, "D"]

    @classmethod
    def create(cls, decoder: Decoder) -> "Scorer":
        """Begins as a copy of a policy that gives 0 to everything."""
        return cls(jax.tree.map(_copy, decoder), jnp.zeros(decoder.config.width, jnp.float32))

    def __call__(self, rollout: Rollout) -> Float[Array, "B N"]:
        """What it makes of the text before each token that was written, in float32."""
        return hidden(self.decoder, rollout).astype(jnp.float32) @ self.head

    def of_whole(self, rollout: Rollout) -> Float[Array, "B"]:
        """What it makes of each whole text: read at its last token, in float32."""
        last = jnp.sum(rollout.mask, axis=1).astype(jnp.int32) - 1
        after = hidden(self.decoder, rollout, after=True)
        return jnp.take_along_axis(after, last[:, None, None], axis=1)[:, 0].astype(jnp.float32) @ self.head


class Models(eqx.Module):
    """All that a loss may look at. Gradients go to the policy, the critic and the discriminator."""

    # Any, because in the halves that are trained and not trained the others' leaves are missing.
    policy: Any  # a Decoder
    anchor: Any = None  # the Decoder that the policy is held to
    critic: Any = None  # a Scorer
    discriminator: Any = None  # a Scorer
    teachers: Any = ()  # Decoders


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceUpdate:
    """How the anchor follows the policy: not at all, and it is the model that the run began with, or in small steps."""

    anchor_rate: Annotated[
        float | None, Setting("Share by which the anchor moves to the policy each step; none: the method's.", 0, 1)
    ] = None
    anchor_every: Annotated[int, Setting("Steps between snapshots that become the anchor; 0: none.", min=0)] = 0

    def __post_init__(self):
        if self.anchor_rate is not None and not 0 <= self.anchor_rate <= 1:
            raise ValueError(f"anchor_rate is {self.anchor_rate}; it is a share, from 0 to 1")
        if self.anchor_rate and self.anchor_every:
            raise ValueError("an anchor is a moving average (anchor_rate) or a snapshot (anchor_every), not both")

    def follow(self, anchor: PyTree, policy: PyTree, step: Int[Array, ""]) -> PyTree:
        """The anchor after `step` steps, in float32: a small step would be lost in the rounding of a shorter type."""
        if self.anchor_every:
            now = step % self.anchor_every == 0
            return jax.tree.map(lambda old, new: jnp.where(now, new, old), anchor, policy)
        if self.anchor_rate:
            return jax.tree.map(lambda old, new: old + self.anchor_rate * (new - old), anchor, policy)
        return anchor


class AlignState(eqx.Module):
    """What a run carries from step to step."""

    train: TrainState  # its model is the trained half of `Models`
    anchor: PyTree  # the same leaves of the anchor as are trained of the policy: with adapters, the adapters'

    @classmethod
    def create(cls, trained: Models, optimizer: Any, key: Key[Array, ""]) -> "AlignState":
        """The state before the first step, with the policy as its own anchor."""
        return cls(TrainState.create(trained, optimizer, key), jax.tree.map(_copy, trained.policy))

    def models(self, frozen: Models) -> Models:
        """Everyone, with what is not trained put back."""
        return eqx.combine(self.train.model, self.rest(frozen))

    def rest(self, frozen: Models) -> Models:
        """Everyone but what is trained: the frozen half, and the anchor as it is now."""
        return eqx.tree_at(lambda models: models.anchor, frozen, eqx.combine(self.anchor, frozen.policy), is_leaf=_none)


def halves(models: Models, trainable: PyTree) -> tuple[Models, Models]:
    """What is trained, of the policy only what `trainable` lets through, and what is not; the anchor is left out.

    `models.anchor` must have the policy's structure.
    """
    learns = eqx.is_inexact_array
    trained, frozen = eqx.partition(models, Models(trainable, False, learns, learns, False))
    return trained, eqx.tree_at(lambda models: models.anchor, frozen, None)


def _none(leaf: Any) -> bool:
    return leaf is None


def _copy(leaf: Any) -> Any:
    return jnp.copy(leaf) if eqx.is_array(leaf) else leaf
