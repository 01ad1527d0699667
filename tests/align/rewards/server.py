"""A chat endpoint on this machine that does what a test tells it to."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Calls `act` with each handler and request body; keeps the requests, and the most that ran at once."""

    daemon_threads = True

    def __init__(self, act: Callable[["Handler", dict[str, Any]], None]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.act, self.requests, self.lock = act, [], threading.Lock()
        self.running = self.most_running = 0
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """Clients that hang up are what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Any  # a Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
            self.server.running += 1
            self.server.most_running = max(self.server.most_running, self.server.running)
        self.counted = True
        try:
            self.server.act(self, body)
        finally:
            self.leave()

    def leave(self) -> None:
        """Counts no longer: before the last byte is sent, for with it the client may begin the next request."""
        with self.server.lock:
            self.server.running -= self.counted
            self.counted = False

    def say(self, text: str | None, top: dict[str, float] | None = None) -> None:
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        if top is not None:
            tokens = [{"token": token, "logprob": logprob} for token, logprob in top.items()]
            choice["logprobs"] = {"content": [{"token": "?", "top_logprobs": tokens}]}
        self.send(200, json.dumps({"choices": [choice]}).encode())

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.leave()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


@contextlib.contextmanager
def serving(act: Callable[[Handler, dict[str, Any]], None]) -> Iterator[Server]:
    server = Server(act)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
