"""A web server on loopback that answers as it is told and remembers how it was asked."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Asked:
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int  # of the client, one for each connection


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body, which is made JSON when it is no bytes. No status: hang up instead.

    It has no headers but these and a length; no Date above all.
    """

    status: int | None = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # announced instead of the true one; -1 announces none
    keep_open: bool = False
    drips: str = ""  # "body": a little more of it every now and then, without end; "flood": much of it

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = not self.keep_open
        if self.status is None:
            return
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        handler.send_response_only(self.status)
        length = len(content) if self.length is None else self.length
        for name, value in {**self.headers, **({"Content-Length": str(length)} if length >= 0 else {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


class Scripted:
    """Give ``answer``; every request gets it, or the one for its path. A silent one reads it and never answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer = Answer()
        self.by_path: dict[str, Answer] = {}
        self.silent = False
        self.asked: list[Asked] = []
        self.closing = threading.Event()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has hung up: some tests are about that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[Scripted]:
    """Run one on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body, self.client_address[1])
            script.asked.append(asked)
            if script.silent:
                script.closing.wait()
                self.close_connection = True
                return
            answer = script.by_path.get(self.path, script.answer)
            answer.send(self)
            if answer.drips:
                self.drip(answer.drips)

        def drip(self, part: str) -> None:
            self.close_connection = True
            piece, pause = (b" " * 65_536, 0.0) if part == "flood" else (b" ", 0.01)
            while not script.closing.wait(pause):
                try:
                    self.wfile.write(piece)
                except OSError:  # the other side has hung up
                    return

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = _Server(("127.0.0.1", 0), Handler)
    script = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        script.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
