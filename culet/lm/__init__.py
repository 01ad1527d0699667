"""The language models of the Gemma line: presets, decoder, checkpoints, tokenizers, generation.

Names are loaded when first used, so that what reads only texts or configurations does not wait for jax.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.lm._chat import chat, stream_chat
    from culet.lm._decode_speed import decode_speed
    from culet.lm._generate import Completion, Piece, generate, stream, stream_batch
    from culet.lm._presets import preset, presets, scaled
    from culet.lm._train import SHARDING, answer_rows, distil, evaluate, text_rows, train
    from culet.lm.decoder import Decoder, DecoderConfig
    from culet.lm.footprint import sizes
    from culet.lm.formats.checkpoint import load, load_config, load_model, save, save_model
    from culet.lm.position_loss import loss_beyond, loss_by_position, stream_rows, token_losses
    from culet.lm.recipe import Recipe
    from culet.lm.tokenizers.tokenizer import Tokenizer
    from culet.lm.tokenizers.training import train_tokenizer
    from culet.nn.lora import LoRA

_HOME = {
    "formats.checkpoint": ("load", "load_config", "load_model", "save", "save_model"),
    "decoder": ("Decoder", "DecoderConfig"),
    "_chat": ("chat", "stream_chat"),
    "_generate": ("Completion", "Piece", "generate", "stream", "stream_batch"),
    "_presets": ("preset", "presets", "scaled"),
    "footprint": ("sizes",),
    "_decode_speed": ("decode_speed",),
    "position_loss": ("loss_beyond", "loss_by_position", "stream_rows", "token_losses"),
    "recipe": ("Recipe",),
    "tokenizers.tokenizer": ("Tokenizer",),
    "tokenizers.training": ("train_tokenizer",),
    "_train": ("LoRA", "SHARDING", "answer_rows", "distil", "evaluate", "text_rows", "train"),
}

__all__ = [
    "SHARDING",
    "Completion",
    "Decoder",
    "DecoderConfig",
    "LoRA",
    "Piece",
    "Recipe",
    "Tokenizer",
    "answer_rows",
    "chat",
    "decode_speed",
    "distil",
    "evaluate",
    "generate",
    "load",
    "load_config",
    "load_model",
    "loss_beyond",
    "loss_by_position",
    "preset",
    "presets",
    "save",
    "save_model",
    "scaled",
    "sizes",
    "stream",
    "stream_batch",
    "stream_chat",
    "stream_rows",
    "text_rows",
    "token_losses",
    "train",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
