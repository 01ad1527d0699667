"""What reward models learn from: pairs of answers of which one was preferred, and statements that follow or do not.

Axis letters: N examples, K texts in an example (two answers, or one statement), T tokens.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from culet.align.rewards.answer import Answer
from culet.align.rewards.preference import Preference, probabilities_of
from culet.core.text import find_files, read_objects, text_field

if TYPE_CHECKING:
    from culet.lm._train import Rows
    from culet.lm.tokenizers.tokenizer import Tokenizer

_ENDINGS = (".jsonl", ".jsonl.gz")
_LAST_TURN = "\n\nAssistant:"  # what the answer follows in dialogues of the hh-rlhf kind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to a prompt, and the probability that the first is the better one (0.5: neither is)."""

    prompt: str
    first: str
    second: str
    label: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statement:
    """A text, a sentence about it, and the probability that the sentence follows from the text."""

    premise: str
    hypothesis: str
    label: float


def read_preferences(paths: Iterable[str | Path]) -> Iterator[Pair]:
    """The pairs in `.jsonl` files and folders of them, gzipped or not.

    A line holds "chosen" and "rejected", or "first", "second" and a "label" from 0 to 1, and the "prompt" of both. If
    there is no prompt, both are whole dialogues: the prompt is what they begin with alike, up to the last turn of the
    assistant ("Assistant:" behind an empty line, as in hh-rlhf), or else to the end of a line.

    Raises FileNotFoundError for a path that does not exist, and ValueError, naming file and line, for a line that is no
    such object, a label that is no number from 0 to 1, and files with no pair in them.
    """
    for where, data in _objects(paths, "pair of answers"):
        if "chosen" in data or "rejected" in data:
            names, label = ("chosen", "rejected"), 1.0
        elif {"first", "second", "label"} <= data.keys():
            names, label = ("first", "second"), _label(data, where)
        else:
            raise ValueError(f'{where}: needs "chosen" and "rejected", or "first", "second" and "label"')
        first, second = (text_field(data, name, where) for name in names)
        prompt = text_field(data, "prompt", where) if "prompt" in data else _shared(first, second)
        if "prompt" not in data:
            first, second = first[len(prompt) :], second[len(prompt) :]
        yield Pair(prompt=prompt, first=first, second=second, label=label)


def read_statements(paths: Iterable[str | Path]) -> Iterator[Statement]:
    """The lines {"premise", "hypothesis", "label"} in `.jsonl` files and folders of them, the label from 0 to 1.

    Raises as `read_preferences` does.
    """
    for where, data in _objects(paths, "statement"):
        premise, hypothesis = (text_field(data, name, where) for name in ("premise", "hypothesis"))
        yield Statement(premise=premise, hypothesis=hypothesis, label=_label(data, where))


