"""A language model as judge: which of two answers is better, or how good one is from 1 to 10.

The model writes nothing. It reads the question and is asked how likely each label is to come next, so that a verdict is
a probability (RLAIF, 2309.00267).

Axis letters: B answers or pairs, R rows read at once, S slots for tokens, K labels.
"""

from collections.abc import Sequence
from string import Formatter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.align.rewards.answer import Answer
from culet.align.rewards.preference import both_orders, checked_margin
from culet.lm import Decoder, Tokenizer
from culet.lm.tokenizers.chat_template import encode_many

LEAST_SLOTS = 64  # questions are padded to this many tokens or to a power of two above it: few compilations

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
    names = {name for _, name, _, _ in parts if name is not None}
    if odd := sorted(names - set(places)):
        raise ValueError(f"the judge's template has a place {{{odd[0]}}}; its places are {wanted}")
    if missing := [place for place in places if place not in names]:
        raise ValueError(f"the judge's template has no {{{missing[0]}}}; its places are {wanted}")
    if formatted := [name for _, name, form, conversion in parts if form or conversion]:
        raise ValueError(f"the judge's template formats {{{formatted[0]}}}; write the name alone")
    return template


class ModelJudge:
    """Prefers the answer whose label a language model would rather write; both orders are averaged.

    The template has the places {instruction}, {prompt}, {first} and {second}, and ends where the label follows. With
    `chat` the question is one turn of a user and the label begins the model's turn; else it is running text. Names of
    control tokens in it are plain text. A probability nearer to 0.5 than `tie_margin` is a tie, 0.5, and so are equal
    answers. `rows` questions are read at once.

    Calls raise ValueError where the labels are not one token each, different ones, after the template as the tokenizer
    has it; where a question does not fit the context of a model with global attention (nothing is ever cut off); and
    for a pair of lists that differ in length. They raise ArithmeticError for logits that are not finite.
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        *,
        instruction: str = PAIR_INSTRUCTION,
        template: str = PAIR_TEMPLATE,
        labels: tuple[str, str] = ("1", "2"),
        chat: bool = False,
        tie_margin: float = 0.0,
        rows: int = 16,
    ):
        """Raises ValueError for a template without its places or with others, and numbers out of range."""
        self.ask, self.labels, self.tie_margin = (
            PairQuestions(instruction, template),
            labels,
            checked_margin(tie_margin),
        )
        self._reader = _Reader(model, tokenizer, chat, rows)

    def __call__(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The probability that the first of each pair is better, over both orders."""
        return both_orders(self.shown, firsts, seconds, tie_margin=self.tie_margin)

    def shown(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The same in the one order in which they are given: what `position_bias` measures."""
        if not firsts:
            return np.zeros(0, np.float32)
        questions = self._reader.questions(self.ask(firsts, seconds), self.labels)
        for _, tails in questions:
            if [len(tail) for tail in tails] != [1, 1]:
                raise ValueError(
                    f"after the judge's template the labels {self.labels[0]!r} and {self.labels[1]!r} are the tokens "
                    f"{tails[0]} and {tails[1]}; choose labels (or an end of the template) that make one token each, "
                    "and two different ones"
                )
        contexts = [context for context, _ in questions]
        logs = self._reader.after(contexts, [[tail[0] for tail in tails] for _, tails in questions])
        return np.exp(logs[:, 0] - np.logaddexp(logs[:, 0], logs[:, 1])).astype(np.float32)


class ModelScore:
    """A reward: how good a language model finds an answer, the mean of 1 to 10 under its probabilities, as -1 to 1.

    The score is the sum of i P(i) over the sum of P(i), less 5.5, over 4.5: the reward of direct RLAIF (2309.00267).
    P(i) is the probability that the model writes i, over all its tokens; where "10" is written as "1"
    and "0", P(1) is that of a "1" which no "0" follows. The template has the places {instruction}, {prompt} and
    {answer}; the other arguments, and what calls raise, are as for `ModelJudge`.
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        *,
        instruction: str = SCORE_INSTRUCTION,
        template: str = SCORE_TEMPLATE,
        chat: bool = False,
        rows: int = 16,
    ):
        """Raises as `ModelJudge` does."""
        self.ask = ScoreQuestions(instruction, template)
        self._reader = _Reader(model, tokenizer, chat, rows)

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """One score from -1 to 1 per answer."""
        questions = self._reader.questions(self.ask(answers), SCORES)
        stems = [(row, stem) for row, (_, tails) in enumerate(questions) for stem in _stems(tails)]
        contexts = [questions[row][0] + list(stem) for row, stem in stems]
        wanted = [[tail[len(stem)] if _goes_on(tail, stem) else 0 for tail in questions[row][1]] for row, stem in stems]
        logs_after = dict(zip(stems, self._reader.after(contexts, wanted), strict=True))
        scores = np.zeros(len(answers), np.float32)
        for row, (_, tails) in enumerate(questions):
            logs = [
                sum(float(logs_after[row, tuple(tail[:at])][label]) for at in range(len(tail)))
                for label, tail in enumerate(tails)
            ]
            scores[row] = (_mean_score(logs, tails) - 5.5) / 4.5
        return scores


