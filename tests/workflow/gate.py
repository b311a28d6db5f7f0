"""What stands between the pipeline and the simulator, so that the provider can be gone without losing its tasks."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.simulator.process import Simulator

HOST = "127.0.0.1"


class Gate:
    """A port on loopback that leads to the simulator's API. While it is shut every connection is refused."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._door = self._bound(0)
        self.url = f"http://{HOST}:{self._door.getsockname()[1]}"

    def open(self) -> None:
        """Let connections through."""
        self._server = _Server(self._door, self._simulator)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def shut(self) -> None:
        """Listen no more, but keep the port."""
        port = self._door.getsockname()[1]
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._door = self._bound(port)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Shut for the length of a block."""
        self.shut()
        try:
            yield
        finally:
            self.open()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        self._door.close()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, port))
        return door


class _Server(ThreadingTCPServer):
    request_queue_size = 128

    def __init__(self, door: socket.socket, simulator: Simulator) -> None:
        super().__init__(door.getsockname(), _Passage, bind_and_activate=False)
        self.socket.close()
        self.socket, self.simulator = door, simulator
        self.server_activate()


class _Passage(BaseRequestHandler):
    """One connection: what either end says goes to the other, until one of them hangs up."""

    def handle(self) -> None:
        port = urlsplit(self.server.simulator.base_url).port
        with suppress(OSError), socket.create_connection((HOST, port)) as inner:
            other = {self.request: inner, inner: self.request}
            while True:
                for end in select(list(other), [], [])[0]:
                    said = end.recv(65536)
                    if not said:
                        return
                    other[end].sendall(said)
