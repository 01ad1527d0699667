import math

import numpy as np
import pytest

from culet.align.rewards import Answer, Endpoint, EndpointError, EndpointJudge, EndpointScore, position_bias
from tests.align.rewards.server import serving

FIRSTS = [Answer(prompt="Say", text=text, tokens=1) for text in ("good", "bad", "good")]
SECONDS = [Answer(prompt="Say", text=text, tokens=1) for text in ("bad", "good", "good")]
TEMPLATE = "{instruction}|{prompt}|{first}|{second}"


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def endpoint(server):
    return Endpoint(url=server.url, model="tiny", attempts=2, first_wait=0.01, timeout=5.0)


def shown_answers(body):
    return body["messages"][0]["content"].split("|")[2:]


def test_log_probabilities_of_the_labels_in_both_orders():
    """A judge that is right with 0.6 to 0.1, and for the rest of the mass says something else; it leans to 1."""

    def act(handler, body):
        first, second = shown_answers(body)
        one, two = {("good", "bad"): (0.6, 0.1), ("bad", "good"): (0.3, 0.5)}.get((first, second), (0.4, 0.2))
        tokens = {"1": math.log(one / 2), " 1": math.log(one / 2), "2": math.log(two), "The": -2.0}
        handler.say("The", tokens)

    with serving(act) as server:
        judge = EndpointJudge(endpoint(server), template=TEMPLATE)
        there, back = 6 / 7, 3 / 8
        np.testing.assert_allclose(judge.shown(FIRSTS, SECONDS), [there, back, 2 / 3], rtol=1e-6)
        expected = (there + 1 - back) / 2
        np.testing.assert_allclose(judge(FIRSTS, SECONDS), [expected, 1 - expected, 0.5], rtol=1e-6)
        assert position_bias(judge.shown, FIRSTS, SECONDS).shown_first > 0.55
        assert position_bias(judge, FIRSTS, SECONDS).changed == 0
        assert judge.unreadable == 0
        wide = EndpointJudge(endpoint(server), template=TEMPLATE, tie_margin=0.4)
        assert wide(FIRSTS, SECONDS).tolist() == [0.5] * 3


@pytest.mark.parametrize("top", [None, {"Answer": -0.1}, {}])
def test_without_log_probabilities_of_labels_the_text_decides(top):
    def act(handler, body):
        first, second = shown_answers(body)
        says = "I cannot tell (12 or 21)." if first == second else f"Answer {1 + (second == 'good')}, not {2}."
        handler.say(says, top)

    with serving(act) as server:
        judge = EndpointJudge(endpoint(server), template=TEMPLATE)
        assert judge(FIRSTS, SECONDS).tolist() == [1, 0, 0.5]
        assert judge.unreadable == 2  # the tie, in both orders
        with pytest.raises(EndpointError, match=r"no reply has one of the labels 1, 2; one is 'I cannot tell"):
            judge(FIRSTS[2:], SECONDS[2:])
        assert judge([], []).shape == (0,)


def test_other_labels():
    with serving(lambda handler, body: handler.say("B is better than A")) as server:
        judge = EndpointJudge(endpoint(server), labels=("A", "B"), template=TEMPLATE)
        assert judge.shown(FIRSTS, SECONDS).tolist() == [0, 0, 0]
        with pytest.raises(ValueError, match="they must be two different words"):
            EndpointJudge(endpoint(server), labels=("A", " A"))


@pytest.mark.parametrize(
    ("text", "top", "mean"),
    [
        ("8", {"8": math.log(0.5), "10": math.log(0.25), "no": -0.1}, (8 * 0.5 + 10 * 0.25) / 0.75),
        ("10", {"1": math.log(0.5), "9": math.log(0.5)}, 9.5),  # digit by digit
        ("1", {"1": math.log(0.5), "9": math.log(0.5)}, 5.0),
        ("10", {"10": math.log(0.5), "1": math.log(0.5)}, 5.5),  # "10" is a token here, so "1" is 1
        ("Score: 10/10", None, 10.0),
        ("7.", None, 7.0),
        ("100, or rather 4", None, 4.0),
    ],
)
def test_scores_from_1_to_10(text, top, mean):
    with serving(lambda handler, body: handler.say(text, top)) as server:
        found = EndpointScore(endpoint(server))(FIRSTS)
    np.testing.assert_allclose(found, [(mean - 5.5) / 4.5] * 3, atol=1e-6)


def test_a_reply_without_a_number_is_worth_the_middle():
    def act(handler, body):
        handler.say("no comment" if "bad" in body["messages"][0]["content"] else "10")

    with serving(act) as server:
        score = EndpointScore(endpoint(server))
        assert score(FIRSTS).tolist() == [1, 0, 1] and score.unreadable == 1
        with pytest.raises(EndpointError, match="no reply has one of the labels"):
            score(FIRSTS[1:2])


def test_a_dead_judge_stops_with_the_endpoint_s_error():
    dead, said = serving(lambda handler, body: handler.send(500, b"")), "status 500, at 2 attempts"
    with dead as server, pytest.raises(EndpointError, match=said):
        EndpointJudge(endpoint(server))(FIRSTS, SECONDS)
