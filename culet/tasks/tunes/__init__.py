"""Tunes as a problem for a language model: phrases, their tokens, rewards, and an evaluator that no training saw."""
