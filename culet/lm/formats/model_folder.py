"""A model and its tokenizer, together in one folder or on the Hub."""

import json
from pathlib import Path

import jax
from jaxtyping import PyTree

from culet.lm.decoder import Decoder
from culet.lm.formats.checkpoint import load_model, save_model
from culet.lm.formats.hub import resolve
from culet.lm.formats.writing import CONFIG, MAX_SHARD_BYTES, staged, write_json
from culet.lm.tokenizers.tokenizer import Tokenizer


def load(
    path_or_hub_id: str | Path,
    *,
    revision: str | None = None,
    dtype: str | None = None,
    shardings: PyTree[jax.sharding.Sharding] | None = None,
) -> tuple[Decoder, Tokenizer]:
    """The model and tokenizer of a folder as transformers writes it, or of a Hub id such as "google/gemma-3-270m".

    A folder that exists never touches the network. For `dtype` and `shardings` see `load_model`. Raises ValueError or
    FileNotFoundError with one message that names the file, and in it the key or tensor, that cannot be used.
    """
    folder = resolve(path_or_hub_id, revision)
    tokenizer = Tokenizer.load(folder)
    model = load_model(folder, dtype=dtype, shardings=shardings)
    if tokenizer.vocabulary > model.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens but the model embeds "
            f"{model.config.vocabulary}; they do not belong together"
        )
    return model, tokenizer


def save(
    path: str | Path,
    model: Decoder,
    tokenizer: Tokenizer,
    *,
    dtype: str | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a folder that `load` and transformers load: weights, config.json, tokenizer, generation_config.json.

    The folder changes all at once, after everything is on disk. For `dtype`, `max_shard_bytes` and errors see
    `save_model`.
    """
    ids = {"bos_token_id": tokenizer.bos_id, "pad_token_id": tokenizer.pad_id}
    with staged(Path(path)) as stage:
        tokenizer.save(stage)
        write_json(stage / "generation_config.json", {**ids, "eos_token_id": list(tokenizer.stop_ids)})
        save_model(stage, model, dtype=dtype, max_shard_bytes=max_shard_bytes)
        config = json.loads((stage / CONFIG).read_bytes())
        write_json(stage / CONFIG, {**config, **ids, "eos_token_id": tokenizer.eos_id})
