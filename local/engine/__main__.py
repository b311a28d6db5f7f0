"""python -m local.engine start | reset | stop | status."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.engine import detached
from local.engine.controller import EngineError, Options
from local.engine.endpoint import Endpoint
from local.ports import port


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _start(options: argparse.Namespace) -> int:
    try:
        started = detached.start(Options(options.port, options.wait_scale, options.auth), options.state)
    except (EngineError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    _say(f"engine {started.pid} at {started.endpoint}, log in {detached.log(options.state)}")
    return 0


def _reset(options: argparse.Namespace) -> int:
    present = detached.running(options.state)
    if not present:
        _say("no engine is running")
        return 1
    Endpoint(present.endpoint).reset()
    _say(f"engine {present.pid} at {present.endpoint} is empty")
    return 0


def _stop(options: argparse.Namespace) -> int:
    stopped = detached.stop(options.state)
    _say(f"engine stopped, its log stays in {detached.log(options.state)}" if stopped else "no engine is running")
    return 0


def _status(options: argparse.Namespace) -> int:
    present = detached.running(options.state)
    _say(f"engine {present.pid} at {present.endpoint}" if present else "no engine is running")
    return 0 if present else 1


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m local.engine", description="The local engine.")
    parser.add_argument("--state", type=Path, default=detached.STATE, help="file that records the engine")
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("start", help="start the engine; it stays when the command ends")
    start.add_argument("--port", type=port, default=0, help="loopback port (0, the default: any free one)")
    start.add_argument(
        "--wait-scale", type=float, default=1.0, help="factor on workflow waits, retries and time limits"
    )
    start.add_argument("--auth", action="store_true", help="enforce IAM")
    start.set_defaults(run=_start)
    for name, run, text in (
        ("reset", _reset, "forget all resources and data"),
        ("stop", _stop, "end the engine and all its functions"),
        ("status", _status, "say whether it runs and where"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
