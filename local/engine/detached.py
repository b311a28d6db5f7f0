"""An engine that outlives the command that started it, recorded in a file."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from local.engine.controller import BUILD, Options, kill, launch

STATE = BUILD / "state.json"


def log(state: Path = STATE) -> Path:
    """The engine's log, beside the file that records the engine. It stays until the next engine starts."""
    return state.with_name("engine.log")


@dataclass(frozen=True)
class Running:
    """The recorded engine."""

    pid: int
    endpoint: str
    folder: str


def running(state: Path = STATE) -> Running | None:
    """The recorded engine, when it is still alive.

    It holds a lock in its folder for as long as it lives, so a process id that went to somebody else is never taken for
    it.
    """
    try:
        recorded = Running(**json.loads(state.read_text()))
        with (Path(recorded.folder) / "alive").open() as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return recorded
    return None


def start(options: Options, state: Path = STATE) -> Running:
    """Start the engine; one that runs already stays as it is."""
    present = running(state)
    if present:
        return present
    launched = launch(options, log(state), attached=False)
    started = Running(launched.process.pid, launched.url, str(launched.folder))
    state.write_text(json.dumps(asdict(started), indent=2) + "\n")
    return started


def stop(state: Path = STATE) -> bool:
    """End the engine and forget it, but for its log. False when none was running."""
    present = running(state)
    if present:
        folder = Path(present.folder)
        with (folder / "alive").open() as alive:
            kill(present.pid)
            fcntl.flock(alive, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
    state.unlink(missing_ok=True)
    return present is not None
