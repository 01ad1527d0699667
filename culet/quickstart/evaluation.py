"""Asking a tuned model held-out questions, and saying honestly how much of the answers is knowledge.

Much of an answer can be guessed from the form of the question, so each score stands beside that of a model that knows
nothing: the commonest answer to training questions of that kind.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from culet.core.text import hash_fraction
from culet.lm._generate import generate
from culet.lm.decoder import Decoder
from culet.lm.tokenizers.chat_template import encode_many
from culet.lm.tokenizers.tokenizer import Tokenizer
from culet.quickstart.questions import QuestionAnswer

LONGEST_ANSWER = 48  # tokens


def examine(model: Decoder, words: Tokenizer, pairs: Iterable[QuestionAnswer], asked: int) -> dict[str, Any]:
    """Asks `asked` held-out questions whose subject was in the training text, and as many whose subject was not.

    Which ones is decided by a hash. Greedy answers are scored by exact equality and by the F1 of their words. Returns
    rows of scores by group and kind, with the guess of ignorance beside, and all the answers.
    """
    pairs = list(pairs)
    commonest = _commonest(pairs)
    groups = {"subject seen in the text": True, "subject never seen": False}
    scores, answers = [], []
    for group, seen in groups.items():
        held = [pair for pair in pairs if pair.held_out and pair.seen == seen]
        held = sorted(held, key=lambda pair: hash_fraction("asked " + pair.question))[:asked]
        said = _answers(model, words, held)
        scores += _scores(group, held, said, commonest)
        answers += [
            {"group": group, "kind": pair.kind, "question": pair.question, "answer": text, "truth": pair.answer}
            for pair, text in zip(held, said, strict=True)
        ]
    return {"scores": scores, "answers": answers}


def word_f1(answer: str, truth: str) -> float:
    """The harmonic mean of the precision and recall of words, as in question answering (1606.05250, section 6)."""
    given, wanted = Counter(answer.lower().split()), Counter(truth.lower().split())
    common = sum((given & wanted).values())
    return 2 * common / (sum(given.values()) + sum(wanted.values())) if common else 0.0


def _answers(model: Decoder, words: Tokenizer, held: Sequence[QuestionAnswer]) -> list[str]:
    prompts = encode_many([[{"role": "user", "content": pair.question}] for pair in held], words)
    return [completion.text for completion in generate(model, words, prompts, max_new_tokens=LONGEST_ANSWER)]


def _commonest(pairs: Sequence[QuestionAnswer]) -> dict[str, str]:
    """The answer given most often to training questions of each kind."""
    kinds: dict[str, Counter[str]] = {}
    for pair in pairs:
        if not pair.held_out:
            kinds.setdefault(pair.kind, Counter())[pair.answer] += 1
    return {kind: answers.most_common(1)[0][0] for kind, answers in kinds.items()}


def _scores(
    group: str, held: Sequence[QuestionAnswer], said: Sequence[str], commonest: dict[str, str]
) -> list[dict[str, Any]]:
    rows = []
    for kind in ("all", *sorted({pair.kind for pair in held})):
        chosen = [(pair, text) for pair, text in zip(held, said, strict=True) if kind in ("all", pair.kind)]
        guesses = [(pair, commonest.get(pair.kind, "")) for pair, _ in chosen]
        rows.append(
            {
                "group": group,
                "kind": kind,
                "questions": len(chosen),
                "exact": _mean([text.strip() == pair.answer for pair, text in chosen]),
                "word_f1": _mean([word_f1(text, pair.answer) for pair, text in chosen]),
                "guess_exact": _mean([text == pair.answer for pair, text in guesses]),
                "guess_word_f1": _mean([word_f1(text, pair.answer) for pair, text in guesses]),
            }
        )
    return rows


def _mean(values: Sequence[float | bool]) -> float:
    return sum(values) / len(values) if values else 0.0
