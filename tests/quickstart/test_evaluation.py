import pytest

from culet.lm import Decoder, Tokenizer
from culet.lm._generate import Completion
from culet.quickstart import evaluation
from culet.quickstart.questions import QuestionAnswer


def pair(question, answer, held_out=True, seen=True, kind="a"):
    return QuestionAnswer(question, answer, "f", held_out, seen, kind)


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("a b c", "a b c", 1.0),
        ("A b", "a b c d", 2 * 1.0 * 0.5 / 1.5),
        ("x", "a", 0.0),
        ("", "a", 0.0),
        ("a a", "a", 2 / 3),
    ],
)
def test_word_f1_is_the_harmonic_mean_of_precision_and_recall(answer, truth, expected):
    assert evaluation.word_f1(answer, truth) == pytest.approx(expected)


def test_scores_stand_beside_the_commonest_training_answer(monkeypatch):
    pairs = [pair(f"t{i}", "yes", held_out=False) for i in range(3)] + [pair("t9", "no", held_out=False)]
    pairs += [pair("q1", "yes"), pair("q2", "no"), pair("q3", "yes", seen=False)]
    answers = {"q1": "yes", "q2": "no", "q3": "maybe yes"}
    monkeypatch.setattr(
        evaluation, "encode_many", lambda conversations, _: [messages[0]["content"] for messages in conversations]
    )
    monkeypatch.setattr(
        evaluation, "generate",
        lambda model, tokenizer, prompts, **_: [Completion(answers[prompt], [1], [0.0], "stop") for prompt in prompts],
    )  # fmt: skip
    model, tokenizer = object.__new__(Decoder), object.__new__(Tokenizer)  # neither is asked
    result = evaluation.examine(model, tokenizer, pairs, asked=10)
    seen, unseen = [row for row in result["scores"] if row["kind"] == "all"]
    assert (seen["questions"], seen["exact"], seen["guess_exact"]) == (2, 1.0, 0.5)
    assert (unseen["exact"], unseen["guess_exact"]) == (0.0, 1.0)
    assert unseen["word_f1"] == pytest.approx(2 / 3)
    assert {answer["question"] for answer in result["answers"]} == {"q1", "q2", "q3"}
