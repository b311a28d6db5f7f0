"""Python functions run on AWS's own runtime client.

AWS ("Using the Lambda runtime API for custom runtimes", "Lambda function handler in Python", "Understanding the Lambda
execution environment lifecycle"): the runtime client loads the handler once, keeps the environment after an exception,
and reports an error by its class name with a stack trace, which is what Retry and Catch match. Function code comes
before layers on sys.path, and the environment holds the documented variables and the function's own, nothing else.

The engine runs a worker script of its own that reports every exception as Runtime.HandlerError, ends the process
after it, puts layers first, hands down its own environment, and unpacks code and layers for every environment anew.

Closed by the engine's own support for custom runtimes, which speaks the runtime API: a Python function becomes a custom
runtime whose bootstrap starts `awslambdaric`. Packages are unpacked once per content.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import select
import shlex
import threading
import time
import zipfile
from typing import IO, TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

if TYPE_CHECKING:
    import queue
    from pathlib import Path

    from local.engine.differences import Settings

_PACKAGE = "BucketbrushPackage"
_LOG_LIMIT_SECONDS = 0.25


class Packages:
    """Code and layer archives, unpacked once per content and shared by all environments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def unpacked(self, *archives: bytes) -> Path:
        """The folder that holds these archives, a later one over an earlier one as in /opt."""
        content = hashlib.sha256(b"".join(hashlib.sha256(archive).digest() for archive in archives)).hexdigest()
        target = self._folder / content
        with self._lock:
            if not target.exists():
                unfinished = target.with_suffix(".unfinished")
                unfinished.mkdir(parents=True)
                for archive in archives:
                    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                        lambda_svc._extract_zip_preserving_mode(packed, str(unfinished))
                unfinished.rename(target)
        return target


class PythonEnvironment(lambda_runtime.ProvidedWorker):  # type: ignore[misc]
    """One execution environment: a process of awslambdaric, fed through the engine's runtime API."""

    def __init__(self, name: str, config: dict[str, Any], package: bytes, *, launcher: bytes) -> None:
        super().__init__(name, {**config, _PACKAGE: package}, launcher)
        self._reading = threading.Lock()
        self._pipe: IO[bytes] | None = None

    def invoke(self, event: Any, request_id: str, **context: Any) -> dict[str, Any]:
        """Run one invocation; an environment that did not come up reports why under the name that AWS gives it."""
        try:
            answer: dict[str, Any] = super().invoke(event, request_id, **context)
        except lambda_runtime.ProvidedInitTimeout as late:
            return self._failed({"errorType": "Sandbox.Timedout", "errorMessage": str(late)})
        except RuntimeError as failure:
            known = self._init_error
            return self._failed(
                known if isinstance(known, dict) else {"errorType": "Runtime.ExitError", "errorMessage": str(failure)}
            )
        return answer

    def _failed(self, error: dict[str, Any]) -> dict[str, Any]:
        message = error.get("errorMessage", "")
        return {"status": "error", "error": message, "error_payload": error, "log": self._drain_stderr()}

    def _pump_output(self, stream: IO[bytes], log_queue: queue.Queue[str]) -> None:
        """Move the function's output into the queue, so that `_unread` can tell when all of it has arrived."""
        waiting = select.poll()
        waiting.register(stream, select.POLLIN)
        with self._reading:
            self._pipe = stream
        rest, chunk = b"", b"begin"
        while chunk:
            waiting.poll()
            with self._reading:
                chunk = os.read(stream.fileno(), 1 << 16)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines if chunk or not rest else [*lines, rest]:
                    if log_queue.full():
                        log_queue.get_nowait()
                    log_queue.put_nowait(line.decode(errors="replace").rstrip("\r"))
                if not chunk:
                    self._pipe = None
                    stream.close()

    def _unread(self) -> bool:
        with self._reading:
            if self._pipe is None:
                return False
            ready = select.poll()
            ready.register(self._pipe, select.POLLIN)
            return bool(ready.poll(0))

    def _drain_stderr_bounded(self, *_: Any, **__: Any) -> str:
        """All that was written before the answer, however busy the machine is: metrics are counted from these lines."""
        limit = time.monotonic() + _LOG_LIMIT_SECONDS
        while self._unread() and time.monotonic() < limit:
            time.sleep(0.001)
        lines: str = self._drain_stderr()
        return lines


def _launcher(python: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        command = f'cd "$LAMBDA_TASK_ROOT" && exec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"'
        packed.writestr("bootstrap", f"#!/bin/sh\n{command}\n")
    return archive.getvalue()


def _environment(config: dict[str, Any], task_root: Path, layers: Path | None, port: int) -> dict[str, str]:
    """The variables of "Defined runtime environment variables", and the function's own."""
    _, region = lambda_svc._account_region_from_function_config(config)
    version = config["Runtime"].removeprefix("python")
    logging = config.get("LoggingConfig") or {}
    log_group = logging.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    variables = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "_HANDLER": config["Handler"],
        "LAMBDA_TASK_ROOT": str(task_root),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}",
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{os.urandom(16).hex()}",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        # What AWS has in other ways: endpoints that lead there, and a home and temporary files of the function's own.
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "HOME": os.environ["TMPDIR"],
        "TMPDIR": os.environ["TMPDIR"],
    }
    if logging.get("LogFormat") == "JSON":
        variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        variables["AWS_LAMBDA_LOG_LEVEL"] = logging.get("ApplicationLogLevel", "INFO")
    if layers:
        paths = [layers / f"python/lib/python{version}/site-packages", layers / "python"]
        variables["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    variables |= lambda_svc._runtime_env_vars(config)
    variables |= lambda_runtime.execution_credentials(config)
    return variables


def close(settings: Settings) -> None:
    """Make every python* function a custom runtime of ours."""
    packages = Packages(settings.folder / "packages")
    environment = functools.partial(PythonEnvironment, launcher=_launcher(settings.lambda_python))
    stock_class = lambda_runtime._worker_class_for
    stock_variables = lambda_svc._provided_worker_env
    stock_run = lambda_svc._execute_function_warm

    def is_python(config: dict[str, Any]) -> bool:
        return str(config.get("Runtime", "")).startswith("python")

    def environment_for(config: dict[str, Any]) -> Any:
        return environment if is_python(config) else stock_class(config)

    def variables(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        if _PACKAGE not in config:
            stock: dict[str, str] = stock_variables(config, code_dir, port)
            return stock
        found = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
        archives = [archive for archive in found if archive]
        layers = packages.unpacked(*archives) if archives else None
        return _environment(config, packages.unpacked(config[_PACKAGE]), layers, port)

    def run(function: dict[str, Any], event: Any, request_id: str) -> Any:
        python = is_python(function.get("config") or function)
        return (lambda_svc._execute_function_provided_warm if python else stock_run)(function, event, request_id)

    lambda_runtime._worker_class_for = environment_for
    lambda_svc._provided_worker_env = variables
    lambda_svc._execute_function_warm = run
