"""What is done to a language model after it has learned to write: one rollout, many objectives."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.comparison import BestPolicy, best_of, gain_at_equal_kl, saved_at_equal, win_rates
    from culet.align.frontier import Frontier
    from culet.align.judging import completions
    from culet.align.loop import AlignRecipe, align
    from culet.align.merging import angles, average, interpolate, slerp
    from culet.align.prompts import PromptRow, PromptSet, read_rows
    from culet.align.rollout import Prompts, Rollout, as_prompts, drawn_log_probabilities, log_probabilities, sample
    from culet.align.warping import WarpIteration, warp

_HOME = {
    "comparison": ("BestPolicy", "best_of", "gain_at_equal_kl", "saved_at_equal", "win_rates"),
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
    "BestPolicy",
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
    "best_of",
    "completions",
    "drawn_log_probabilities",
    "gain_at_equal_kl",
    "interpolate",
    "log_probabilities",
    "read_rows",
    "sample",
    "saved_at_equal",
    "slerp",
    "warp",
    "win_rates",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
