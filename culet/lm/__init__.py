"""The language models of the Gemma line: presets, decoder, checkpoints, tokenizers, generation.

Names are loaded when first used, so that what reads only texts or configurations does not wait for jax.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.lm.checkpoint import load_config, load_model, save_model
    from culet.lm.completion import Completion, generate, stream, stream_batch
    from culet.lm.config import DecoderConfig
    from culet.lm.decoder import Decoder
    from culet.lm.folder import load, save
    from culet.lm.footprint import sizes
    from culet.lm.published import preset, presets, scaled
    from culet.lm.recipe import Recipe
    from culet.lm.tokenizer import Tokenizer
    from culet.lm.tokenizer_training import train_tokenizer
    from culet.lm.training import train

_HOME = {
    "checkpoint": ("load_config", "load_model", "save_model"),
    "config": ("DecoderConfig",),
    "decoder": ("Decoder",),
    "folder": ("load", "save"),
    "completion": ("Completion", "generate", "stream", "stream_batch"),
    "published": ("preset", "presets", "scaled"),
    "footprint": ("sizes",),
    "recipe": ("Recipe",),
    "tokenizer": ("Tokenizer",),
    "tokenizer_training": ("train_tokenizer",),
    "training": ("train",),
}

__all__ = [
    "Completion",
    "Decoder",
    "DecoderConfig",
    "Recipe",
    "Tokenizer",
    "generate",
    "load",
    "load_config",
    "load_model",
    "preset",
    "presets",
    "save",
    "save_model",
    "scaled",
    "sizes",
    "stream",
    "stream_batch",
    "train",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
