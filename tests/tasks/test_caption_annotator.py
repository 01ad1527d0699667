"""The annotator that can be told what to prefer, and pairs that it has labelled once."""

import numpy as np

from culet.align.rewards.answer import Answer
from culet.tasks.caption_annotator import QUALITY, SHORT, VERY_SHORT, annotator, guessing, pairs
from culet.tasks.caption_policy import SIZES, prompts, tokenizer
from culet.tasks.captions import reward


def _answers(*texts: str) -> list[Answer]:
    return [Answer(prompt="", text=text, tokens=len(text.split())) for text in texts]


def test_without_an_instruction_the_better_caption_wins():
    texts = ["runs in the grass", "works in the street", "runs in the grass"]
    scores = reward("smoke").of_texts(texts)
    assert scores[0] > scores[1]
    firsts, seconds = _answers(*texts), _answers(texts[1], texts[0], texts[0])
    found = annotator("smoke", QUALITY)(firsts, seconds)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(scores[[1, 0, 0]] - scores)), rtol=1e-5)
    assert found[2] == 0.5  # a tie
    np.testing.assert_allclose(found + annotator("smoke", QUALITY)(seconds, firsts), 1, rtol=1e-6)


def test_what_it_is_told_makes_words_cost():
    short, long = _answers("qx", " ".join(["qx"] * 11))  # a word that it does not know: only length counts
    found = np.array([annotator("smoke", told)([short], [long])[0] for told in (QUALITY, SHORT, VERY_SHORT)])
    np.testing.assert_allclose(np.log(found / (1 - found)), [0, 1, 3], atol=1e-5)


def test_a_guess_does_not_depend_on_the_answers():
    one, other = _answers("a", "b")
    found = guessing(0)([one] * 1000, [other] * 1000)
    assert np.array_equal(found, guessing(0)([other] * 1000, [one] * 1000)) and 0.45 < (found > 0.5).mean() < 0.55


def test_pairs_are_labelled_by_the_annotator_and_hold_no_ties():
    words, learned = tokenizer("smoke"), reward("smoke")
    found = pairs("smoke", 0, 2, 4)
    asked = prompts("smoke", "training")
    batches = asked.batches(4, 0)
    there = {asked.rows[number].text for step in range(2) for number in batches[step]["row"]}
    assert 0 < len(found.rows) <= 8 and {row.text for row in found.rows} <= there
    rollout = found.data(np.arange(len(found.rows)), 2, SIZES["smoke"].new_tokens)
    lengths = rollout.lengths.tolist()
    written = [ids[:length].tolist() for ids, length in zip(np.asarray(rollout.completions), lengths, strict=True)]
    ended = [ids[-1] in words.stop_ids for ids in written]
    assert all(end or length == SIZES["smoke"].new_tokens for end, length in zip(ended, lengths, strict=True))
    texts = [words.decode(ids[: len(ids) - end]) for ids, end in zip(written, ended, strict=True)]
    better, worse = learned.of_texts(texts).reshape(-1, 2).T
    assert (better > worse).all()
