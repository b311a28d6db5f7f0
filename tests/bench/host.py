"""A host of pictures of any size on loopback, in a process of its own: `python -m tests.bench.host`."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import httpx

from local.engine.controller import ROOT
from tests.samples import picture

_HEAD, _END = picture(), b"\0\0\0\0IEND\xaeB`\x82"
_BLOCK = memoryview(bytes(256 * 1024))
_DRIP_SECONDS = 0.05  # between two bytes


class PictureHost:
    """The process, for the length of a `with` block."""

    url: str

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench.host"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def link(self, size: int) -> str:
        """To a picture of so many bytes."""
        return f"{self.url}/{size}/whole.png"

    def dripping_link(self, size: int) -> str:
        """To one that comes a byte at a time until ``end_drips``."""
        return f"{self.url}/{size}/drip.png"

    def end_drips(self) -> None:
        """From now on all bytes come at once."""
        httpx.get(f"{self.url}/end").raise_for_status()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ended = threading.Event()

    def do_GET(self) -> None:
        _, first, *rest = self.path.split("/")
        if first == "end":
            self.ended.set()
        size = 0 if first == "end" else int(first)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if size:
            self._send_picture(size, drips=rest == ["drip.png"])

    def _send_picture(self, size: int, *, drips: bool) -> None:
        self.connection.sendall(_HEAD)
        left = size - len(_HEAD) - len(_END)
        while drips and left and not self.ended.wait(_DRIP_SECONDS):
            self.connection.sendall(_BLOCK[:1])
            left -= 1
        while left:
            sent = min(left, len(_BLOCK))
            self.connection.sendall(_BLOCK[:sent])
            left -= sent
        self.connection.sendall(_END)

    def log_message(self, *_: object) -> None:
        """Nothing: a line for each request would be in the way."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().server_bind()


def main() -> None:
    """Serve until standard input ends, as it does when the parent does."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
