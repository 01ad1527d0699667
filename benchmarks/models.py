"""What the benchmarks share: two models of about 131M parameters, made once, in Culet and in transformers.

Both sides get all cores. transformers chooses its attention itself; of Gemma 2 it has eager alone on a CPU, as sdpa
cannot cap scores.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from culet.lm import Decoder, DecoderConfig, preset, save_model

CORES = len(os.sched_getaffinity(0))
GEMMA_2 = dataclasses.replace(
    preset("gemma-2-2b"), layers=12, width=768, heads=8, kv_heads=4, head_dim=96, hidden=3072, vocabulary=32_000,
    window=512, query_scale=96**-0.5, embedding_scale=768**0.5,
)  # fmt: skip
RECURRENT_GEMMA = dataclasses.replace(
    preset("recurrent-gemma-2b"), layers=12, width=768, heads=8, head_dim=96, hidden=3072, vocabulary=32_000,
    query_scale=96**-0.5, embedding_scale=27.75, lru_width=768, lru_blocks=8,
)  # fmt: skip


def parameters(model: Decoder) -> int:
    """The number of parameters, the tied embeddings counted once."""
    return sum(leaf.size for leaf in jax.tree.leaves(model))


@contextmanager
def pair(config: DecoderConfig) -> Iterator[tuple[Decoder, Any]]:
    """One model twice: ours, and that of transformers, loaded from the folder we saved."""
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.disable_progress_bar()

    torch.set_num_threads(CORES)
    model = config.init(jax.random.key(0))
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), model)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        yield model, theirs


def random_tokens(config: DecoderConfig, rows: int, length: int) -> np.ndarray:
    """Ids [rows, length], the same at each call, none of them special."""
    return np.random.default_rng(0).integers(10, config.vocabulary, (rows, length), dtype=np.int32)
