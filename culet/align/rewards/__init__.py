"""Rewards, which give each answer a number, and judges, which compare two: checks, trained models, language models."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer, Reward, rewards_of
    from culet.align.rewards.captions import caption_statements, statements_about, swapped
    from culet.align.rewards.checks import (
        combined,
        exact_number,
        exact_text,
        keyword_count,
        keywords,
        length_near,
        length_penalty,
        matches,
        standardised,
    )
    from culet.align.rewards.endpoint import Endpoint, EndpointError, EndpointJudge, EndpointScore
    from culet.align.rewards.examples import (
        Pair,
        Statement,
        labelled,
        preference_rows,
        read_preferences,
        read_statements,
        statement_rows,
    )
    from culet.align.rewards.human_labels import HUMAN_SETS, area_under_curve, human_statements
    from culet.align.rewards.instructions import Accuracies, accuracies, follows, instructions_followed
    from culet.align.rewards.judge import ModelJudge, ModelScore
    from culet.align.rewards.lexical import LexicalScorer, train_lexical_scorer
    from culet.align.rewards.overlap import coverage, word_precision
    from culet.align.rewards.preference import (
        LabellerAgreement,
        PositionBias,
        Preference,
        agreement,
        both_orders,
        labeller_agreement,
        position_bias,
        preferred_by,
        probabilities_of,
    )
    from culet.align.rewards.reward_model import (
        RewardModel,
        entailed,
        entailment_reward,
        entailment_scores,
        evaluate_judgement,
        judgement,
        learned_reward,
        load_reward_model,
        save_reward_model,
        scores,
        train_reward_model,
    )
    from culet.align.rewards.rouge import rouge_1, rouge_l, self_bleu

_HOME = {
    "answer": ("Answer", "Reward", "rewards_of"),
    "checks": (
        "combined",
        "exact_number",
        "exact_text",
        "keyword_count",
        "keywords",
        "length_near",
        "length_penalty",
        "matches",
        "standardised",
    ),
    "endpoint": ("Endpoint", "EndpointError", "EndpointJudge", "EndpointScore"),
    "instructions": ("Accuracies", "accuracies", "follows", "instructions_followed"),
    "judge": ("ModelJudge", "ModelScore"),
    "preference": (
        "LabellerAgreement",
        "PositionBias",
        "Preference",
        "agreement",
        "both_orders",
        "labeller_agreement",
        "position_bias",
        "preferred_by",
        "probabilities_of",
    ),
    "captions": ("caption_statements", "statements_about", "swapped"),
    "examples": (
        "Pair",
        "Statement",
        "labelled",
        "preference_rows",
        "read_preferences",
        "read_statements",
        "statement_rows",
    ),
    "human_labels": ("HUMAN_SETS", "area_under_curve", "human_statements"),
    "lexical": ("LexicalScorer", "train_lexical_scorer"),
    "overlap": ("coverage", "word_precision"),
    "rouge": ("rouge_1", "rouge_l", "self_bleu"),
    "reward_model": (
        "RewardModel",
        "entailed",
        "entailment_reward",
        "entailment_scores",
        "evaluate_judgement",
        "judgement",
        "learned_reward",
        "load_reward_model",
        "save_reward_model",
        "scores",
        "train_reward_model",
    ),
}

__all__ = [
    "HUMAN_SETS",
    "Accuracies",
    "Answer",
    "Endpoint",
    "EndpointError",
    "EndpointJudge",
    "EndpointScore",
    "LabellerAgreement",
    "LexicalScorer",
    "ModelJudge",
    "ModelScore",
    "Pair",
    "PositionBias",
    "Preference",
    "Reward",
    "RewardModel",
    "Statement",
    "accuracies",
    "agreement",
    "area_under_curve",
    "both_orders",
    "caption_statements",
    "combined",
    "coverage",
    "entailed",
    "entailment_reward",
    "entailment_scores",
    "evaluate_judgement",
    "exact_number",
    "exact_text",
    "follows",
    "human_statements",
    "instructions_followed",
    "judgement",
    "keyword_count",
    "keywords",
    "labelled",
    "labeller_agreement",
    "learned_reward",
    "length_near",
    "length_penalty",
    "load_reward_model",
    "matches",
    "position_bias",
    "preference_rows",
    "preferred_by",
    "probabilities_of",
    "read_preferences",
    "read_statements",
    "rewards_of",
    "rouge_1",
    "rouge_l",
    "save_reward_model",
    "scores",
    "self_bleu",
    "standardised",
    "statement_rows",
    "statements_about",
    "swapped",
    "train_lexical_scorer",
    "train_reward_model",
    "word_precision",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
