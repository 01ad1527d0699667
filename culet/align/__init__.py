"""What is done to a language model after it has learned to write: one rollout, many objectives."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.merging import angles, average, interpolate, slerp
    from culet.align.rollout import Prompts, Rollout, as_prompts, drawn_log_probabilities, log_probabilities, sample

_HOME = {
    "merging": ("angles", "average", "interpolate", "slerp"),
    "rollout": ("Prompts", "Rollout", "as_prompts", "drawn_log_probabilities", "log_probabilities", "sample"),
}

__all__ = [
    "Prompts",
    "Rollout",
    "angles",
    "as_prompts",
    "average",
    "drawn_log_probabilities",
    "interpolate",
    "log_probabilities",
    "sample",
    "slerp",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
