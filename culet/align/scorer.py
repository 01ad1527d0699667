"""A decoder with one linear map in place of its logits: a critic, a discriminator, or the body of a reward model.

Axis letters: T tokens, D width, B rows of a rollout, N new tokens.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from culet.align.rollout import Rollout, hidden
from culet.lm import Decoder


class Scorer(eqx.Module):
    """Gives a number to a text, read at its last token, or to each prefix of a completion. All numbers are float32."""

    decoder: Decoder
    head: Float[Array, "D"]

    @classmethod
    def create(cls, decoder: Decoder) -> "Scorer":
        """A copy of a decoder that gives 0 to everything, as critics and discriminators begin."""
        return Scorer(jax.tree.map(_copy, decoder), jnp.zeros(decoder.config.width, jnp.float32))

    def __call__(
        self, tokens: Int[Array, "T"], length: Int[Array, ""] | None = None, *, remat: bool = False, scan: bool = False
    ) -> Float[Array, ""]:
        """The number of one text, its last token the one before place `length`; what follows is padding, unseen."""
        length = jnp.array(tokens.shape[0]) if length is None else length
        return self._product(self.decoder.hidden(tokens, remat=remat, scan=scan)[jnp.maximum(length - 1, 0)])

    def before_tokens(self, rollout: Rollout) -> Float[Array, "B N"]:
        """The number of the text before each token of the completions: the value of the state it was written in."""
        return self._product(hidden(self.decoder, rollout))

    def of_states(self, rollout: Rollout) -> Float[Array, "B _"]:
        """The same, and the number of the text after the last token: the values of all N + 1 states of an episode."""
        return self._product(hidden(self.decoder, rollout, where="around"))

    def of_whole(self, rollout: Rollout) -> Float[Array, "B"]:
        """The number of each prompt with its completion, read at the last token that was written."""
        last = jnp.sum(rollout.mask, axis=1).astype(jnp.int32) - 1
        after = hidden(self.decoder, rollout, where="after")
        return self._product(jnp.take_along_axis(after, last[:, None, None], axis=1)[:, 0])

    def _product(self, hidden: Float[Array, "*B D"]) -> Float[Array, "*B"]:
        return hidden.astype(jnp.float32) @ self.head.astype(jnp.float32)


def _copy(leaf: Any) -> Any:
    return jnp.copy(leaf) if eqx.is_array(leaf) else leaf
