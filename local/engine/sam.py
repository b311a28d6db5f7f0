"""Put a SAM template on a running engine, with the very commands and configuration that put it on AWS."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import tomllib
from typing import TYPE_CHECKING

from local.engine.controller import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.engine.endpoint import Endpoint

_SAM = ROOT / ".venv" / "sam" / "bin" / "sam"


class DeployError(Exception):
    """A SAM command failed; the text is what it printed."""


def deploy(
    engine: Endpoint,
    template: Path,
    config_env: str,
    parameters: Mapping[str, str] | None = None,
    *,
    build_dir: Path = ROOT / ".aws-sam" / "build",
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """`sam build` and `sam deploy`, and the outputs of the stack.

    `config_env` names the tables of the samconfig.toml beside the template that say how. `parameters` are set besides
    its overrides, or instead of them. `environ` is for the layers' build commands.
    """
    config = template.with_name("samconfig.toml")
    tables = tomllib.loads(config.read_text())[config_env]
    chosen = [f"--config-file={config}", f"--config-env={config_env}"]
    folders = [f"--build-dir={build_dir}", f"--cache-dir={build_dir.parent / 'cache'}"]
    run_sam(["build", f"--template-file={template}", *folders, *chosen], environ or {})
    # Overrides on the command line take the place of all those in the file.
    in_file = shlex.split(tables["deploy"]["parameters"].get("parameter_overrides", ""))
    overrides = {**dict(override.split("=", 1) for override in in_file), **(parameters or {})}
    given = ["--parameter-overrides", *(f"{name}={_quoted(value)}" for name, value in overrides.items())]
    arguments = ["deploy", f"--template-file={build_dir / 'template.yaml'}", *chosen]
    run_sam([*arguments, *(given if overrides else [])], engine.environ())
    return outputs(engine, tables["deploy"]["parameters"]["stack_name"])


def outputs(engine: Endpoint, stack_name: str) -> dict[str, str]:
    """The outputs of a stack by name."""
    stack = engine.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def run_sam(arguments: list[str], environ: Mapping[str, str], answers: str = "") -> None:
    """Run one command quietly, with the answers to what it asks. Raises DeployError with all that it printed.

    Without its bytecode the SAM CLI takes several times as long to start.
    """
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
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise DeployError(f"sam {arguments[0]} failed:\n{done.stdout}")
