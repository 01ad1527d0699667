"""What a judge is asked: texts with places for the prompt, the answers and an instruction."""

from collections.abc import Sequence
from string import Formatter

from culet.align.rewards.answer import Answer

PAIR_INSTRUCTION = "Which of two answers to a prompt is better?"
PAIR_TEMPLATE = """{instruction}

Prompt: {prompt}

Answer 1: {first}

Answer 2: {second}

Reply with 1 or 2 only. The better answer is number """

SCORES = tuple(str(number) for number in range(1, 11))
SCORE_INSTRUCTION = "How good is an answer to a prompt, from 1 (worst) to 10 (best)?"
SCORE_TEMPLATE = """{instruction}

Prompt: {prompt}

Answer: {answer}

Reply with a number from 1 to 10 only. The answer is a """


class PairQuestions:
    """Asks which of two answers is better: a template with {instruction}, {prompt}, {first} and {second}."""

    def __init__(self, instruction: str = PAIR_INSTRUCTION, template: str = PAIR_TEMPLATE):
        """Raises ValueError for a template without its places or with others."""
        self.template = checked_template(template, ("instruction", "prompt", "first", "second"))
        self.instruction = instruction

    def __call__(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> list[str]:
        """One question per pair; raises ValueError for lists that differ in length."""
        return [
            self.template.format(
                instruction=self.instruction, prompt=first.prompt, first=first.text, second=second.text
            )
            for first, second in zip(firsts, seconds, strict=True)
        ]


class ScoreQuestions:
    """Asks how good an answer is: a template with {instruction}, {prompt} and {answer}."""

    def __init__(self, instruction: str = SCORE_INSTRUCTION, template: str = SCORE_TEMPLATE):
        """Raises ValueError for a template without its places or with others."""
        self.template = checked_template(template, ("instruction", "prompt", "answer"))
        self.instruction = instruction

    def __call__(self, answers: Sequence[Answer]) -> list[str]:
        """One question per answer."""
        return [
            self.template.format(instruction=self.instruction, prompt=answer.prompt, answer=answer.text)
            for answer in answers
        ]


def checked_template(template: str, places: Sequence[str]) -> str:
    """The template, if each of `places` stands in it and nothing else does.

    A place is its name in braces, such as {prompt}; braces that are meant as such are doubled. Raises ValueError.
    """
    wanted = ", ".join(f"{{{place}}}" for place in places)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as problem:
        raise ValueError(f"the judge's template cannot be read ({problem}); write braces of its own twice") from None
    found = {name for _, name, _, _ in parts if name is not None}
    if odd := sorted(found - set(places)):
        raise ValueError(f"the judge's template has a place {{{odd[0]}}}; its places are {wanted}")
    if missing := [place for place in places if place not in found]:
        raise ValueError(f"the judge's template has no {{{missing[0]}}}; its places are {wanted}")
    if formatted := [name for _, name, form, conversion in parts if form or conversion]:
        raise ValueError(f"the judge's template formats {{{formatted[0]}}}; write the name alone")
    return template
