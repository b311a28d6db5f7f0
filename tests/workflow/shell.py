"""The shell in which the commands of the docs are run: the AWS CLI is there, and talks to the engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.engine.endpoint import Endpoint

_BIN = Path(__file__).with_name("bin")


def run(engine: Endpoint, command: str, folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run it in this folder, with these variables besides those that point to the engine."""
    environ = {
        **engine.environ(),
        "PATH": f"{_BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "NO_PROXY": "127.0.0.1",
        "LANG": "C.UTF-8",
        **variables,
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
