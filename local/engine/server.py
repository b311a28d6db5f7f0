"""The engine's own process: MiniStack on a loopback socket that it was handed, with the differences closed.

Runs in the engine's environment. Everything it writes lies in one folder; it ends with all its workers when its parent
does.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import importlib
import os
import resource
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local.engine.differences import NAMES, Settings

MINISTACK_VERSION = "1.5.33"
LOOPBACK = "127.0.0.1"
# The keys of the service names as MiniStack spells them; no other service can be reached, so none can open a listener.
SERVICES = (
    "cloudformation",
    "dynamodb",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "states",
    "sts",
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a bound loopback socket")
    parser.add_argument("--folder", type=Path, required=True, help="folder that belongs to this engine")
    parser.add_argument("--lambda-python", type=Path, required=True, help="interpreter that has awslambdaric")
    parser.add_argument("--environments", type=int, required=True, help="environments per function")
    parser.add_argument("--seed", type=int, required=True, help="seed of the retry jitter")
    parser.add_argument("--wait-scale", type=float, required=True, help="factor on waits, retries and time limits")
    parser.add_argument("--auth", action="store_true", help="enforce IAM")
    parser.add_argument("--attached", action="store_true", help="end when standard input does")
    parser.add_argument("--without", nargs="*", choices=NAMES, default=[], help="differences to leave open")
    return parser.parse_args()


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.bind" and isinstance(arguments[1], tuple) and arguments[1][0] != LOOPBACK:
        raise PermissionError(f"the engine listens on {LOOPBACK} only, not on {arguments[1][0]}")


def _end_with_parent(folder: Path) -> None:
    """Wait for the end of standard input, then end this process group and remove its folder.

    The parent holds the other end open for as long as it lives, however it dies. What kills the group stays out of it.
    """
    while os.read(0, 1):
        continue
    command = 'kill -9 "-$1"; rm -rf -- "$2"'
    subprocess.Popen(["/bin/sh", "-c", command, "sh", str(os.getpgrp()), str(folder)], start_new_session=True)


def _configure(options: argparse.Namespace, port: int) -> None:
    """MiniStack reads its settings from the environment when it is imported."""
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST=LOOPBACK,
        MINISTACK_HOST=LOOPBACK,
        AWS_ENDPOINT_URL=f"http://{LOOPBACK}:{port}",
        SERVICES=",".join(SERVICES),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LAMBDA_EXECUTOR="local",
        LAMBDA_ACCOUNT_CONCURRENCY="0",
        SFN_WAIT_SCALE=str(options.wait_scale),
        AUTH="true" if options.auth else "false",
        TMPDIR=str(options.folder / "tmp"),
        S3_DATA_DIR=str(options.folder / "s3"),
        STATE_DIR=str(options.folder / "state"),
        HOME=str(options.folder),
    )


def _serve(descriptor: int) -> None:
    """Serve until the process is ended. Every connection takes a descriptor, hence the raised limit."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(app, config))


def main() -> None:
    """Run the engine."""
    options = _arguments()
    if version("ministack") != MINISTACK_VERSION:
        sys.exit(f"The engine is written for MiniStack {MINISTACK_VERSION}, this is {version('ministack')}.")
    sys.addaudithook(_loopback_only)
    (options.folder / "tmp").mkdir(parents=True, exist_ok=True)
    if options.attached:
        threading.Thread(target=_end_with_parent, args=(options.folder,), daemon=True).start()
    with socket.socket(fileno=os.dup(options.socket)) as bound:
        _configure(options, bound.getsockname()[1])
    settings = Settings(options.lambda_python, options.folder, options.environments, options.seed)
    for name in NAMES:
        if name not in options.without:
            importlib.import_module(f"local.engine.differences.{name}").close(settings)
    with (options.folder / "alive").open("w") as alive:
        # Held until this process is gone: it tells others that the recorded process id is still this engine's.
        fcntl.flock(alive, fcntl.LOCK_EX)
        _serve(options.socket)


if __name__ == "__main__":
    main()
