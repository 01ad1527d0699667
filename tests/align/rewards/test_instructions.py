"""Every kind of instruction with texts by hand from the paper's descriptions, the reward, and the accuracies."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from culet.align.rewards import Accuracies, Answer, accuracies, follows, instructions_followed, rewards_of
from culet.align.rewards.instructions import KINDS, _forms, count_sentences


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


CASES = {
    "keywords:existence": ({"keywords": ["mom", "tea"]}, ["Mom drinks tea.", "MOMS, teas"], ["mom", "tea", "none"]),
    "keywords:frequency": (
        {"keyword": "war", "frequency": 2, "relation": "at least"},
        ["War and war", "war war warm"],
        ["war", "peace"],
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["rock", "don't"]},
        ["rocket rocks", "dont"],
        ["I ROCK.", "I don't", "rock-solid"],
    ),
    "keywords:letter_frequency": (
        {"letter": "q", "let_frequency": 2, "let_relation": "less than"},
        ["a queen", "none"],
        ["Quick quiz", "qqq"],
    ),
    "language:response_language": (
        {"language": "de"},
        ["Das ist nicht ein Hund und er ist groß."],
        ["This is not a dog.", "Это не собака", "12"],
    ),
    "length_constraints:number_words": (
        {"num_words": 3, "relation": "less than"},
        ["one two", "well-known"],
        ["one two three", "a b c d"],
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two!", "Is it? Yes"],
        ["One, Dr. Who", "No end"],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***", "a *** b"],
        ["a", "a\n\nb", "a\n***\n***\nb", "a\n******\nb", "a***b***c"],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "summary"},
        ["a\n\nSummary: b", 'a\n \n"summary" b', "a\n\n\n**Summary** b\n\n"],
        ["summary\n\nb", "a\n\nsummaryx", "a\nsummary", "a\n\nsummary\n\nc"],
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.P.S"},
        ["Text\nP.P.S. more", "p. p. s more", "P.P.S: more"],
        ["P.S. more", "text", "text\nP.P.S."],
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 2},
        ["[name] and [address]", "[a][b][c]"],
        ["[name]", "[] []", "[a\nb] [c"],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b", "intro\n* a\n\n- *b*"],
        ["* a", "* a\n* b\n* c", "** a\n** b", "*a*\n*b*", "---\n* a"],
    ),
    "detectable_format:constrained_response": (
        {},
        ["My answer is yes.", "Well. My answer is maybe. Sorry."],
        ["my answer is yes.", "My answer is yes", "Yes."],
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        ["*a* and *b c*", "**a**\n* x\n*b*", "* *a* *b*"],
        ["*a*", "* a\n* b", "*a\nb* *c*", "** ** ** **", "***a*** b"],
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION 1 SECTION 2 SECTION 3"],
        ["SECTION 1", "Section 1\nSection 2", "SECTION A SECTION B", "SUBSECTION 1 SUBSECTION 2"],
    ),
    "detectable_format:json_format": (
        {},
        ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "```\n[]\n```", " 3 "],
        ["{'a': 1}", 'Sure: {"a": 1}', "", '```json\n{"a": 1}\n``` done', "[" * 99999],
    ),
    "detectable_format:title": ({}, ["<<A title>>\ntext", "x <<t>>"], ["<<>>", "<< >>", "<title>", "<<a\nb>>"]),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Write it. "},
        ["Write it. Here: x", "  write IT."],
        ["Sure. Write it.", "Write"],
    ),
    "combination:two_responses": (
        {},
        ["a\n******\nb", "******\na\n******\nb\n******"],
        ["a\n******\na", "a", "a\n***\nb", "a******b******c", "a******", "a************b"],
    ),
    "startend:end_checker": (
        {"end_phrase": "Any questions?"},
        ["Text. Any questions?\n", '"text any QUESTIONS?"', "Any questions?"],
        ["Any questions? No.", "Any questions"],
    ),
    "startend:quotation": ({}, ['"a"', ' "a "b" c"\n'], ['"', '"a', "'a'", "a"]),
    "change_case:english_capital": ({}, ["THE END IS NEAR!", "A 1"], ["THE END IS NEAr", "12", "КОНЕЦ"]),
    "change_case:english_lowercase": ({}, ["the end is near! 12"], ["The end", "12", "конец"]),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["I say STOP", "NEW-YORK USA", "A B", "I'm at IBM's", "DON'T. P.S."],
        ["Stop IT", "NEW-YORK", "12 34", "P.S. it's", "DON'T"],
    ),
    "punctuation:no_comma": ({}, ["no; commas."], ["one, two", ","]),
}


def test_there_are_the_25_kinds_and_each_has_its_cases():
    assert len(KINDS) == 25 and set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_a_kind(kind):
    arguments, good, bad = CASES[kind]
    wrong = [text[:40] for text in good if KINDS[kind](text, **arguments) is not True]
    wrong += [text[:40] for text in bad if KINDS[kind](text, **arguments) is not False]
    assert not wrong


LONG_RUNS = [
    "`" * 3 + " " * 5000,
    "<<" + "a" * 5000,
    "*a" * 2500,
    "!" * 5000 + "a",
    "\n" * 5000,
    "P.S. " * 1000,
    "[" * 5000,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", CASES)
def test_no_text_takes_for_ever(kind):
    """What a model that has gone astray may write; a pattern that backtracks would take hours."""
    for text in LONG_RUNS:
        KINDS[kind](text, **CASES[kind][0])


def test_relations():
    check, texts = KINDS["length_constraints:number_words"], ["a", "a a", "a a a"]
    assert [check(text, num_words=2, relation="at least") for text in texts] == [False, True, True]
    assert [check(text, num_words=2, relation="less than") for text in texts] == [True, False, False]
    with pytest.raises(ValueError, match="relation is 'about'; it must be one of at least, less than"):
        check("a", num_words=2, relation="about")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("...", 0),
        ("No stop", 1),
        ("One. Two? Three! Four", 4),
        ('"One." (Two.) **Three.** end', 4),
        ("Mr. Smith paid $3.50 to J. R. Jones, e.g. for tea. Good.", 2),
        ("1. Tea\n2. Milk. Hot.\n", 2),
        ("Really?! Yes... perhaps.", 3),
        ("一。二。", 2),
        ("यह है। वह है।", 2),
    ],
)
def test_sentences(text, sentences):
    assert count_sentences(text) == sentences
