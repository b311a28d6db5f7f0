"""The simulator as a child process, for tests and tools."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from select import select
from typing import IO, TYPE_CHECKING, Any, Self, cast

import httpx

if TYPE_CHECKING:
    from types import TracebackType

    from local.simulator.tasks import TaskRecord
    from local.simulator.uploads import UploadRecord

_ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r"base_url=(\S+) files_url=(\S+) api_key=(\S+)")
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class SimulatorError(RuntimeError):
    """The simulator did not start, or did not understand."""


class Simulator:
    """`with Simulator(task_seconds=1.0) as simulator:` runs `python -m local.simulator` on free loopback ports.

    `base_url`, `files_url`, `api_key` and `pid` are there once it has started. It ends with the block, and also when
    this process dies. Its log (no prompts, keys or query strings) goes to `log`, or to a file that ends with it.
    Without `paint` every picture is a copy with bytes of its own: for thousands of tasks. Submits have no limit when
    `submits_per_second` is None, else that rate after a burst of `submits_burst`; what is beyond it gets 429.
    """

    base_url: str
    files_url: str
    api_key: str
    pid: int

    def __init__(
        self,
        *,
        queue_seconds: float = 0.2,
        task_seconds: float = 1.0,
        jitter: float = 0.0,
        seed: int | None = None,
        api_key: str = "sk-simulator",
        port: int = 0,
        files_port: int = 0,
        paint: bool = True,
        submits_per_second: float | None = None,
        submits_burst: int = 5,
        log: Path | None = None,
    ) -> None:
        options = {
            "queue-seconds": queue_seconds,
            "task-seconds": task_seconds,
            "jitter": jitter,
            "seed": seed,
            "api-key": api_key,
            "port": port,
            "files-port": files_port,
            "submits-per-second": submits_per_second,
            "submits-burst": submits_burst,
        }
        given = [f"--{name}={value}" for name, value in options.items() if value is not None]
        self._command = [sys.executable, "-m", "local.simulator", "--die-with-parent", *given]
        self._command += [] if paint else ["--no-paint"]
        self._log_path = log
        self._log: IO[bytes] | None = None
        self._running = ExitStack()

    def start(self) -> Self:
        """Start and wait until it listens."""
        with ExitStack() as starting:
            opened = self._log_path.open("w+b") if self._log_path else tempfile.TemporaryFile()  # noqa: SIM115
            self._log = starting.enter_context(opened)
            process = subprocess.Popen(
                self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
            starting.callback(_end, process)
            self.pid = process.pid
            self.base_url, self.files_url, self.api_key = self._greeting(process)
            self._client = starting.enter_context(httpx.Client(base_url=self.base_url, timeout=30, trust_env=False))
            self._running = starting.pop_all()
        return self

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        self._running.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def tasks(self) -> list[TaskRecord]:
        """Every task in order of arrival: each one would have been paid for."""
        return cast("list[TaskRecord]", self._control("GET", "tasks")["tasks"])

    def uploads(self) -> list[UploadRecord]:
        """Every upload whose file was read, in order of arrival."""
        return cast("list[UploadRecord]", self._control("GET", "uploads")["uploads"])

    def fault(self, name: str, **how: Any) -> None:
        """Arm a fault: `times` (None: always) and `value`, each the fault's own default when left out."""
        self._control("POST", "faults", {"name": name, **how})

    def faults(self) -> list[dict[str, Any]]:
        """Every fault there is: name, hook, description, times, value, and the values it knows if not any."""
        return cast("list[dict[str, Any]]", self._control("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._control("DELETE", "faults")

    def health(self) -> dict[str, Any]:
        """Counts: tasks, submits_refused (by `submits_per_second`), keys_sent_to_files, reused_connections."""
        return self._control("GET", "health")

    def change_key(self, api_key: str) -> None:
        """Take this key from now on; the one before gets 401. It outlives a reset."""
        self._control("PUT", "key", {"api_key": api_key})
        self.api_key = api_key

    def reset(self) -> None:
        """Forget tasks, uploads, faults and files; submits have their whole burst again."""
        self._control("POST", "reset")

    def log_text(self) -> str:
        """What it has logged so far."""
        if self._log is None or self._log.closed:
            return ""
        # The child writes through the same open file: read without moving its position.
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def _control(self, method: str, name: str, body: object = None) -> dict[str, Any]:
        answer = self._client.request(method, f"/_simulator/{name}", json=body)
        if answer.is_error:
            raise SimulatorError(answer.text)
        return cast("dict[str, Any]", answer.json())

    def _greeting(self, process: subprocess.Popen[bytes]) -> tuple[str, str, str]:
        pipe = process.stdout
        if pipe is None or not select([pipe], [], [], _START_SECONDS)[0]:
            raise SimulatorError(f"the simulator did not start within {_START_SECONDS:.0f} s:\n{self.log_text()}")
        ready = _READY.search(pipe.readline().decode())
        if ready is None:
            process.wait(_STOP_SECONDS)
            raise SimulatorError(f"the simulator ended while it started:\n{self.log_text()}")
        return ready[1], ready[2], ready[3]


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes the pipes and waits
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
