"""The recorded models of `tests/goldens/parity`, loaded by us."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from culet.lm import Decoder
from culet.lm.formats.checkpoint import load_model

FOLDER = Path(__file__).parent.parent / "goldens" / "parity"
FAMILIES = ("gemma", "gemma2", "gemma3_text", "recurrent_gemma", "vaultgemma")
BAR = 1e-4  # largest error of a raw float32 logit, relative to the spread of all logits


@cache
def recorded(family: str) -> dict[str, np.ndarray]:
    """`tokens` and raw logits `float32` and `bfloat16`, as transformers computed them."""
    with np.load(FOLDER / family / "logits.npz") as file:
        return dict(file)


@cache
def loaded(family: str) -> Decoder:
    return load_model(FOLDER / family)


def error(logits: jax.Array, family: str) -> float:
    """The largest error, relative to the spread of the recorded float32 logits."""
    truth = recorded(family)["float32"]
    return float(np.abs(np.asarray(logits) - truth).max() / truth.std())


def run(model: Decoder, family: str) -> jax.Array:
    """Raw logits of the recorded tokens. Not compiled: at this size, compiling takes far longer than running."""
    return model(jnp.asarray(recorded(family)["tokens"]))
