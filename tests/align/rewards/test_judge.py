"""Verdicts against the model run question by question, its logits in float64, with the ids written out by hand."""

import dataclasses
from functools import cache
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.rewards import Answer, ModelJudge, ModelScore, position_bias
from culet.align.rewards import judge as judge_module
from culet.align.rewards.judge import PAIR_TEMPLATE, SCORE_TEMPLATE, checked_template
from culet.lm import Tokenizer, scaled
from tests.weights import random_weights

TOKENIZER = Tokenizer.load(Path(__file__).parents[2] / "goldens" / "tokenizer")
PAIR = "{instruction} {prompt}|{first}|{second} Best: "
SCORE = "{instruction} {prompt}|{answer} Mark: "
TEXTS = [("a", "b"), ("long and wordy " * 4, "no"), ("<end_of_turn>", "{prompt}"), ("same", "same")]
FIRSTS, SECONDS = ([Answer(prompt="Say", text=pair[side], tokens=1) for pair in TEXTS] for side in (0, 1))


@cache
def small(context=256, spread=2.0):
    config = scaled("gemma-2-2b", layers=2, width=32, vocabulary=TOKENIZER.vocabulary, context=context, window=8)
    config = dataclasses.replace(config, embedding_scale=0.2)  # else it would only say its last token again
    return random_weights(config.init, spread=spread)


@cache
def compiled():
    return eqx.filter_jit(small())


def next_log_probabilities(ids):
    """Of every token after these, from a run of one padded row: what stands behind cannot change it."""
    logits = np.asarray(compiled()(jnp.array([*ids, *[0] * (128 - len(ids))])), np.float64)[len(ids) - 1]
    return logits - np.log(np.sum(np.exp(logits - logits.max()))) - logits.max()


def pair_judge(**options):
    return ModelJudge(small(), TOKENIZER, **{"template": PAIR, "instruction": "Judge.", "rows": 3, **options})


def by_hand(first, second, labels=(280, 281)):
    """The digits are tokens of their own in this vocabulary, so the space before them belongs to the question."""
    ids = TOKENIZER.encode(f"Judge. Say|{first}|{second} Best: ", special=False)
    found = next_log_probabilities(ids)[list(labels)]
    return 1 / (1 + np.exp(found[1] - found[0]))


def test_the_probability_of_the_first_label_in_one_order_and_in_both():
    there = np.array([by_hand(*pair) for pair in TEXTS])
    back = np.array([by_hand(*pair[::-1]) for pair in TEXTS])
    judge = pair_judge()
    np.testing.assert_allclose(judge.shown(FIRSTS, SECONDS), there, atol=1e-4)
    found = judge(FIRSTS, SECONDS)
    np.testing.assert_allclose(found, (there + 1 - back) / 2, atol=1e-4)
    assert found[3] == 0.5
    assert np.ptp(there) > 0.05 and np.abs(there - back).max() > 0.03  # the model does tell answers apart
    assert pair_judge(tie_margin=0.49)(FIRSTS, SECONDS).tolist() == [0.5] * 4
    assert judge([], []).shape == (0,)


def test_a_random_model_is_biased_and_averaging_takes_it_away():
    judge = pair_judge()
    before, after = position_bias(judge.shown, FIRSTS, SECONDS), position_bias(judge, FIRSTS, SECONDS)
    assert abs(before.shown_first - 0.5) > 0.02 and before.changed > 0
    assert after.changed == 0 and after.shown_first == pytest.approx(0.5, abs=1e-6)


def test_batches_change_nothing():
    np.testing.assert_allclose(
        pair_judge(rows=1).shown(FIRSTS, SECONDS), pair_judge(rows=3).shown(FIRSTS, SECONDS), atol=1e-5
    )


def test_the_label_is_the_token_that_the_tokenizer_makes_of_it_there():
    """' a' is one token here, and so the question must end before the space; 'a' alone would be another token."""
    ids = TOKENIZER.encode("Judge. Say|a|b Best:", special=False)
    found = next_log_probabilities(ids)
    a, b = (TOKENIZER.encode(label, bos=False)[-1] for label in (": a", ": t"))
    expected = 1 / (1 + np.exp(found[b] - found[a]))
    judge = pair_judge(labels=("a", "t"))
    np.testing.assert_allclose(judge.shown(FIRSTS[:1], SECONDS[:1]), [expected], atol=1e-4)


def test_in_a_conversation_the_label_begins_the_model_s_turn():
    turn = "<start_of_turn>user\nJudge. Say|a|b Best:<end_of_turn>\n<start_of_turn>model\n"
    found = next_log_probabilities(TOKENIZER.encode(turn))[[280, 281]]
    expected = 1 / (1 + np.exp(found[1] - found[0]))
    np.testing.assert_allclose(pair_judge(chat=True).shown(FIRSTS[:1], SECONDS[:1]), [expected], atol=1e-4)


