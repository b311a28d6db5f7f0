"""A function has a bounded number of environments, and an invocation waits for a free one.

AWS ("Understanding Lambda function scaling") starts an environment for every concurrent invocation up to a thousand,
on its own machines. The engine does the same on this one machine: two hundred files at once are hundreds of processes
on two cores, and functions reach their timeout while they are still importing.

Closed by a queue in front of each function. It delays an invocation and never refuses one, so the application sees
nothing but a slower AWS.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(settings: Settings) -> None:
    """Let at most `settings.environments` invocations of one function run at the same time."""
    run = lambda_svc._execute_function_warm
    free: dict[str, threading.Semaphore] = {}
    lock = threading.Lock()

    def queued(function: dict[str, Any], event: Any, request_id: str) -> Any:
        config = function.get("config") or function
        with lock:
            environments = free.setdefault(config["FunctionArn"], threading.Semaphore(settings.environments))
        with environments:
            # What has waited was a snapshot: of an update that came meanwhile it would see one half.
            is_latest = config.get("Version", "$LATEST") == "$LATEST"
            current = lambda_svc._functions.get(config["FunctionName"], function)
            return run(current if is_latest else function, event, request_id)

    lambda_svc._execute_function_warm = queued
