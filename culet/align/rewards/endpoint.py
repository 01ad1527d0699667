"""A judge behind an OpenAI-compatible endpoint: which of two answers is better, or how good one is from 1 to 10.

`Endpoint` is the client: one short question each, one reply or one clear error.

Axis letters: B answers or pairs.
"""

import http.client
import json
import math
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float

from culet.align.rewards.answer import Answer
from culet.align.rewards.judge import (
    PAIR_INSTRUCTION,
    PAIR_TEMPLATE,
    SCORE_INSTRUCTION,
    SCORE_TEMPLATE,
    SCORES,
    PairQuestions,
    ScoreQuestions,
)
from culet.align.rewards.preference import both_orders, checked_margin

LONGEST_WAIT = 30.0  # seconds between two attempts, at most
TOP = 20  # how many of the likeliest first tokens are asked for: the most that the interface allows
_AGAIN = (408, 409, 425, 429)  # statuses that pass, beside all from 500


class EndpointError(RuntimeError):
    """An endpoint that gives no usable reply; the message says which, why and what to do."""


class Reply(NamedTuple):
    """What an endpoint said, and what else its first token could have been, if it tells."""

    text: str
    first: tuple[tuple[str, float], ...]  # tokens and their log-probabilities; empty where they are not offered


class _Passing(Exception):
    """What may be gone at the next attempt. Its text becomes part of an `EndpointError`."""


class Endpoint:
    """Asks `url`/chat/completions, at temperature 0, at most `workers` questions at a time.

    `url` is the interface's base, such as "http://localhost:8000/v1". The key, if any, is read from the environment
    variable `key_variable` at each call; it is kept nowhere, and taken out of whatever an error quotes. No redirect is
    followed, as it would carry the key elsewhere. Each attempt may take `timeout` seconds, and a reply may have
    `most_bytes` bytes. Timeouts, broken connections, replies that are no chat completion, and the statuses 408, 409,
    425, 429 and 5xx are tried again, `attempts` times in all, after `first_wait` seconds, then twice that, and so on up
    to 30.
    With `logprobs` the likeliest first tokens are asked for; say False to a server that refuses the field.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key_variable: str | None = None,
        logprobs: bool = True,
        timeout: float = 60.0,
        attempts: int = 5,
        first_wait: float = 1.0,
        most_bytes: int = 1 << 20,
        workers: int = 8,
    ):
        """Raises ValueError for numbers out of range and for what is no http(s) address."""
        numbers = {"timeout": timeout, "attempts": attempts, "most_bytes": most_bytes, "workers": workers}
        for name, value in numbers.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be positive")
        if not 0 <= first_wait < float("inf"):
            raise ValueError(f"first_wait is {first_wait}; it must be 0 or more seconds")
        self.url, self.model, self.key_variable, self.logprobs = _checked_url(url), model, key_variable, logprobs
        self.timeout, self.attempts, self.first_wait = timeout, attempts, first_wait
        self.most_bytes, self.workers = most_bytes, workers
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, questions: Sequence[str], *, new_tokens: int = 4) -> list[Reply]:
        """A reply to each question, in their order. The first failure stops the rest and raises `EndpointError`."""
        stop = threading.Event()
        with ThreadPoolExecutor(self.workers) as pool:
            asked = [pool.submit(self._ask, question, new_tokens, stop) for question in questions]
            try:
                done, _ = wait(asked, return_when=FIRST_EXCEPTION)
                if failed := next((future for future in done if future.exception()), None):
                    failed.result()
                return [future.result() for future in asked]
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _ask(self, question: str, new_tokens: int, stop: threading.Event) -> Reply:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": new_tokens,
        }
        if self.logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP}
        key = self._key()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        problem = ""
        for attempt in range(self.attempts):
            if attempt and stop.wait(min(self.first_wait * 2 ** (attempt - 1), LONGEST_WAIT)):
                break
            try:
                return _parsed(self._fetch(request, key))
            except _Passing as passing:
                problem = str(passing)
        raise EndpointError(
            f"{self.url}: {problem}, at {self.attempts} attempts of at most {self.timeout:g} s; is the server up, and "
            "does it serve this interface? Raise attempts or timeout if it is only busy"
        )

    def _fetch(self, request: urllib.request.Request, key: str | None) -> bytes:
        """The body of the reply. Nothing of the library's own errors is shown: they can quote headers."""
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return self._read(response)
        except urllib.error.HTTPError as error:
            with error:
                said = "" if error.code in (401, 403) else _excerpt(error, key)
            if error.code in _AGAIN or error.code >= 500:
                raise _Passing(f"status {error.code}{said}") from None
            raise EndpointError(f"{self.url}: status {error.code}{said}; {self._advice(error.code)}") from None
        except TimeoutError:
            raise _Passing("no reply in time") from None
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            reason = getattr(error.reason, "strerror", None) or type(error.reason).__name__
            raise _Passing("no reply in time" if late else f"no connection ({reason})") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(f"the connection broke ({type(error).__name__})") from None

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        """All of a reply, within the bounds on its time and size."""
        until, parts, size = time.monotonic() + self.timeout, [], 0
        while part := response.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > self.most_bytes:
                raise EndpointError(
                    f"{self.url}: the reply has more than {self.most_bytes} bytes; this is no chat completion, or "
                    "most_bytes is too small"
                )
            if time.monotonic() > until:
                raise TimeoutError
        return b"".join(parts)

    def _key(self) -> str | None:
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise EndpointError(f"{self.url}: the environment variable {self.key_variable} with the key is not set")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise EndpointError(
                f"{self.url}: what {self.key_variable} holds is no key: it has odd characters or spaces"
            )
        return key

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            return f"set the key: key_variable names {self.key_variable or 'no environment variable'}"
        if 300 <= status < 400:
            return "it redirects, which is not followed; give the address it redirects to"
        if status == 404:
            return f"url must be the base before /chat/completions, and {self.model!r} a model that it serves"
        return "it refuses the request; if it does not know logprobs, say logprobs=False"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable, parts = False, urlsplit("")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("the endpoint's url holds a name, password, query or fragment; give keys by key_variable")
    if not usable or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError(f"{url!r} is no http or https address, such as http://localhost:8000/v1")
    return url.rstrip("/") + "/chat/completions"


