"""Tunes as a problem: a tokenizer, rewards, phrases to learn from and an evaluator of what a model writes."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.tasks.tunes.rewards import answered_tune, tune_reward
    from culet.tasks.tunes.tokens import tune_tokenizer

_HOME = {"rewards": ("answered_tune", "tune_reward"), "tokens": ("tune_tokenizer",)}

__all__ = ["answered_tune", "tune_reward", "tune_tokenizer"]

__getattr__, __dir__ = lazy(__name__, _HOME)
