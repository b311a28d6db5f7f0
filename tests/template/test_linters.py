"""The linters have nothing to say, on the file as it is and on what CloudFormation makes of it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from typing import TYPE_CHECKING

from tests.template.stack import ENVIRONMENTS, ROOT, TEMPLATE, Json

if TYPE_CHECKING:
    from pathlib import Path


def _printed(*command: str | Path) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _cfn_lint(*files: Path) -> str:
    return _printed(ENVIRONMENTS / "dev" / "bin" / "cfn-lint", *files)


def test_cfn_lint_is_silent_on_both_forms(translated: Json, tmp_path: Path) -> None:
    file = tmp_path / "translated.json"
    file.write_text(json.dumps(translated), encoding="utf-8")
    assert _cfn_lint(TEMPLATE, file) == ""


def test_cfn_lint_would_see_a_circle_in_the_translated_form(translated: Json, tmp_path: Path) -> None:
    """Which is why the submit function is told the machine's ARN by Sub and not by reference."""
    circular = copy.deepcopy(translated)
    variables = circular["Resources"]["SubmitFunction"]["Properties"]["Environment"]["Variables"]
    variables["JOBS_MACHINE_ARN"] = {"Ref": "JobsMachine"}
    file = tmp_path / "circular.json"
    file.write_text(json.dumps(circular), encoding="utf-8")
    assert "E3004 Circular Dependencies" in _cfn_lint(file)


def test_sam_validate_is_silent() -> None:
    sam = ENVIRONMENTS / "sam" / "bin" / "sam"
    assert _printed(sam, "validate", "--lint", "--template-file", TEMPLATE) == f"{TEMPLATE} is a valid SAM Template\n"