def _excerpt(error: urllib.error.HTTPError, key: str | None) -> str:
    """The beginning of what the server says of its refusal, on one line, without the key."""
    try:
        said = " ".join(error.read(2000).decode("utf-8", "replace").split())
    except (OSError, http.client.HTTPException):
        return ""
    said = said.replace(key, "***") if key else said
    return f" ({said[:200]!r})" if said else ""


def _parsed(body: bytes) -> Reply:
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
        content = (choice.get("logprobs") or {}).get("content") or [{}]
        first = tuple((str(top["token"]), float(top["logprob"])) for top in content[0].get("top_logprobs") or ())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Passing("the reply is not the JSON of a chat completion") from None
    if not isinstance(text, str):
        raise _Passing("the reply holds no text")
    return Reply(text, first)


class EndpointJudge:
    """Prefers the answer whose label an endpoint's model would rather write; both orders are averaged.

    Where the reply has the log-probabilities of its first token, the probability of the first label is its fraction of
    those of both; else, or where neither label is among the likeliest tokens, the first label in the reply's text wins
    for certain. A reply without a label is a tie, 0.5, and counts in `unreadable`. Templates and ties are as for
    `ModelJudge`. Calls raise `EndpointError` as `Endpoint` does, and where no reply of a call has a label.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        instruction: str = PAIR_INSTRUCTION,
        template: str = PAIR_TEMPLATE,
        labels: tuple[str, str] = ("1", "2"),
        tie_margin: float = 0.0,
    ):
        """Raises ValueError for a template without its places or with others, equal or empty labels, and the margin."""
        self.ask = PairQuestions(instruction, template)
        if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
            raise ValueError(f"the labels are {labels[0]!r} and {labels[1]!r}; they must be two different words")
        self.endpoint, self.tie_margin = endpoint, checked_margin(tie_margin)
        self.labels = tuple(label.strip() for label in labels)
        self.unreadable = 0  # replies without a label so far

    def __call__(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The probability that the first of each pair is better, over both orders."""
        return both_orders(self.shown, firsts, seconds, tie_margin=self.tie_margin)

    def shown(self, firsts: Sequence[Answer], seconds: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """The same in the one order in which they are given: what `position_bias` measures."""
        replies = _replies(self.endpoint, self.ask(firsts, seconds), self.labels)
        self.unreadable += sum(masses is None for masses in replies)
        return np.array([0.5 if masses is None else masses[0] for masses in replies], np.float32)


class EndpointScore:
    """A reward: how good an endpoint's model finds an answer, the mean of 1 to 10, as -1 to 1.

    The sum of i P(i), less 5.5, over 4.5, with the P(i) of the reply's first token where the endpoint offers them, else
    the first number from 1 to 10 in its text. Where numbers are written digit by digit, the mass of "1" is that of 10
    if the reply begins with "10", else that of 1. A reply without a number is worth 0, the middle, and counts in
    `unreadable`. The template is as for `ModelScore`; calls raise as those of `EndpointJudge`.
    """

    def __init__(self, endpoint: Endpoint, *, instruction: str = SCORE_INSTRUCTION, template: str = SCORE_TEMPLATE):
        """Raises ValueError for a template without its places or with others."""
        self.endpoint, self.ask = endpoint, ScoreQuestions(instruction, template)
        self.unreadable = 0  # replies without a number so far

    def __call__(self, answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        """One score from -1 to 1 per answer."""
        replies = _replies(self.endpoint, self.ask(answers), SCORES)
        self.unreadable += sum(masses is None for masses in replies)
        means = [5.5 if masses is None else float(np.dot(masses, np.arange(1, 11))) for masses in replies]
        return ((np.array(means) - 5.5) / 4.5).astype(np.float32)


def _replies(endpoint: Endpoint, texts: Sequence[str], labels: Sequence[str]) -> list[list[float] | None]:
    """The probability of each label in each reply, None where a reply has none."""
    replies = endpoint.ask(texts)
    by_label = [_masses(reply, labels) for reply in replies]
    if replies and not any(by_label):
        raise EndpointError(
            f"{endpoint.url}: no reply has one of the labels {', '.join(labels)}; one is {replies[0].text[:60]!r}. Say "
            "in the template what to reply with, or take another model"
        )
    return by_label


def _masses(reply: Reply, labels: Sequence[str]) -> list[float] | None:
    written = _written(reply.text, labels)
    masses = dict.fromkeys(labels, 0.0)
    for token, logprob in reply.first:
        if (label := token.strip()) in masses:
            masses[label] += math.exp(min(logprob, 0.0))
    if written is not None and reply.first and masses[written] == 0 and reply.text.strip().startswith(written):
        begun = next((label for label in labels if written.startswith(label) and masses[label] > 0), None)
        if begun is not None:  # "10" that was written as "1" and "0"
            masses[written], masses[begun] = masses[begun], 0.0
    total = sum(masses.values())
    if total > 0:
        return [masses[label] / total for label in labels]
    return None if written is None else [float(label == written) for label in labels]


def _written(text: str, labels: Sequence[str]) -> str | None:
    """The label that stands first in the text as a word of its own."""
    longest = sorted(labels, key=len, reverse=True)
    label = re.search(r"(?<!\w)(?:" + "|".join(map(re.escape, longest)) + r")(?!\w)", text)
    return label[0] if label else None
