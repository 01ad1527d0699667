"""Instructions that a program can verify (IFEval, 2311.07911): 25 kinds, a reward, and the paper's four accuracies.

The kinds are one function each, written from the descriptions in the paper (table 1). Each takes the text of an answer
and what the instruction says, under the names that the published file of prompts uses. Words are runs of letters,
digits and underscores; case does not matter where words are looked for.

Where the descriptions leave room: keywords may be part of longer words ("cats" has "cat"), forbidden words only stand
alone; bullets are "* " or "- " at the beginning of a line; sentences end with . ! or ? (or their like in other scripts)
before white space or the end, unless after a common abbreviation, an initial, or the number of a list; a language is
decided as `culet.align.rewards.languages` says.

Axis letters: B answers.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.languages import can_be

IDS, ARGUMENTS = "instruction_id_list", "kwargs"  # the columns of the published file
CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "at least": lambda count, bound: count >= bound,
    "less than": lambda count, bound: count < bound,
}
_WORD = re.compile(r"\w+")
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|no|fig|inc|ltd|co|e\.g|i\.e|u\.s|u\.k|a\.m|p\.m|p\.s|p\.p\.s)|\b[A-Z]"
    r"|^\W*\d+)\.\Z",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(
    r"(?<![.!?\u0964\u06d4\u061f])([.!?\u0964\u06d4\u061f]+)[\"')\]*\u201d\u2019]*(?=\s|$)|([\u3002\uff01\uff1f]+)"
)
_LONGEST_ABBREVIATION = 16  # letters before a stop that are looked at


def keyword_existence(text: str, *, keywords: Sequence[str]) -> bool:
    """All keywords are in the text."""
    return all(_count(word, text) > 0 for word in keywords)


def keyword_frequency(text: str, *, keyword: str, frequency: int, relation: str) -> bool:
    """The keyword is in the text so often."""
    return _related(_count(keyword, text), relation, frequency)


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> bool:
    """None of the words stands in the text."""
    return not any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    """The letter, large or small, is in the text so often."""
    return _related(text.casefold().count(letter.casefold()), let_relation, let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """The text is in the language of this code."""
    return can_be(text, language)


def number_words(text: str, *, num_words: int, relation: str) -> bool:
    """The text has so many words."""
    return _related(len(_WORD.findall(text)), relation, num_words)


def number_sentences(text: str, *, num_sentences: int, relation: str) -> bool:
    """The text has so many sentences."""
    return _related(count_sentences(text), relation, num_sentences)


def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """The text has exactly so many paragraphs, none of them empty, with the divider *** between them."""
    parts = [part.strip() for part in re.split(r"(?<!\*)\*\*\*(?!\*)", text)]
    if not parts[-1]:  # a divider may also stand at either end
        parts.pop()
    if parts and not parts[0]:
        parts.pop(0)
    return all(parts) and len(parts) == num_paragraphs


def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """The text has exactly so many paragraphs, with empty lines between them, and the n-th begins with the word."""
    parts = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    if len(parts) != num_paragraphs or not 1 <= nth_paragraph <= len(parts):
        return False
    word = _WORD.search(parts[nth_paragraph - 1])
    return word is not None and word[0].casefold() == first_word.casefold()


def postscript(text: str, *, postscript_marker: str) -> bool:
    """A postscript begins with the marker ("P.S." or "P.P.S") and says something."""
    letters = [re.escape(letter) for letter in postscript_marker if letter.isalnum()]
    return re.search(r"(?<![\w.])" + r"\.\s?".join(letters) + r"\b\.?[\s\S]*\w", text, re.IGNORECASE) is not None


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """At least so many placeholders in square brackets, such as [address]."""
    return len(re.findall(r"\[[^\[\]\n]+\]", text)) >= num_placeholders


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Exactly so many bullet points."""
    return len(re.findall(r"^[ \t]*[*-][ \t]+\S", text, re.MULTILINE)) == num_bullets


def constrained_response(text: str) -> bool:
    """One of `CHOICES` is in the text."""
    return any(choice in text for choice in CHOICES)


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """At least so many passages *like this* or **like this**, within a line."""
    return len(re.findall(r"(?<!\*)(\*\*?)(?=[^\s*])[^*\n]*(?<=[^\s*])\1(?!\*)", text)) >= num_highlights


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """At least so many sections, each begun by the word and its number ("SECTION 1")."""
    return len(re.findall(rf"(?<!\w){re.escape(section_spliter.strip())}\s?\d+", text)) >= num_sections


