"""`python -m local.simulator`: both hosts on loopback until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from local.ports import port, port_problem
from local.simulator.app import Settings, World, simulator_app
from local.simulator.files import FileStore
from local.simulator.wire import CuttableProtocol

HOST = "127.0.0.1"


class Server(uvicorn.Server):
    """uvicorn that says when it listens, and can end with its parent."""

    def __init__(self, config: uvicorn.Config, greeting: str, *, die_with_parent: bool) -> None:
        super().__init__(config)
        self._greeting, self._die_with_parent = greeting, die_with_parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then write the one line that a caller waits for."""
        await super().startup(sockets)
        if self._die_with_parent:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._parent_spoke)
        sys.stdout.write(self._greeting + "\n")
        sys.stdout.flush()

    def _parent_spoke(self) -> None:
        """A parent holds the other end of our stdin; however it dies, that end is closed and we read nothing."""
        if not os.read(sys.stdin.fileno(), 1024):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.should_exit = True


def main(arguments: list[str] | None = None) -> None:
    """Serve until told to end."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log the signed URLs of references
    settings = Settings(
        options.queue_seconds,
        options.task_seconds,
        options.jitter,
        options.seed,
        options.api_key,
        options.paint,
        options.submits_per_second,
        options.submits_burst,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again once all is closed
    with (
        _listener(options.port, "choose another with --port, or make simulator PORT=...") as api,
        _listener(options.files_port, "choose another with --files-port, or make simulator FILES_PORT=...") as files,
        TemporaryDirectory(prefix="toapis-simulator-") as folder,
    ):
        api_url, files_url = (f"http://{HOST}:{listener.getsockname()[1]}" for listener in (api, files))
        world = World(settings, FileStore(files_url, Path(folder)))
        app = simulator_app(world, files.getsockname()[1])
        config = uvicorn.Config(
            app, http=CuttableProtocol, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        greeting = f"ToAPIs simulator ready: base_url={api_url} files_url={files_url} api_key={settings.api_key}"
        server = Server(config, greeting, die_with_parent=options.die_with_parent)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[api, files])


def _listener(number: int, way_out: str) -> socket.socket:
    # Named as TCP, else asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, number))
        listener.listen()  # with SO_REUSEADDR only this finds out that another one is bound and about to listen
    except OSError as fault:
        listener.close()
        sys.exit(port_problem(number, fault, way_out))
    return listener


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description="A local ToAPIs on 127.0.0.1.")
    parser.add_argument("--port", type=port, default=0, help="port of the API host (0: any free one)")
    parser.add_argument("--files-port", type=port, default=0, help="port of the file host (0: any free one)")
    parser.add_argument("--queue-seconds", type=float, default=default.queue_seconds, help="time a task is queued")
    parser.add_argument("--task-seconds", type=float, default=default.task_seconds, help="time a task is in progress")
    parser.add_argument(
        "--jitter", type=float, default=default.jitter, help="fraction by which both times vary, 0 to 1"
    )
    parser.add_argument("--seed", type=int, help="makes ids and jitter repeatable")
    parser.add_argument("--api-key", default=default.api_key, help="the key that clients must send")
    parser.add_argument(
        "--no-paint", dest="paint", action="store_false", help="copies of one picture: for thousands of tasks"
    )
    parser.add_argument("--submits-per-second", type=float, help="submits beyond this rate get 429 (default: no limit)")
    parser.add_argument(
        "--submits-burst", type=int, default=default.submits_burst, help="submits that may come at once before that"
    )
    parser.add_argument("--die-with-parent", action="store_true", help="end when stdin is closed")
    return parser


if __name__ == "__main__":
    main()