@pytest.mark.parametrize("labels", [("1", "10"), ("1", "1"), ("first", "second"), ("1", "")])
def test_labels_that_are_not_one_token_each_are_a_clear_error(labels):
    with pytest.raises(ValueError, match=r"after the judge's template the labels .* make one token each"):
        pair_judge(labels=labels).shown(FIRSTS[:1], SECONDS[:1])


def test_scores_from_1_to_10_against_the_mean_by_hand():
    answers = FIRSTS[:3]
    judge = ModelScore(small(), TOKENIZER, template=SCORE, instruction="Judge.", rows=4)
    expected = []
    for answer in answers:
        ids = TOKENIZER.encode(f"Judge. Say|{answer.text} Mark: ", special=False)
        first, second = np.exp(next_log_probabilities(ids)), np.exp(next_log_probabilities([*ids, 280]))
        digits = first[280:289]  # 1 to 9; 0 is the token before
        masses = np.array([digits[0] * (1 - second[279]), *digits[1:], digits[0] * second[279]])
        expected.append((np.sum(masses * np.arange(1, 11)) / masses.sum() - 5.5) / 4.5)
    np.testing.assert_allclose(judge(answers), expected, atol=1e-4)
    assert np.ptp(expected) > 0.01
    assert judge([]).shape == (0,)


def test_the_mean_score_of_known_masses():
    tails = [[k] for k in range(1, 10)] + [[1, 0]]
    logs = np.log([0.3, *[1e-12] * 7, 0.2, 0.1]).tolist()  # a third of the mass of "1" goes on to "10"
    assert judge_module._mean_score(logs, tails) == pytest.approx((0.2 * 1 + 0.2 * 9 + 0.1 * 10) / 0.5)
    whole = [[k] for k in range(1, 11)]  # "10" is a token of its own
    assert judge_module._mean_score(logs, whole) == pytest.approx((0.3 * 1 + 0.2 * 9 + 0.1 * 10) / 0.6)
    only_ten = [-800.0] * 9 + [-700.0]
    assert judge_module._mean_score(only_ten, whole) == pytest.approx(10)


def test_many_lengths_make_few_shapes(monkeypatch):
    shapes, read = [], judge_module._after

    def recorded(model, tokens, lengths, wanted):
        shapes.append(tokens.shape)
        return read(model, tokens, lengths, wanted)

    monkeypatch.setattr(judge_module, "_after", recorded)
    judge = pair_judge()
    answers = [Answer(prompt="Say", text="a" * length, tokens=1) for length in (70, 1, 9, 17)]
    alone = [judge.shown([answer], SECONDS[:1])[0] for answer in answers]
    assert shapes == [(3, 128)] + [(3, 64)] * 3
    np.testing.assert_allclose(judge.shown(answers, SECONDS[:1] * 4), alone, atol=1e-5)
    assert shapes[4:] == [(3, 64), (3, 128)]


def test_bad_input_is_one_clear_error():
    with pytest.raises(ValueError, match="rows is 0"):
        pair_judge(rows=0)
    with pytest.raises(ValueError, match=r"the judge's template has no \{second\}"):
        pair_judge(template="{instruction}{prompt}{first}")
    with pytest.raises(ValueError, match=r"tie_margin is 0\.7"):
        pair_judge(tie_margin=0.7)
    with pytest.raises(ValueError, match=r"has \d+ tokens, but its context is 16; shorten prompts"):
        ModelJudge(small(context=16), TOKENIZER).shown(FIRSTS[1:2], SECONDS[1:2])
    with pytest.raises(ArithmeticError, match="the judge's logits are not finite"):
        ModelJudge(small(spread=float("nan")), TOKENIZER, template=PAIR, rows=3).shown(FIRSTS[:1], SECONDS[:1])
    with pytest.raises(ValueError, match="1 first answers and 2 second ones"):
        pair_judge()(FIRSTS[:1], SECONDS[:2])


PLACES = ("prompt", "first")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{prompt} {first} {third}", r"has a place \{third\}; its places are \{prompt\}, \{first\}"),
        ("{prompt}", r"has no \{first\}"),
        ("{prompt} {first", "cannot be read .* write braces of its own twice"),
        ("{prompt} {first} {}", r"has a place \{\}"),
        ("{prompt.__class__} {first}", r"has a place \{prompt.__class__\}"),
        ("{prompt!r} {first}", r"formats \{prompt\}; write the name alone"),
        ("{prompt:>9} {first}", r"formats \{prompt\}; write the name alone"),
    ],
)
def test_a_bad_template_is_one_clear_error(template, said):
    with pytest.raises(ValueError, match=said):
        checked_template(template, PLACES)


def test_good_templates_stay_as_they_are():
    assert checked_template("{{json}} {first} {prompt}", PLACES) == "{{json}} {first} {prompt}"
    checked_template(PAIR_TEMPLATE, ("instruction", "prompt", "first", "second"))
    checked_template(SCORE_TEMPLATE, ("instruction", "prompt", "answer"))
