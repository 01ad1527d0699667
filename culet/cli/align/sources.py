"""Methods, rewards and judges by the names that a plan gives them. Models are loaded when one is made."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from culet.align import methods
from culet.align.experience import Method
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
from culet.align.rewards.judge import PAIR_INSTRUCTION, PAIR_TEMPLATE, SCORE_INSTRUCTION, SCORE_TEMPLATE
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
    rewards: dict[str, Reward] = {}
    weights: dict[str, float] = {}
    for number, part in enumerate(parts, 1):
        settings = {key: value for key, value in part.items() if key != "weight"}
        label = f"{part.get('name')} ({number})"
        rewards[label], weights[label] = build(settings, REWARDS, "reward"), part.get("weight", 1.0)
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
    return preferred_by(build(reward, REWARDS, "reward"), temperature=temperature)


def check_section(section: Mapping[str, Any], known: Mapping[str, Callable[..., Any]], kind: str) -> Callable[..., Any]:
    """The function or class that a section names.

    Raises ValueError for a name or a setting that is unknown, and for a setting that is missing.
    """
    name = section.get("name")
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{kind} {name!r} is unknown; there are {', '.join(sorted(known))}")
    make = known[name]
    allowed = inspect.signature(make).parameters
    given = set(section) - {"name"}
    if odd := sorted(given - set(allowed)):
        raise ValueError(f"{kind} {name} has no setting {odd[0]!r}; it takes {', '.join(allowed) or 'none'}")
    needed = [key for key, one in allowed.items() if one.default is inspect.Parameter.empty]
    if missing := sorted(set(needed) - given):
        raise ValueError(f"{kind} {name} needs {missing[0]!r}; say [{kind}] {missing[0]} = ...")
    return make


def build(section: Mapping[str, Any], known: Mapping[str, Callable[..., Any]], kind: str) -> Any:
    """The object that a section describes: what it names, called with its settings.

    Raises ValueError as `check_section` does, and for settings of a wrong kind.
    """
    make = check_section(section, known, kind)
    return call_with(make, {key: value for key, value in section.items() if key != "name"}, kind)


def call_with(make: Callable[..., Any], given: Mapping[str, Any], kind: str) -> Any:
    """Calls a function or class with settings, whole numbers made real where it wants real ones.

    Raises ValueError for settings that are unknown or of a wrong kind.
    """
    allowed = inspect.signature(make).parameters
    if odd := sorted(set(given) - set(allowed)):
        raise ValueError(f"[{kind}] has no setting {odd[0]!r}; it takes {', '.join(allowed)}")
    hints = get_type_hints(make)
    real = {key for key, hint in hints.items() if float in (hint, *get_args(hint)) and int not in get_args(hint)}
    whole = {key: float(value) if type(value) is int and key in real else value for key, value in given.items()}
    try:
        return make(**whole)
    except TypeError as problem:
        raise ValueError(f"[{kind}] has a setting of a wrong kind: {problem}") from None


METHODS: Mapping[str, Callable[..., Method]] = {
    "reinforce": methods.Reinforce,
    "grpo": methods.GroupRelative,
    "ppo": methods.ProximalPolicy,
    "preferences": methods.Preferences,
    "best-of-n": methods.BestOfN,
    "bond": methods.Bond,
    "j-bond": methods.JBond,
    "distil": methods.Distil,
    "likelihood": methods.Likelihood,
    "inverse-q": methods.InverseQLearning,
    "adversarial": methods.Adversarial,
}
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