def json_format(text: str) -> bool:
    """The whole text is JSON, perhaps in a fence of Markdown."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = re.sub(r"\Ajson\b", "", text[3:-3], flags=re.IGNORECASE)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str) -> bool:
    """A title stands in double angular brackets: <<title>>."""
    return any(inside.strip() for inside in re.findall(r"<<([^<>\n]+)>>", text))


def two_responses(text: str) -> bool:
    """Two different responses with ****** between them, which may also stand at either end."""
    parts = [part.strip() for part in re.split(r"(?<!\*)\*{6}(?!\*)", text)]
    inner = [part for at, part in enumerate(parts) if part or at not in (0, len(parts) - 1)]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the request, word for word."""
    return text.strip().casefold().startswith(prompt_to_repeat.strip().casefold())


def end_checker(text: str, *, end_phrase: str) -> bool:
    """The text ends with the phrase; quotation marks around the text do not count."""
    return text.strip().strip('"').rstrip().casefold().endswith(end_phrase.strip().strip('"').casefold())


def quotation(text: str) -> bool:
    """The whole text stands in double quotation marks."""
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def english_capital(text: str) -> bool:
    """English in capital letters alone."""
    return text.isupper() and can_be(text, "en")


def english_lowercase(text: str) -> bool:
    """English in small letters alone."""
    return text.islower() and can_be(text, "en")


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: str) -> bool:
    """So many words are in capital letters alone: "I" is one, and so are "IBM's", "P.S." and "NEW-YORK"."""
    words = re.findall(r"\w+(?:['\u2019.-]\w+)*", text)
    stems = [re.sub(r"['\u2019](?:s|m|d|re|ve|ll)$", "", word) for word in words]
    return _related(sum(stem.isupper() for stem in stems), capital_relation, capital_frequency)


def no_comma(text: str) -> bool:
    """The text has no comma."""
    return "," not in text


def count_sentences(text: str) -> int:
    """Sentences of a text, and at least one if it has a word; see the head of this file."""
    count, start = 0, 0
    for end in _SENTENCE_END.finditer(text):
        stop = max(end.end(1), end.end(2))
        if _WORD.search(text, start, stop) and not _ABBREVIATED.search(text, stop - _LONGEST_ABBREVIATION, stop):
            count, start = count + 1, end.end()
    return count + (_WORD.search(text, start) is not None)


def _count(word: str, text: str) -> int:
    return len(re.findall(re.escape(word), text, re.IGNORECASE))


def _related(count: int, relation: str, bound: int) -> bool:
    if relation not in _RELATIONS:
        raise ValueError(f"relation is {relation!r}; it must be one of {', '.join(_RELATIONS)}")
    return _RELATIONS[relation](count, bound)


KINDS: dict[str, Callable[..., bool]] = {
    "keywords:existence": keyword_existence,
    "keywords:frequency": keyword_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_words": number_words,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:postscript": postscript,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:repeat_prompt": repeat_prompt,
    "combination:two_responses": two_responses,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "change_case:capital_word_frequency": capital_word_frequency,
    "punctuation:no_comma": no_comma,
}


class Accuracies(NamedTuple):
    """Fractions of prompts all of whose instructions are followed, and of all instructions (2311.07911)."""

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
    """The fraction of its prompt's instructions that an answer follows; with `every` 1 if it follows all, else 0.

    The prompt's line holds them as IFEval's file does: `instruction_id_list`, a list of ids, and `kwargs`, a list of as
    many objects. Calls raise ValueError where it does not, and as `follows` does.
    """

    def reward(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        fractions = [np.mean(_followed(answer, loose)) for answer in answers]
        return np.array([float(fraction == 1) if every else fraction for fraction in fractions], np.float64)

    return reward


def accuracies(answers: Sequence[Answer]) -> Accuracies:
    """The accuracies that the paper reports, of answers to prompts that hold their instructions as in its file.

    Raises ValueError for no answers, and as the calls of `instructions_followed` do.
    """
    if not answers:
        raise ValueError("there are no answers to judge")
    fractions = []
    for loose in (False, True):
        rows = [_followed(answer, loose) for answer in answers]
        fractions += [np.mean([all(row) for row in rows]), np.mean(np.concatenate(rows))]
    return Accuracies(*map(float, fractions))


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
