"""What summaries are made of and measured by, on captions made up for the purpose."""

import numpy as np

from culet.align.rewards.answer import Answer
from culet.tasks.summaries import SOURCES, captions, lessons, measures, most_entailed, reward, scorer, tokenizer


def answers(rows, texts):
    return [
        Answer(prompt=row.text, text=text, tokens=3, columns=row.columns) for row, text in zip(rows, texts, strict=True)
    ]


def test_policy_and_scorer_see_other_pictures():
    learned = {tuple(row.columns["captions"]) for row in lessons("smoke", "training")}
    everything = captions("smoke", "training")
    assert learned <= {tuple(five) for five in everything[::2]}
    held_out = lessons("smoke", "judging")
    assert len(held_out) >= 4 and all(row.columns["captions"] in captions("smoke", "judging") for row in held_out)


def test_a_lesson_is_the_whole_source_and_the_fifth_caption():
    words = tokenizer("smoke")
    for row in lessons("smoke", "tuning")[:4]:
        five = row.columns["captions"]
        assert row.columns["source"] == " . ".join(five[:SOURCES]) and row.columns["other"] != row.columns["source"]
        target = str(row.completions[0])
        assert target.strip() == five[SOURCES]
        joined = words.encode(row.text + target, special=False)
        assert joined == [*row.tokens, *words.encode(target, bos=False, special=False)]  # as it was learned


def test_shuffled_rewards_are_of_other_sources():
    rows = lessons("smoke", "judging")
    own = answers(rows, [row.columns["captions"][SOURCES] for row in rows])
    moved = [*rows[1:], *rows[:1]]
    other = answers(moved, [answer.text for answer in own])
    np.testing.assert_allclose(reward("smoke", shuffled=True)(own), reward("smoke")(other))
    assert reward("smoke")(own).mean() > reward("smoke", shuffled=True)(own).mean() + 1


def test_measures_of_the_fifth_caption_and_of_nothing():
    rows = lessons("smoke", "judging")
    best = measures("smoke", answers(rows, [row.columns["captions"][SOURCES] for row in rows]))
    assert best["precision"] == best["rouge_1"] == best["rouge_l"] == 1 and best["length"] == 3
    empty = measures("smoke", answers(rows, [""] * len(rows)))
    assert empty["precision"] == empty["rouge_1"] == empty["coverage"] == empty["length"] == 0
    assert empty["entailment"] < best["entailment"] - 0.5  # saying nothing is not what the scorer likes


def test_the_filter_keeps_the_most_entailed_in_their_order():
    rows, kept = lessons("smoke", "training"), most_entailed("smoke", 0.25)

    def of(chosen):
        return reward("smoke")(answers(chosen, [str(row.completions[0]) for row in chosen]))

    assert len(kept) == len(rows) // 4 and of(kept).min() >= np.sort(of(rows))[-len(kept)]
    assert [row for row in rows if row in kept] == list(kept)
    assert len(scorer("smoke").vocabulary) > 10
