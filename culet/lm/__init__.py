"""The language models of the Gemma line: presets, decoder, checkpoints, tokenizers, generation."""
