"""The client of an endpoint against a server that errs in every way, and judges behind it."""

import math
import socket
import time
from typing import Any

import numpy as np
import pytest

from culet.align.rewards import Answer, Endpoint, EndpointError, EndpointJudge, EndpointScore, position_bias
from tests.align.rewards.server import serving

SECRET = "sk-very-secret-0123456789"
FIRSTS = [Answer(prompt="Say", text=text, tokens=1) for text in ("good", "bad", "good")]
SECONDS = [Answer(prompt="Say", text=text, tokens=1) for text in ("bad", "good", "good")]
TEMPLATE = "{instruction}|{prompt}|{first}|{second}"


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def endpoint(server, **options):
    return Endpoint(**{"url": server.url, "model": "tiny", "first_wait": 0.01, "timeout": 5.0, **options})


def question(body):
    return body["messages"][0]["content"]


def test_replies_come_in_the_order_of_the_questions_and_the_workers_are_bounded():
    def act(handler, body):
        time.sleep(0.02 if question(body) in "02" else 0.0)
        handler.say("re " + question(body), {"a": -0.5})

    with serving(act) as server:
        replies = endpoint(server, workers=3).ask([str(k) for k in range(9)])
        assert [reply.text for reply in replies] == [f"re {k}" for k in range(9)]
        assert replies[0].first == (("a", -0.5),)
        assert 1 <= server.most_running <= 3
        sent = server.requests[0]
        assert sent["path"] == "/v1/chat/completions" and sent["key"] is None
        assert (sent["model"], sent["temperature"], sent["logprobs"], sent["top_logprobs"]) == ("tiny", 0, True, 20)
        endpoint(server, logprobs=False).ask(["x"])
        assert not {"logprobs", "top_logprobs"} & server.requests[-1].keys()
        assert endpoint(server).ask([]) == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_passes_is_tried_again_after_longer_and_longer_waits(status):
    times = []

    def act(handler, body):
        times.append(time.monotonic())
        handler.say("good") if len(times) == 3 else handler.send(status, b"busy")

    with serving(act) as server:
        assert endpoint(server, first_wait=0.05).ask(["x"])[0].text == "good"
    first, second = times[1] - times[0], times[2] - times[1]
    assert first >= 0.05 and second >= 0.1


def test_after_the_last_attempt_there_is_one_clear_error():
    with serving(lambda handler, body: handler.send(503, b"over\n loaded")) as server:
        with pytest.raises(EndpointError, match=r":\d+/v1/chat/completions: status 503 \('over loaded'\), at 3"):
            endpoint(server, attempts=3).ask(["x"])
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "advice"),
    [(400, "say logprobs=False"), (401, "set the key"), (404, "url must be the base"), (302, "redirects")],
)
def test_a_refusal_is_final(status, advice):
    with serving(lambda handler, body: handler.send(status, b"{}", Location="http://127.0.0.1:1/")) as server:
        with pytest.raises(EndpointError, match=f"status {status}.*{advice}"):
            endpoint(server).ask(["x"])
        assert len(server.requests) == 1


def test_a_dead_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"  # bound, so that nobody takes it; not listening
        with pytest.raises(EndpointError, match=r"no connection \(Connection refused\), at 2 .* is the server up"):
            Endpoint(url=url, model="tiny", attempts=2, first_wait=0.01).ask(["x"])


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"[" * 9999],
)
def test_a_reply_that_is_none(body):
    with serving(lambda handler, _: handler.send(200, body)) as server:
        with pytest.raises(EndpointError, match=r"the reply .*, at 2 attempts"):
            endpoint(server, attempts=2).ask(["x"])
        assert len(server.requests) == 2


def test_a_server_that_hangs_and_one_that_drips():
    def drip(handler, body):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.over.wait(0.05):
            handler.wfile.write(b" ")

    for act in (lambda handler, body: handler.server.over.wait(30), drip):
        with serving(act) as server:
            start = time.monotonic()
            with pytest.raises(EndpointError, match=r"no reply in time, at 2 attempts of at most 0\.2 s"):
                endpoint(server, timeout=0.2, attempts=2).ask(["x"])
            assert time.monotonic() - start < 3


def test_a_connection_that_breaks():
    def act(handler, body):
        handler.connection.shutdown(socket.SHUT_RDWR)

    with serving(act) as server, pytest.raises(EndpointError, match=r"the connection broke .*, at 2 attempts"):
        endpoint(server, attempts=2).ask(["x"])


def test_a_reply_without_end():
    def act(handler, body):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.over.is_set():
            handler.wfile.write(b"x" * 4096)

    with serving(act) as server, pytest.raises(EndpointError, match="the reply has more than 10000 bytes"):
        endpoint(server, most_bytes=10_000).ask(["x"])


def test_one_failure_stops_the_rest():
    def act(handler, body):
        handler.send(400, b"") if question(body) == "0" else handler.send(503, b"")

    with serving(act) as server:
        start = time.monotonic()
        with pytest.raises(EndpointError, match="status 400"):
            endpoint(server, workers=2, first_wait=20.0).ask([str(k) for k in range(50)])
        assert time.monotonic() - start < 5 and len(server.requests) < 10