def _mean_score(logs: Sequence[float], tails: Sequence[Sequence[int]]) -> float:
    """The mean of 1 to 10 by the log-probabilities of their tokens, without what belongs to a longer number."""
    masses = np.exp(np.array(logs) - max(logs))
    longer = [sum(masses[k] for k, other in enumerate(tails) if _goes_on(other, tail)) for tail in tails]
    masses = np.maximum(masses - np.array(longer), 0)
    return float(masses @ np.arange(1, 11) / masses.sum())


def _stems(tails: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """What stands before each token of the labels, each once."""
    return sorted({tuple(tail[:at]) for tail in tails for at in range(len(tail))})


def _goes_on(tail: Sequence[int], stem: Sequence[int]) -> bool:
    return len(tail) > len(stem) and list(tail[: len(stem)]) == list(stem)


class _Reader:
    """Reads questions with a model, and says how likely tokens are to follow."""

    def __init__(self, model: Decoder, tokenizer: Tokenizer, chat: bool, rows: int):
        if rows < 1:
            raise ValueError(f"rows is {rows}; at least one question must be read at once")
        self.model, self.tokenizer, self.chat, self.rows = model, tokenizer, chat, rows

    def questions(self, texts: Sequence[str], labels: Sequence[str]) -> list[tuple[list[int], list[list[int]]]]:
        """Of each text the tokens before a label, and the tokens of each label there.

        In running text the tokenizer sees text and label together, as the model did when it was trained: a space at the
        end of the text may then belong to the label's token.
        """
        if self.chat:
            contexts = encode_many([[{"role": "user", "content": text}] for text in texts], self.tokenizer)
            tails = [self.tokenizer.encode(label, bos=False) for label in labels]
            return [(context, tails) for context in contexts]
        parts = []
        for text in texts:
            wholes = [self.tokenizer.encode(text + label, special=False) for label in labels]
            shared = next(
                (at for at, column in enumerate(zip(*wholes, strict=False)) if len(set(column)) > 1),
                min(map(len, wholes)),
            )
            parts.append((wholes[0][:shared], [whole[shared:] for whole in wholes]))
        return parts

    def after(self, contexts: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> Float[np.ndarray, "B K"]:
        """The log-probability of each wanted token right after its context, in batches of like length."""
        config, longest = self.model.config, max(map(len, contexts), default=0)
        if "G" in config.kinds and longest > config.context:
            raise ValueError(
                f"a question for the judge has {longest} tokens, but its context is {config.context}; shorten prompts, "
                "answers or the template, or take another judge"
            )
        logs = np.zeros((len(contexts), len(wanted[0]) if wanted else 0), np.float64)
        order = np.argsort([len(context) for context in contexts], kind="stable")
        for start in range(0, len(order), self.rows):
            chosen = order[start : start + self.rows]
            slots = max(LEAST_SLOTS, 1 << (len(contexts[chosen[-1]]) - 1).bit_length())
            tokens, lengths = np.zeros((self.rows, slots), np.int32), np.ones(self.rows, np.int32)
            ids = np.zeros((self.rows, logs.shape[1]), np.int32)
            for row, place in enumerate(chosen):
                lengths[row] = len(contexts[place])
                tokens[row, : lengths[row]], ids[row] = contexts[place], wanted[place]
            logs[chosen] = _after(self.model, *map(jnp.asarray, (tokens, lengths, ids)))[: len(chosen)]
        if not np.isfinite(logs).all():
            raise ArithmeticError("the judge's logits are not finite; check its weights")
        return logs


@eqx.filter_jit
def _after(
    model: Decoder, tokens: Int[Array, "R S"], lengths: Int[Array, "R"], wanted: Int[Array, "R K"]
) -> Float[Array, "R K"]:
    places = jnp.arange(tokens.shape[1])[None, :]
    hidden = jax.vmap(model.hidden)(tokens, jnp.where(places < lengths[:, None], places, -1))
    last = jnp.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)[:, 0]
    return jnp.take_along_axis(jax.nn.log_softmax(model.logits(last), axis=-1), wanted, axis=1)
