"""Every invocation of a function is counted in the namespace AWS/Lambda.

AWS ("Types of metrics for Lambda functions"): Invocations, Errors and Duration by FunctionName, whoever invokes: a
caller that waits, an asynchronous event with each of its retries, a queue, a rule, a schedule or a workflow.

The engine counts at the Invoke action only, and an asynchronous one as a success before it has run. Closed by counting
where all invocations pass.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Count each run; leave the engine only what it counts without one."""
    dispatch, count = lambda_svc._execute_function_dispatch, lambda_svc._emit_lambda_metrics

    def dispatch_and_count(function: dict[str, Any], config: dict[str, Any], *rest: Any) -> Any:
        begin = time.monotonic()
        result = dispatch(function, config, *rest)
        milliseconds = (time.monotonic() - begin) * 1000
        count(config["FunctionName"], duration_ms=milliseconds, error=bool(result.get("error")), throttle=False)
        return result

    def count_throttle(name: str, **counted: Any) -> None:
        if counted["throttle"]:
            count(name, **counted)

    lambda_svc._execute_function_dispatch = dispatch_and_count
    lambda_svc._emit_lambda_metrics = count_throttle
