"""Post-training of language models: rewards and judges, the loop, its methods, frontiers, merging."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align import methods, rewards
    from culet.align.comparison import BestPolicy, best_of, gain_at_equal_kl, saved_at_equal, win_rates
    from culet.align.experience import Experience, Method, Models
    from culet.align.frontier import Frontier, draw_frontier
    from culet.align.judging import completions
    from culet.align.loop import AlignRecipe, align
    from culet.align.merging import angles, average, interpolate, slerp
    from culet.align.prompts import PromptRow, PromptSet, read_rows
    from culet.align.rollout import Prompts, Rollout, as_prompts, drawn_log_probabilities, log_probabilities, sample
    from culet.align.scorer import Scorer
    from culet.align.warping import WarpIteration, warp

_HOME = {
    "comparison": ("BestPolicy", "best_of", "gain_at_equal_kl", "saved_at_equal", "win_rates"),
    "experience": ("Experience", "Method", "Models"),
    "frontier": ("Frontier", "draw_frontier"),
    "judging": ("completions",),
    "loop": ("AlignRecipe", "align"),
    "merging": ("angles", "average", "interpolate", "slerp"),
    "prompts": ("PromptRow", "PromptSet", "read_rows"),
    "rollout": ("Prompts", "Rollout", "as_prompts", "drawn_log_probabilities", "log_probabilities", "sample"),
    "scorer": ("Scorer",),
    "warping": ("WarpIteration", "warp"),
    "methods": (),
    "rewards": (),
}

__all__ = [
    "AlignRecipe",
    "BestPolicy",
    "Experience",
    "Frontier",
    "Method",
    "Models",
    "PromptRow",
    "PromptSet",
    "Prompts",
    "Rollout",
    "Scorer",
    "WarpIteration",
    "align",
    "angles",
    "as_prompts",
    "average",
    "best_of",
    "completions",
    "draw_frontier",
    "drawn_log_probabilities",
    "gain_at_equal_kl",
    "interpolate",
    "log_probabilities",
    "methods",
    "read_rows",
    "rewards",
    "sample",
    "saved_at_equal",
    "slerp",
    "warp",
    "win_rates",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
