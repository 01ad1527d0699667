"""What tells good answers from bad ones: checks, trained models, judges."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer, Reward, rewards_of
    from culet.align.rewards.captions import caption_statements, swapped
    from culet.align.rewards.examples import (
        Preference,
        Statement,
        preference_rows,
        read_preferences,
        read_statements,
        statement_rows,
    )  # fmt: skip
    from culet.align.rewards.human_labels import HUMAN_SETS, area_under_curve, human_statements
    from culet.align.rewards.learned import entailment_reward, entailment_scores, preference_reward
    from culet.align.rewards.model import RewardModel, scores
    from culet.align.rewards.reward_folder import load_reward_model, save_reward_model
    from culet.align.rewards.training import evaluate_judgement, judgement, train_reward_model

_HOME = {
    "answer": ("Answer", "Reward", "rewards_of"),
    "captions": ("caption_statements", "swapped"),
    "examples": (
        "Preference", "Statement", "preference_rows", "read_preferences", "read_statements", "statement_rows",
    ),
    "human_labels": ("HUMAN_SETS", "area_under_curve", "human_statements"),
    "learned": ("entailment_reward", "entailment_scores", "preference_reward"),
    "model": ("RewardModel", "scores"),
    "reward_folder": ("load_reward_model", "save_reward_model"),
    "training": ("evaluate_judgement", "judgement", "train_reward_model"),
}  # fmt: skip

__all__ = [
    "HUMAN_SETS", "Answer", "Preference", "Reward", "RewardModel", "Statement", "area_under_curve",
    "caption_statements", "entailment_reward", "entailment_scores", "evaluate_judgement", "human_statements",
    "judgement", "load_reward_model", "preference_reward", "preference_rows", "read_preferences", "read_statements",
    "rewards_of", "save_reward_model", "scores", "statement_rows", "swapped", "train_reward_model",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