def labelled(judge: Preference, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> list[Pair]:
    """Pairs of answers with what a judge says of them: soft labels for a reward model, as in RLAIF (2309.00267).

    Raises ValueError for two answers to different prompts, and as `probabilities_of` does.
    """
    labels = probabilities_of(judge, firsts, seconds).tolist()
    for number, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
        if first.prompt != second.prompt:
            raise ValueError(f"pair {number} answers two prompts; only answers to the same one can be compared")
    return [
        Pair(prompt=first.prompt, first=first.text, second=second.text, label=label)
        for first, second, label in zip(firsts, seconds, labels, strict=True)
    ]


def encode_answer(tokenizer: "Tokenizer", prompt: str, answer: str) -> list[int]:
    """Beginning token, prompt, answer, end token; control tokens' names in either are plain text."""
    return [*tokenizer.encode(prompt, special=False), *_ended(tokenizer, answer)]


def encode_statement(tokenizer: "Tokenizer", premise: str, hypothesis: str) -> list[int]:
    """Beginning token, premise, end token, hypothesis, end token; control tokens' names in either are plain text."""
    return [*tokenizer.encode(premise, eos=True, special=False), *_ended(tokenizer, hypothesis)]


def preference_rows(pairs: Sequence[Pair], tokenizer: "Tokenizer", length: int) -> "Rows":
    """`tokens` [N 2 T], `lengths` [N 2], `labels` [N] and `weights` [N]: 0 where both answers are the same text.

    Raises ValueError where there is nothing to learn (no pair, none whose answers differ, all labels 0.5), and for a
    text of more than `length` tokens: nothing is cut. That one answer stands first in all pairs is no harm, because a
    reward model reads each answer alone.
    """
    if not pairs:
        raise ValueError("there are no pairs of answers to learn from")
    differ = np.array([pair.first != pair.second for pair in pairs])
    if not differ.any():
        raise ValueError(f"each of {len(pairs)} pairs holds the same answer twice; there is nothing to learn")
    if all(pair.label == 0.5 for pair, counted in zip(pairs, differ, strict=True) if counted):
        raise ValueError(f"no pair of {len(pairs)} says which answer is better: all labels are 0.5")
    texts = [[encode_answer(tokenizer, pair.prompt, text) for text in (pair.first, pair.second)] for pair in pairs]
    return _rows(texts, [pair.label for pair in pairs], differ, length, "pair")


def statement_rows(statements: Sequence[Statement], tokenizer: "Tokenizer", length: int) -> "Rows":
    """`tokens` [N 1 T], `lengths` [N 1], `labels` [N] and `weights` [N].

    Raises ValueError where there is nothing to learn (no statement, or all labels on one side of 0.5), and for a text
    of more than `length` tokens: nothing is cut.
    """
    if not statements:
        raise ValueError("there are no statements to learn from")
    labels = [statement.label for statement in statements]
    if min(labels) >= 0.5 or max(labels) <= 0.5:
        raise ValueError(
            f"all {len(labels)} labels lie between {min(labels)} and {max(labels)}; it takes statements that follow "
            "and others that do not"
        )
    texts = [[encode_statement(tokenizer, each.premise, each.hypothesis)] for each in statements]
    return _rows(texts, labels, np.ones(len(labels)), length, "statement")


def _rows(texts: list[list[list[int]]], labels: list[float], weights: np.ndarray, length: int, name: str) -> "Rows":
    lengths = np.array([[len(text) for text in example] for example in texts], np.int32)
    longest = lengths.max(axis=1)
    if longest.max() > length:
        raise ValueError(
            f"{(longest > length).sum()} of {len(texts)} {name}s do not fit into {length} tokens; the longest is "
            f"{name} {longest.argmax() + 1} with {longest.max()}. Nothing is cut: allow a greater length, as far as "
            "the model's context goes, or leave them out"
        )
    tokens = np.zeros((*lengths.shape, longest.max()), np.int32)
    for row, example in enumerate(texts):
        for place, text in enumerate(example):
            tokens[row, place, : len(text)] = text
    return {
        "tokens": tokens,
        "lengths": lengths,
        "labels": np.array(labels, np.float32),
        "weights": np.array(weights, np.float32),
    }


def _ended(tokenizer: "Tokenizer", text: str) -> list[int]:
    return tokenizer.encode(text, bos=False, eos=True, special=False)


def _objects(paths: Iterable[str | Path], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    files = find_files(paths, _ENDINGS)
    empty = True
    for file in files:
        for line in read_objects(file):
            empty = False
            yield line
    if empty:
        raise ValueError(f"{', '.join(map(str, files))}: no {name} in there")


def _label(data: dict[str, Any], where: str) -> float:
    label = data.get("label")
    if not isinstance(label, int | float) or not 0 <= label <= 1:  # which no NaN passes
        raise ValueError(f'{where}: "label" must be a number from 0 to 1, and it is {str(label)[:60]!r}')
    return float(label)


def _shared(first: str, second: str) -> str:
    same = os.path.commonprefix([first, second])  # noqa: RUF071 - of letters is what is meant
    turn = same.rfind(_LAST_TURN)
    return same[: turn + len(_LAST_TURN)] if turn >= 0 else same[: same.rfind("\n") + 1]
