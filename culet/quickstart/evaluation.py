"""Held-out questions to a tuned model, scored beside a baseline that knows nothing.

Much of an answer can be guessed from the form of the question. The baseline gives the commonest answer to training
questions of the same kind.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from culet.core.text import hash_fraction
from culet.lm import Decoder, Tokenizer, generate
from culet.lm.tokenizers.chat_template import encode_many
from culet.quickstart.questions import QuestionAnswer

LONGEST_ANSWER = 48  # tokens


def examine(model: Decoder, tokenizer: Tokenizer, pairs: Iterable[QuestionAnswer], asked: int) -> dict[str, Any]:
    """Asks `asked` held-out questions whose subject was in the training text, and as many whose subject was not.

    Which ones is decided by a hash. Greedy answers are scored by exact equality and by the F1 of their words. Returns
    `scores`, a dict for each group and kind of question with those of the baseline beside, and `answers`.
    """
    pairs = list(pairs)
    commonest = _commonest(pairs)
    groups = {"subject seen in the text": True, "subject never seen": False}
    scores, answers = [], []
    for group, seen in groups.items():
        held_out = [pair for pair in pairs if pair.held_out and pair.seen == seen]
        held_out = sorted(held_out, key=lambda pair: hash_fraction("asked " + pair.question))[:asked]
        texts = _answers(model, tokenizer, held_out)
        scores += _scores(group, held_out, texts, commonest)
        answers += [
            {"group": group, "kind": pair.kind, "question": pair.question, "answer": text, "truth": pair.answer}
            for pair, text in zip(held_out, texts, strict=True)
        ]
    return {"scores": scores, "answers": answers}


def word_f1(answer: str, truth: str) -> float:
    """The harmonic mean of the precision and recall of words, as in question answering (1606.05250, section 6)."""
    given, wanted = Counter(answer.lower().split()), Counter(truth.lower().split())
    common = sum((given & wanted).values())
    return 2 * common / (sum(given.values()) + sum(wanted.values())) if common else 0.0


def _answers(model: Decoder, tokenizer: Tokenizer, held_out: Sequence[QuestionAnswer]) -> list[str]:
    prompts = encode_many([[{"role": "user", "content": pair.question}] for pair in held_out], tokenizer)
    return [completion.text for completion in generate(model, tokenizer, prompts, max_new_tokens=LONGEST_ANSWER)]


def _commonest(pairs: Sequence[QuestionAnswer]) -> dict[str, str]:
    """The answer given most often to training questions of each kind."""
    kinds: dict[str, Counter[str]] = {}
    for pair in pairs:
        if not pair.held_out:
            kinds.setdefault(pair.kind, Counter())[pair.answer] += 1
    return {kind: answers.most_common(1)[0][0] for kind, answers in kinds.items()}


def _scores(
    group: str, held_out: Sequence[QuestionAnswer], texts: Sequence[str], commonest: dict[str, str]
) -> list[dict[str, Any]]:
    scores = []
    for kind in ("all", *sorted({pair.kind for pair in held_out})):
        chosen = [(pair, text) for pair, text in zip(held_out, texts, strict=True) if kind in ("all", pair.kind)]
        guesses = [(pair, commonest.get(pair.kind, "")) for pair, _ in chosen]
        scores.append(
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
    return scores


def _mean(values: Sequence[float | bool]) -> float:
    return sum(values) / len(values) if values else 0.0
