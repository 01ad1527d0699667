"""Rewards that are trained models: what was preferred (2203.02155), and what is entailed (2306.00186).

Axis letters: B answers or statements.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.examples import Statement, encode_answer, encode_statement
from culet.align.rewards.model import Meaning, RewardModel, scores

if TYPE_CHECKING:
    from culet.lm import Tokenizer


def learned_reward(model: RewardModel, tokenizer: "Tokenizer", *, batch_size: int = 16) -> Reward:
    """The score of prompt and answer. `tokenizer` is the model's own, whatever the one that the policy writes with.

    The end token stands behind every answer, as in training, also where it was cut off: the text is judged as it
    stands. Raises ValueError for a model of entailment; the reward raises as `scores` does.
    """
    _check(model, "reward")

    def judge(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        texts = [encode_answer(tokenizer, answer.prompt, answer.text) for answer in answers]
        return scores(model, texts, batch_size)

    return judge


def entailment_reward(
    model: RewardModel, tokenizer: "Tokenizer", *, premise: str | None = None, batch_size: int = 16
) -> Reward:
    """The log P(the answer follows from the premise), in nats, at most 0: the reward of 2306.00186.

    The premise is the text in the column of that name, by default the prompt. An empty answer says nothing false and
    may score high: report lengths beside this reward, or add one for length.

    Raises ValueError for a model of another meaning. The reward raises ValueError for an answer without that column,
    and as `scores` does where premise and answer are together longer than the context: neither is ever cut.
    """
    _check(model, "entailment")
    return entailed(
        lambda statements: entailment_scores(model, tokenizer, statements, batch_size=batch_size), premise=premise
    )


def entailed(
    log_odds: Callable[[Sequence[Statement]], Float[np.ndarray, "B"]], *, premise: str | None = None
) -> Reward:  # fmt: skip
    """The same by any scorer of statements, such as one from `train_lexical_scorer`, which gives their log-odds."""

    def judge(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        statements = [
            Statement(premise=_premise(answer, number, premise), hypothesis=answer.text, label=0.5)
            for number, answer in enumerate(answers)
        ]
        found = log_odds(statements)
        return -np.logaddexp(np.zeros_like(found), -found)

    return judge


def entailment_scores(
    model: RewardModel, tokenizer: "Tokenizer", statements: Sequence[Statement], *, batch_size: int = 16
) -> Float[np.ndarray, "B"]:
    """The log-odds that each hypothesis follows from its premise. Labels are not looked at. Raises as `scores` does."""
    _check(model, "entailment")
    texts = [encode_statement(tokenizer, each.premise, each.hypothesis) for each in statements]
    return scores(model, texts, batch_size)


def _check(model: RewardModel, meaning: Meaning) -> None:
    if model.meaning != meaning:
        raise ValueError(f"this model's score means {model.meaning}, where a model of {meaning} is needed")


def _premise(answer: Answer, number: int, column: str | None) -> str:
    if column is None:
        return answer.prompt
    found = answer.columns.get(column)
    if not isinstance(found, str):
        raise ValueError(f"answer {number}: no text in the column {column!r}; columns: {', '.join(answer.columns)}")
    return found