def test_the_key_is_sent_and_never_shown(monkeypatch, caplog, capfd):
    monkeypatch.setenv("JUDGE_KEY", SECRET)

    def act(handler, body):
        status = int(question(body))
        handler.say("good") if status == 200 else handler.send(status, f"wrong key {SECRET}".encode())

    with serving(act) as server:
        judge = endpoint(server, key_variable="JUDGE_KEY", attempts=1)
        judge.ask(["200"])
        assert server.requests[0]["key"] == f"Bearer {SECRET}"
        errors = []
        for status in ("400", "401", "500", "302"):
            with pytest.raises(EndpointError) as caught:
                judge.ask([status])
            errors.append(str(caught.value))
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
        assert "wrong key ***" in errors[0] and "wrong key" not in errors[1]
        shown = "".join([*errors, repr(judge), str(vars(judge)), caplog.text, *capfd.readouterr()])
        assert SECRET not in shown


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_is_none(monkeypatch, key):
    monkeypatch.setenv("JUDGE_KEY", key)
    with pytest.raises(EndpointError, match="JUDGE_KEY") as caught:
        Endpoint(url="http://127.0.0.1:1/v1", model="tiny", key_variable="JUDGE_KEY").ask(["x"])
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "is no http or https address"),
        ("ftp://host/v1", "is no http or https address"),
        ("localhost:8000", "is no http or https address"),
        ("http://host:port/v1", "is no http or https address"),
        ("http://host/a b", "is no http or https address"),
        ("http://me:word@host/v1", "give keys by key_variable"),
        ("http://host/v1?key=word", "give keys by key_variable"),
    ],
)
def test_an_address_that_is_none(url, said):
    with pytest.raises(ValueError, match=said) as caught:
        Endpoint(url=url, model="tiny")
    assert "word@" not in str(caught.value) and "=word" not in str(caught.value)


@pytest.mark.parametrize("number", [{"timeout": 0.0}, {"attempts": 0}, {"workers": 0}, {"most_bytes": 0}], ids=str)
def test_numbers_out_of_range(number: dict[str, Any]):
    with pytest.raises(ValueError, match=f"{next(iter(number))} is 0"):
        Endpoint(url="http://host/v1", model="tiny", **number)


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
        judge = EndpointJudge(endpoint(server, attempts=2), template=TEMPLATE)
        there, back = 6 / 7, 3 / 8
        np.testing.assert_allclose(judge.shown(FIRSTS, SECONDS), [there, back, 2 / 3], rtol=1e-6)
        expected = (there + 1 - back) / 2
        np.testing.assert_allclose(judge(FIRSTS, SECONDS), [expected, 1 - expected, 0.5], rtol=1e-6)
        assert position_bias(judge.shown, FIRSTS, SECONDS).shown_first > 0.55
        assert position_bias(judge, FIRSTS, SECONDS).changed == 0
        assert judge.unreadable == 0
        wide = EndpointJudge(endpoint(server, attempts=2), template=TEMPLATE, tie_margin=0.4)
        assert wide(FIRSTS, SECONDS).tolist() == [0.5] * 3


@pytest.mark.parametrize("top", [None, {"Answer": -0.1}, {}])
def test_without_log_probabilities_of_labels_the_text_decides(top):
    def act(handler, body):
        first, second = shown_answers(body)
        says = "I cannot tell (12 or 21)." if first == second else f"Answer {1 + (second == 'good')}, not {2}."
        handler.say(says, top)

    with serving(act) as server:
        judge = EndpointJudge(endpoint(server, attempts=2), template=TEMPLATE)
        assert judge(FIRSTS, SECONDS).tolist() == [1, 0, 0.5]
        assert judge.unreadable == 2  # the tie, in both orders
        with pytest.raises(EndpointError, match=r"no reply has one of the labels 1, 2; one is 'I cannot tell"):
            judge(FIRSTS[2:], SECONDS[2:])
        assert judge([], []).shape == (0,)


def test_other_labels():
    with serving(lambda handler, body: handler.say("B is better than A")) as server:
        judge = EndpointJudge(endpoint(server, attempts=2), labels=("A", "B"), template=TEMPLATE)
        assert judge.shown(FIRSTS, SECONDS).tolist() == [0, 0, 0]
        with pytest.raises(ValueError, match="they must be two different words"):
            EndpointJudge(endpoint(server, attempts=2), labels=("A", " A"))


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
        found = EndpointScore(endpoint(server, attempts=2))(FIRSTS)
    np.testing.assert_allclose(found, [(mean - 5.5) / 4.5] * 3, atol=1e-6)


def test_a_reply_without_a_number_is_worth_the_middle():
    def act(handler, body):
        handler.say("no comment" if "bad" in body["messages"][0]["content"] else "10")

    with serving(act) as server:
        score = EndpointScore(endpoint(server, attempts=2))
        assert score(FIRSTS).tolist() == [1, 0, 1] and score.unreadable == 1
        with pytest.raises(EndpointError, match="no reply has one of the labels"):
            score(FIRSTS[1:2])


def test_a_dead_judge_stops_with_the_endpoint_s_error():
    dead, said = serving(lambda handler, body: handler.send(500, b"")), "status 500, at 2 attempts"
    with dead as server, pytest.raises(EndpointError, match=said):
        EndpointJudge(endpoint(server, attempts=2))(FIRSTS, SECONDS)
