"""Whether answers follow instructions that a program can verify: a reward, and the four accuracies of IFEval.

Axis letters: B answers.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.constraints import KINDS

IDS, ARGUMENTS = "instruction_id_list", "kwargs"  # the columns of the published file


class Accuracies(NamedTuple):
    """Shares of prompts all of whose instructions are followed, and of all instructions (2311.07911)."""

    prompt_strict: float
    instruction_strict: float
    prompt_loose: float
    instruction_loose: float


def follows(text: str, instruction: str, arguments: Mapping[str, Any], *, loose: bool = False) -> bool:
    """Whether a text follows an instruction, by its id in IFEval, such as "keywords:existence" (or "en:keywords:...").

    Strictly the text as it is must do; loosely it is enough if it does without its first line, or its last, or both, or
    without asterisks, or any of these together (2311.07911). A text with nothing in it follows nothing.
    Arguments that are None are as if they were not there. Raises ValueError for an unknown id, and for arguments that
    are missing, of another type, or none of its kind.
    """
    kind = instruction.removeprefix("en:")
    if kind not in KINDS:
        raise ValueError(f"no instruction {instruction!r}; there are {', '.join(KINDS)}")
    check, arguments = KINDS[kind], {name: value for name, value in arguments.items() if value is not None}
    if set(arguments) != (wanted := set(inspect.signature(check).parameters) - {"text"}):
        raise ValueError(f"{instruction} has the arguments {sorted(arguments)}; it needs {sorted(wanted)}")
    try:
        return any(bool(form.strip()) and check(form, **arguments) for form in (_forms(text) if loose else [text]))
    except (TypeError, AttributeError) as problem:
        raise ValueError(f"{instruction} cannot be checked with {arguments}: {problem}") from None


def instructions_followed(*, loose: bool = False, every: bool = False) -> Reward:
    """The share of its prompt's instructions that an answer follows; with `every` 1 if it follows all, else 0.

    The prompt's line holds them as IFEval's file does: `instruction_id_list`, a list of ids, and `kwargs`, a list of as
    many objects. Calls raise ValueError where it does not, and as `follows` does.
    """

    def reward(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        shares = [np.mean(_followed(answer, loose)) for answer in answers]
        return np.array([float(share == 1) if every else share for share in shares], np.float64)

    return reward


def accuracies(answers: Sequence[Answer]) -> Accuracies:
    """The accuracies that the paper reports, of answers to prompts that hold their instructions as in its file.

    Raises ValueError for no answers, and as the calls of `instructions_followed` do.
    """
    if not answers:
        raise ValueError("there are no answers to judge")
    shares = []
    for loose in (False, True):
        rows = [_followed(answer, loose) for answer in answers]
        shares += [np.mean([all(row) for row in rows]), np.mean(np.concatenate(rows))]
    return Accuracies(*map(float, shares))


def _followed(answer: Answer, loose: bool) -> list[bool]:
    ids, arguments = answer.columns.get(IDS), answer.columns.get(ARGUMENTS)
    if not isinstance(ids, Sequence) or isinstance(ids, str) or not ids:
        raise ValueError(f"the prompt {answer.prompt[:60]!r} has no column {IDS!r} that lists its instructions")
    if not (isinstance(arguments, Sequence) and len(arguments) == len(ids) and all(map(_is_object, arguments))):
        raise ValueError(f"the prompt {answer.prompt[:60]!r} needs a column {ARGUMENTS!r} with {len(ids)} objects")
    return [follows(answer.text, name, given, loose=loose) for name, given in zip(ids, arguments, strict=True)]


def _is_object(given: Any) -> bool:
    return isinstance(given, Mapping)


def _forms(text: str) -> list[str]:
    """The eight texts that loose accuracy looks at, the text itself first."""
    lines = text.split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    forms = ["\n".join(part).strip() for part in cut]
    return [text, *forms[1:], *(form.replace("*", "") for form in (text, *forms[1:]))]
