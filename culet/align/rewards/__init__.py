"""What tells good answers from bad ones: checks, trained models, judges."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.rewards.answer import Answer, Reward, rewards_of
    from culet.align.rewards.checks import (
        combined,
        exact_number,
        exact_text,
        keyword_count,
        keywords,
        length_near,
        length_penalty,
        matches,
    )
    from culet.align.rewards.endpoint import Endpoint, EndpointError
    from culet.align.rewards.endpoint_judge import EndpointJudge, EndpointScore
    from culet.align.rewards.instructions import Accuracies, accuracies, follows, instructions_followed
    from culet.align.rewards.judge import ModelJudge, ModelScore
    from culet.align.rewards.preference import (
        PositionBias,
        Preference,
        both_orders,
        position_bias,
        preferred_by,
        probabilities_of,
    )

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
    ),
    "endpoint": ("Endpoint", "EndpointError"),
    "endpoint_judge": ("EndpointJudge", "EndpointScore"),
    "instructions": ("Accuracies", "accuracies", "follows", "instructions_followed"),
    "judge": ("ModelJudge", "ModelScore"),
    "preference": ("PositionBias", "Preference", "both_orders", "position_bias", "preferred_by", "probabilities_of"),
}

__all__ = [
    "Accuracies",
    "Answer",
    "Endpoint",
    "EndpointError",
    "EndpointJudge",
    "EndpointScore",
    "ModelJudge",
    "ModelScore",
    "PositionBias",
    "Preference",
    "Reward",
    "accuracies",
    "both_orders",
    "combined",
    "exact_number",
    "exact_text",
    "follows",
    "instructions_followed",
    "keyword_count",
    "keywords",
    "length_near",
    "length_penalty",
    "matches",
    "position_bias",
    "preferred_by",
    "probabilities_of",
    "rewards_of",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
