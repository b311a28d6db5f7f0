"""The whole system on this machine: the engine, the simulator, and the template deployed between them."""

from __future__ import annotations

import fcntl
import json
import platform
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.engine.controller import ROOT, Engine
from local.engine.sam import deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local.simulator.process import Simulator

_CONFIG_ENV = "local"  # of samconfig.toml
_LOCK = ROOT / "build" / "sam" / "lock"


@dataclass(frozen=True)
class Stack:
    """A deployed stack. ``outputs`` are the template's outputs by name."""

    engine: Engine
    simulator: Simulator
    outputs: Mapping[str, str]

    def put_preset(self, name: str, preset: Mapping[str, Any]) -> None:
        self._put(f"presets/{name}.json", json.dumps(preset).encode())

    def drop(self, key: str, content: bytes) -> None:
        """Drop a file into the inbox; ``key`` begins with ``inbox/``."""
        self._put(key, content)

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the ledger, as the low-level client gives it."""
        pages = self.engine.client("dynamodb").get_paginator("scan")
        return [row for page in pages.paginate(TableName=self.outputs["JobsTable"]) for row in page["Items"]]

    def result(self, key: str) -> bytes:
        """An object of the results bucket."""
        answer = self.engine.client("s3").get_object(Bucket=self.outputs["ResultsBucket"], Key=key)
        content: bytes = answer["Body"].read()
        return content

    def folder(self, key: str) -> dict[str, bytes]:
        """Everything that lies beside an object of the results bucket, by key."""
        prefix = key.rpartition("/")[0] + "/"
        found = self.engine.client("s3").list_objects_v2(Bucket=self.outputs["ResultsBucket"], Prefix=prefix)
        return {item["Key"]: self.result(item["Key"]) for item in found["Contents"]}

    def _put(self, key: str, content: bytes) -> None:
        self.engine.client("s3").put_object(Bucket=self.outputs["InboxBucket"], Key=key, Body=content)


@contextmanager
def running_stack(
    engine: Engine,
    simulator: Simulator,
    parameters: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Start both, deploy the template as samconfig's ``local`` says with these parameters, put the API key in.

    ``say`` is told each step. Everything started here has ended when the block is left.
    """
    with ExitStack() as started:
        say("starting the engine and the simulator")
        started.enter_context(engine)
        started.enter_context(simulator)
        say("building and deploying template.yaml")
        yield deployed(engine, simulator, parameters)


def deployed(
    engine: Engine,
    simulator: Simulator,
    parameters: Mapping[str, str] | None = None,
    template: Path = ROOT / "template.yaml",
) -> Stack:
    """Deploy the template, or update its stack, as samconfig's ``local`` says, and put the API key in."""
    with one_build_at_a_time():
        outputs = deploy(
            engine,
            template,
            _CONFIG_ENV,
            {**machine(), "ApiBaseUrl": simulator.base_url, **(parameters or {})},
            build_dir=build_dir(template),
            environ=_layer_target(),
        )
    engine.client("secretsmanager").put_secret_value(
        SecretId=outputs["ApiKeySecretArn"], SecretString=simulator.api_key
    )
    return Stack(engine, simulator, outputs)


def build_dir(template: Path) -> Path:
    """Where `sam build` puts what it makes of a template for this machine."""
    return template.parent / "build" / "sam" / f"{_python()}-{_architecture()}" / "build"


@contextmanager
def one_build_at_a_time() -> Iterator[None]:
    """`sam build` empties the folder that another `sam deploy` may be reading."""
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def machine() -> dict[str, str]:
    """The parameters that say what the functions run on."""
    return {"PythonRuntime": f"python{_python()}", "Architecture": _architecture()}


def _layer_target() -> dict[str, str]:
    """The layers are built for this machine: the functions run on its own Python."""
    return {
        "LAYER_PYTHON": _python(),
        "LAYER_ARCHITECTURE": _architecture(),
        "TARGET_PYTHON": str(_environment("lambda")),
        "PIP": f"{_environment('uv')} -m pip",
    }


def _environment(name: str) -> Path:
    return ROOT / ".venv" / name / "bin" / "python"


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _architecture() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
