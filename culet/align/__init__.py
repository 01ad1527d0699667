"""What is done to a language model after it has learned to write: one rollout, many objectives."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.frontier import Frontier
    from culet.align.judging import completions
    from culet.align.loop import AlignRecipe, align
    from culet.align.merging import angles, average, interpolate, slerp
    from culet.align.prompts import PromptRow, PromptSet, read_rows
    from culet.align.rollout import Prompts, Rollout, as_prompts, drawn_log_probabilities, log_probabilities, sample
    from culet.align.warping import WarpIteration, warp

_HOME = {
    "frontier": ("Frontier",),
    "judging": ("completions",),
    "loop": ("AlignRecipe", "align"),
    "merging": ("angles", "average", "interpolate", "slerp"),
    "prompts": ("PromptRow", "PromptSet", "read_rows"),
    "rollout": ("Prompts", "Rollout", "as_prompts", "drawn_log_probabilities", "log_probabilities", "sample"),
    "warping": ("WarpIteration", "warp"),
}

__all__ = [
    "AlignRecipe",
    "Frontier",
    "PromptRow",
    "PromptSet",
    "Prompts",
    "Rollout",
    "WarpIteration",
    "align",
    "angles",
    "as_prompts",
    "average",
    "completions",
    "drawn_log_probabilities",
    "interpolate",
    "log_probabilities",
    "read_rows",
    "sample",
    "slerp",
    "warp",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
