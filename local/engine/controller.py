"""Start an engine and end it, with everything that it started and wrote."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from local.engine.endpoint import Endpoint
from local.ports import port_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "engine"
_ENGINE_PYTHON = ROOT / ".venv" / "engine" / "bin" / "python"
_LAMBDA_PYTHON = ROOT / ".venv" / "lambda" / "bin" / "python"
_START_SECONDS = 60
_LOG_TAIL = 4000


class EngineError(Exception):
    """The engine did not start."""


@dataclass(frozen=True)
class Options:
    """How an engine runs. `without` names differences from AWS to leave open (`local.engine.differences.NAMES`)."""

    port: int = 0
    wait_scale: float = 1.0
    auth: bool = False
    environments: int = 4
    seed: int = 0
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Launched:
    """An engine's process, address and folder."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path


def launch(options: Options, log: Path | None, *, attached: bool) -> Launched:
    """Start an engine on a free port, or the given one, and wait until it answers.

    An attached one ends with this process. The socket is bound here, so nobody else can take the port in between.
    """
    for python in (_ENGINE_PYTHON, _LAMBDA_PYTHON):
        if not python.exists():
            raise EngineError(f"{python} does not exist; `make setup` creates the environments")
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", options.port))
        except OSError as fault:
            raise EngineError(port_problem(options.port, fault, "choose another, or 0 for any free one")) from fault
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        BUILD.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
        log = log or folder / "engine.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(options, bound.fileno(), folder, attached=attached),
                cwd=ROOT,
                # Nothing of the caller's: neither credentials nor proxies, nor what slows down Python's imports.
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[bound.fileno()],
                start_new_session=True,
            )
    launched = Launched(process, url, folder)
    try:
        _await(launched, log)
    except BaseException:
        end(launched)
        raise
    return launched


def _command(options: Options, descriptor: int, folder: Path, *, attached: bool) -> list[str]:
    command = [str(_ENGINE_PYTHON), "-m", "local.engine.server"]
    command += ["--socket", str(descriptor), "--folder", str(folder), "--lambda-python", str(_LAMBDA_PYTHON)]
    command += ["--environments", str(options.environments), "--seed", str(options.seed)]
    command += ["--wait-scale", str(options.wait_scale)]
    command += ["--auth"] * options.auth + ["--attached"] * attached
    return [*command, "--without", *options.without]


def _await(launched: Launched, log: Path) -> None:
    endpoint = Endpoint(launched.url)
    deadline = time.monotonic() + _START_SECONDS
    while not endpoint.healthy():
        code = launched.process.poll()
        if code is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-_LOG_TAIL:]
            how = f"ended with code {code}" if code is not None else f"did not answer in {_START_SECONDS} seconds"
            raise EngineError(f"the engine {how}; the end of its log:\n{tail}")
        time.sleep(0.02)


def end(launched: Launched) -> None:
    """End an engine that this process launched."""
    kill(launched.process.pid)
    launched.process.wait()
    shutil.rmtree(launched.folder, ignore_errors=True)
    if launched.process.stdin:
        launched.process.stdin.close()


def kill(group: int) -> None:
    """End the engine's process group, which its workers belong to. It keeps nothing that would have to be saved."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


class Engine(Endpoint):
    """An engine for the length of a `with` block."""

    def __init__(
        self,
        port: int = 0,
        *,
        wait_scale: float = 1.0,
        auth: bool = False,
        environments: int = 4,
        seed: int = 0,
        without: Sequence[str] = (),
        log_path: Path | None = None,
    ) -> None:
        super().__init__("")
        self._options = Options(port, wait_scale, auth, environments, seed, without)
        self._log = log_path
        self._launched: Launched | None = None

    def start(self) -> Self:
        """Start the engine; it ends with `stop`, or with this process however that ends."""
        self._launched = launch(self._options, self._log, attached=True)
        self.endpoint = self._launched.url
        return self

    def stop(self) -> None:
        """End the engine."""
        if self._launched:
            end(self._launched)
            self._launched = None

    @property
    def pid(self) -> int:
        """The engine's process id, which is also the id of the group that its workers belong to."""
        if not self._launched:
            raise EngineError("the engine is not running")
        return self._launched.process.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
