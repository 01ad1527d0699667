"""Text to token ids and back: tokenizer files, training of new ones, chat templates."""
