"""What the commands of this folder share: one console, and one way to end."""

from __future__ import annotations

import argparse
import math
import signal
import time
from typing import TYPE_CHECKING

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local.engine.controller import EngineError
from local.engine.sam import DeployError
from local.simulator.process import SimulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

# What can go wrong around the pipeline; a fault in the code itself still shows its traceback.
_FAULTS = (EngineError, SimulatorError, DeployError, BotoCoreError, ClientError, httpx.HTTPError, OSError)
_INTERRUPTED = 130  # what shells report for a command that Ctrl-C has ended


class CommandError(Exception):
    """The command cannot do what it was asked to; the text tells the user why."""


def make_console() -> Console:
    """A console that prints texts as they are: file names and prompts may look like markup."""
    return Console(markup=False, emoji=False, highlight=False)


def run(console: Console, command: Callable[[], int]) -> int:
    """Run a command and return its exit code. A fault is one readable message; Ctrl-C and SIGTERM an orderly end."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command()
    except (CommandError, *_FAULTS) as problem:
        console.print(str(problem) or type(problem).__name__, style="red", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; everything that was started has ended.")
        return _INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stopwatch(console: Console) -> Callable[[str], None]:
    """Something to say steps to: each is printed with the seconds since now."""
    began = time.monotonic()

    def say(step: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {step}")

    return say


def seconds(text: str) -> float:
    """A command line argument: seconds, zero or more."""
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds of zero or more")
    return value


def add_simulator_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how long the simulator takes."""
    parser.add_argument("--task-seconds", type=seconds, default=3.0, help="time the simulator paints (default: 3)")
    parser.add_argument(
        "--queue-seconds", type=seconds, default=1.0, help="time the simulator lets a task queue (default: 1)"
    )
