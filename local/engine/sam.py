"""Put a SAM template on a running engine, with the very commands that put it on AWS."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from local.engine.controller import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.engine.endpoint import Endpoint

_SAM = ROOT / ".venv" / "sam" / "bin" / "sam"


class DeployError(Exception):
    """A SAM command failed; the text is what it printed."""


def build(template: Path, build_dir: Path, environ: Mapping[str, str] | None = None) -> Path:
    """`sam build`, and the template that it leaves."""
    folders = [f"--build-dir={build_dir}", f"--cache-dir={build_dir.parent / 'cache'}"]
    _sam(["build", f"--template-file={template}", *folders, "--cached", "--parallel"], environ or {})
    return build_dir / "template.yaml"


def deploy(
    engine: Endpoint,
    template: Path,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    *,
    build_dir: Path = ROOT / ".aws-sam" / "build",
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """`sam build` and `sam deploy`, and the outputs of the stack. `environ` is for the layers' build commands."""
    built = build(template, build_dir, environ)
    overrides = [f"{name}={_quoted(value)}" for name, value in (parameters or {}).items()]
    arguments = ["deploy", f"--template-file={built}", f"--stack-name={stack_name}", "--resolve-s3"]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    _sam([*arguments, *(["--parameter-overrides", *overrides] if overrides else [])], engine.environ())
    stack = engine.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _sam(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Run one command quietly. Without its bytecode the SAM CLI takes several times as long to start."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    quiet = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5", "NO_PROXY": "127.0.0.1,localhost"}
    # The CLI leaves temporary folders behind.
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [_SAM, *arguments],
            env={**inherited, **quiet, "TMPDIR": scratch, **environ},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise DeployError(f"sam {arguments[0]} failed:\n{done.stdout}")
