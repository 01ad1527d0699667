"""The language models of the Gemma line: presets, decoder, checkpoints, tokenizers, generation."""

from culet.lm.config import DecoderConfig
from culet.lm.decoder import Decoder
from culet.lm.presets import preset, presets

__all__ = ["Decoder", "DecoderConfig", "preset", "presets"]
