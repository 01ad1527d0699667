"""A model that reads a whole text and gives one number for it: what a human would have preferred, what is entailed.

Axis letters: T tokens, D width, B texts.
"""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from culet.lm import Decoder

Meaning = Literal["reward", "entailment"]
SHORTEST = 32  # tokens that the smallest program of `scores` reads


class RewardModel(eqx.Module):
    """A decoder whose logits are replaced by one linear map, read at the text's last token (2203.02155, section 3.5).

    What the number says is its `meaning`: "reward", of which only differences count, so that its zero is put where
    `centre` says; or "entailment", the log-odds that what was read last follows from what was read first.
    """

    backbone: Decoder
    head: Float[Array, "D"]
    centre: Float[Array, ""]
    meaning: Meaning = eqx.field(static=True)

    def __init__(self, backbone: Decoder, meaning: Meaning = "reward", *, key: Key[Array, ""]):
        """Any decoder with a fresh head, normal with variance 1 / (D + 1) (as in 2009.01325)."""
        width = backbone.config.width
        self.backbone = backbone
        self.head = jax.random.normal(key, (width,)) * (width + 1) ** -0.5
        self.centre = jnp.zeros(())
        self.meaning = meaning

    def __call__(
        self, tokens: Int[Array, "T"], length: Int[Array, ""] | None = None, *, remat: bool = False, scan: bool = False
    ) -> Float[Array, ""]:
        """The number of one text, its last token the one before place `length`; what follows is padding, unseen."""
        length = jnp.array(tokens.shape[0]) if length is None else length
        last = self.backbone.hidden(tokens, remat=remat, scan=scan)[jnp.maximum(length - 1, 0)]
        product = last.astype(jnp.float32) @ self.head.astype(jnp.float32)
        return product - self.centre.astype(jnp.float32)


def scores(model: RewardModel, texts: Sequence[Sequence[int]], batch_size: int = 16) -> Float[np.ndarray, "B"]:
    """What the model gives to texts as token ids, in float32.

    Texts are padded to the next power of two and read `batch_size` at a time, so that one program is compiled for each
    such length that occurs, and that of a text depends on nothing but its own length.

    Raises ValueError for an empty text, and for one that is longer than the model's context: a text is never cut.
    """
    context = model.backbone.config.context
    lengths = np.array([len(text) for text in texts], np.int32)
    for number in np.flatnonzero((lengths == 0) | (lengths > context))[:1]:
        raise ValueError(
            f"text {number} has {lengths[number]} tokens; the model that judges it reads 1 to {context} and nothing is "
            "cut: give shorter texts or a model with a longer context"
        )
    slots = np.array([_slots(int(length), context) for length in lengths])
    found = np.zeros(len(texts), np.float32)
    pending = []  # on the device until the end, so that batches follow each other without a wait
    for size in np.unique(slots):
        alike = np.flatnonzero(slots == size)
        for start in range(0, len(alike), batch_size):
            chosen = alike[start : start + batch_size]
            tokens, counts = np.zeros((batch_size, size), np.int32), np.ones(batch_size, np.int32)
            for row, number in enumerate(chosen):
                tokens[row, : lengths[number]] = texts[number]
                counts[row] = lengths[number]
            pending.append((chosen, _batch_scores(model, jnp.asarray(tokens), jnp.asarray(counts))))
    for chosen, values in pending:
        found[chosen] = np.asarray(values)[: len(chosen)]
    return found


def _slots(length: int, context: int) -> int:
    return min(max(SHORTEST, 1 << (length - 1).bit_length()), context)


@eqx.filter_jit
def _batch_scores(model: RewardModel, tokens: Int[Array, "B T"], lengths: Int[Array, "B"]) -> Float[Array, "B"]:
    return jax.vmap(model)(tokens, lengths)
