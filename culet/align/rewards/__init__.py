"""What tells good answers from bad ones: checks, trained models, judges."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer, Reward, rewards_of

_HOME = {"answer": ("Answer", "Reward", "rewards_of")}

__all__ = ["Answer", "Reward", "rewards_of"]

__getattr__, __dir__ = lazy(__name__, _HOME)
