"""A new route of a server in one file: an ASGI application (3.0) without dependencies that answers with `generate`."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from culet.lm import Decoder, Tokenizer, generate
from tests.lm.small import Letters, small

Message = dict[str, Any]


def application(model: Decoder, tokenizer: Tokenizer) -> Callable[..., Coroutine[Any, Any, None]]:
    """`POST /complete` with `{"prompts": [...], "max_new_tokens": n}` gives `{"completions": [...]}`."""

    def respond(body: bytes) -> tuple[int, Message]:
        try:
            asked = json.loads(body)
            completions = generate(model, tokenizer, asked["prompts"], max_new_tokens=asked.get("max_new_tokens", 16))
        except (KeyError, TypeError, ValueError) as problem:
            return 400, {"error": f"{type(problem).__name__}: {problem}"}
        return 200, {"completions": [{"text": c.text, "finish": c.finish} for c in completions]}

    async def app(scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if (scope["type"], scope["method"], scope["path"]) != ("http", "POST", "/complete"):
            status, answer = 404, {"error": f"no route for {scope['method']} {scope['path']}"}
        else:
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            status, answer = await asyncio.to_thread(respond, body)  # the loop stays free for others
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return app


def call(app: Callable[..., Coroutine[Any, Any, None]], path: str, *pieces: bytes) -> tuple[int, Message]:
    """A request whose body comes in pieces, in this process."""
    incoming = [
        {"type": "http.request", "body": piece, "more_body": i < len(pieces)} for i, piece in enumerate(pieces, start=1)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "POST", "path": path, "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(b"".join(message["body"] for message in sent[1:]))


def test_the_route_answers_as_generate_does():
    model, tokenizer = small("gemma-2-2b"), Letters()
    app, prompts = application(model, tokenizer), ["a", "abcabc", "ccb"]
    wanted = generate(model, tokenizer, prompts, max_new_tokens=24)
    body = json.dumps({"prompts": prompts, "max_new_tokens": 24}).encode()
    status, answer = call(app, "/complete", body[:7], body[7:])
    assert status == 200
    assert answer == {"completions": [{"text": c.text, "finish": c.finish} for c in wanted]}
    assert call(app, "/complete", b'{"prompts": [""], "max_new_tokens": 0}')[0] == 400
    status, answer = call(app, "/complete", b"[")
    assert status == 400 and answer["error"].startswith("JSONDecodeError: Expecting value")
    assert call(app, "/other", b"") == (404, {"error": "no route for POST /other"})
