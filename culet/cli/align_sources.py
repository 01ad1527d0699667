"""Rewards and judges by the names that a plan gives them. Models are loaded when one is made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from culet.align.rewards import (
    Endpoint,
    EndpointJudge,
    EndpointScore,
    ModelJudge,
    ModelScore,
    Preference,
    Reward,
    combined,
    entailment_reward,
    exact_number,
    exact_text,
    instructions_followed,
    keyword_count,
    keywords,
    learned_reward,
    length_near,
    length_penalty,
    load_reward_model,
    matches,
    preferred_by,
)
from culet.align.rewards.templates import PAIR_INSTRUCTION, PAIR_TEMPLATE, SCORE_INSTRUCTION, SCORE_TEMPLATE
from culet.lm import load


def model_score(
    *, folder: str, instruction: str = SCORE_INSTRUCTION, template: str = SCORE_TEMPLATE, chat: bool = False
) -> Reward:
    """What a language model finds an answer worth, from 1 to 10."""
    return ModelScore(*load(folder), instruction=instruction, template=template, chat=chat)


def endpoint_score(
    *, url: str, model: str, key_variable: str | None = None, logprobs: bool = True,
    instruction: str = SCORE_INSTRUCTION, template: str = SCORE_TEMPLATE,
) -> Reward:  # fmt: skip
    """What a model behind an endpoint finds an answer worth, from 1 to 10."""
    endpoint = Endpoint(url=url, model=model, key_variable=key_variable, logprobs=logprobs)
    return EndpointScore(endpoint, instruction=instruction, template=template)


def preferred(*, folder: str) -> Reward:
    """What a reward model gives, trained by culet train --preferences."""
    return learned_reward(*load_reward_model(folder))


def entailed(*, folder: str, premise: str | None = None) -> Reward:
    """The log-probability that an answer follows from a column, or from its prompt (culet train --entailment)."""
    return entailment_reward(*load_reward_model(folder), premise=premise)


def weighted(*, parts: Sequence[Mapping[str, Any]]) -> Reward:
    """The weighted sum of rewards, each a table with its name, its settings and a weight."""
    from culet.cli.align_plan import built

    rewards: dict[str, Reward] = {}
    weights: dict[str, float] = {}
    for number, part in enumerate(parts, 1):
        settings = {key: value for key, value in part.items() if key != "weight"}
        label = f"{part.get('name')} ({number})"
        rewards[label], weights[label] = built(settings, REWARDS, "reward"), part.get("weight", 1.0)
    return combined(rewards=rewards, weights=weights)


def model_judge(
    *, folder: str, instruction: str = PAIR_INSTRUCTION, template: str = PAIR_TEMPLATE, chat: bool = False,
    tie_margin: float = 0.0,
) -> Preference:  # fmt: skip
    """Which of two answers a language model prefers, over both orders."""
    return ModelJudge(*load(folder), instruction=instruction, template=template, chat=chat, tie_margin=tie_margin)


def endpoint_judge(
    *, url: str, model: str, key_variable: str | None = None, logprobs: bool = True,
    instruction: str = PAIR_INSTRUCTION, template: str = PAIR_TEMPLATE, tie_margin: float = 0.0,
) -> Preference:  # fmt: skip
    """Which of two answers a model behind an endpoint prefers, over both orders."""
    endpoint = Endpoint(url=url, model=model, key_variable=key_variable, logprobs=logprobs)
    return EndpointJudge(endpoint, instruction=instruction, template=template, tie_margin=tie_margin)


def reward_judge(*, reward: Mapping[str, Any], temperature: float = 1.0) -> Preference:
    """Prefers what a reward gives more to."""
    from culet.cli.align_plan import built

    return preferred_by(built(reward, REWARDS, "reward"), temperature=temperature)


REWARDS: Mapping[str, Callable[..., Reward]] = {
    "exact-text": exact_text,
    "exact-number": exact_number,
    "matches": matches,
    "length-near": length_near,
    "length-penalty": length_penalty,
    "keywords": keywords,
    "keyword-count": keyword_count,
    "instructions": instructions_followed,
    "model-score": model_score,
    "endpoint-score": endpoint_score,
    "reward-model": preferred,
    "entailment": entailed,
    "weighted": weighted,
}
JUDGES: Mapping[str, Callable[..., Preference]] = {
    "model-judge": model_judge,
    "endpoint-judge": endpoint_judge,
    "reward-judge": reward_judge,
}
