import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from culet.align.rewards import Accuracies, Answer, accuracies, follows, instructions_followed, rewards_of
from culet.align.rewards.instructions import _forms


def asked(text: str, *instructions: tuple[str, dict[str, Any]]) -> Answer:
    ids, arguments = [name for name, _ in instructions], [given for _, given in instructions]
    return Answer(prompt="Say", text=text, tokens=1, columns={"instruction_id_list": ids, "kwargs": arguments})


NO_COMMA = ("en:punctuation:no_comma", {})
JSON = ("detectable_format:json_format", {"num_words": None})  # None is as if it were not there
LONG = ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})
ANSWERS = [
    asked("a b c", NO_COMMA, LONG),  # all
    asked("a b", NO_COMMA, LONG),  # one of two
    asked('Sure, here it is:\n{"a": 1}', JSON),  # loosely alone
    asked("", NO_COMMA),  # nothing follows nothing
]


def test_the_four_accuracies_by_hand():
    assert accuracies(ANSWERS) == Accuracies(1 / 4, 3 / 6, 2 / 4, 4 / 6)
    with pytest.raises(ValueError, match="no answers"):
        accuracies([])


def test_the_reward_is_the_share_or_all_or_nothing():
    assert rewards_of(instructions_followed(), ANSWERS).tolist() == [1, 0.5, 0, 0]
    assert rewards_of(instructions_followed(every=True), ANSWERS).tolist() == [1, 0, 0, 0]
    assert rewards_of(instructions_followed(loose=True), ANSWERS).tolist() == [1, 0.5, 1, 0]


def test_loosely_each_of_eight_forms_will_do():
    assert _forms("*a*\nb\n**c**") == ["*a*\nb\n**c**", "b\n**c**", "*a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b"]
    quoted = ("startend:quotation", {})
    assert not follows('Sure:\n**"a"**\nBye', *quoted) and follows('Sure:\n**"a"**\nBye', *quoted, loose=True)
    assert not follows('So:\nSure:\n"a"', *quoted, loose=True)  # two lines are too many


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "has no column 'instruction_id_list'"),
        ({"instruction_id_list": [], "kwargs": []}, "has no column 'instruction_id_list'"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": ["{}"]}, "a column 'kwargs' with 1 objects"),
        (
            {"instruction_id_list": [LONG[0]], "kwargs": [{"num_words": "3", "relation": "at least"}]},
            "cannot be checked with",
        ),
        ({"instruction_id_list": ["punctuation:no_comma"]}, "needs a column 'kwargs' with 1 objects"),
        (
            {"instruction_id_list": ["be:nice"], "kwargs": [{}]},
            "no instruction 'be:nice'; there are keywords",
        ),
        ({"instruction_id_list": [LONG[0]], "kwargs": [{"num_words": 3}]}, r"it needs \['num_words', 'relation'\]"),
        (
            {"instruction_id_list": [NO_COMMA[0]], "kwargs": [{"letter": "a"}]},
            r"the arguments \['letter'\]; it needs",
        ),
    ],
)
def test_prompts_without_proper_instructions_are_clear_errors(columns, said):
    with pytest.raises(ValueError, match=said):
        instructions_followed()([Answer(prompt="Say", text="a", tokens=1, columns=columns)])


def test_the_published_prompts_are_understood():
    """All 541, with every kind among them; and what the prompts themselves follow is far from nothing and from all."""
    if "CULET_DATA" not in os.environ:
        pytest.skip("set CULET_DATA to a folder with ifeval/en_input_data.jsonl.gz")
    with gzip.open(Path(os.environ["CULET_DATA"], "ifeval", "en_input_data.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    answers = [Answer(prompt=row["prompt"], text=row["prompt"], tokens=1, columns=row) for row in rows]
    found = accuracies(answers)
    assert len(rows) == 541 and len({name for row in rows for name in row["instruction_id_list"]}) == 25
    assert 0.1 < found.instruction_strict < found.instruction_loose < 0.9
