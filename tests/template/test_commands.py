"""Every program that the Makefile starts can be started as it starts it: from here, with nothing else on the path."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.template.stack import ROOT

TOOLS = ("pytest", "ruff", "mypy")
STARTED = re.findall(r"^\t@(?:PYTHONPATH=(\S+) )?\$\(PY\) -m ([\w.]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
PROGRAMS = sorted({(module, path) for path, module in STARTED} - {(tool, "") for tool in TOOLS})


@pytest.mark.parametrize(("module", "path"), PROGRAMS)
def test_a_program_says_how_it_is_used(module: str, path: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "TOAPIS_"))}
    environment = {**inherited, **({"PYTHONPATH": path} if path else {})}
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_programs_are_found() -> None:
    assert {module for module, _ in PROGRAMS} >= {"local.demo", "local.live", "tests.chaos", "tests.mutations"}
