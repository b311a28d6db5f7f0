"""A state machine's TimeoutSeconds ends its executions.

AWS ("State machine structure in Amazon States Language", TimeoutSeconds; "StepFunctions: DescribeExecution", status):
an execution that runs longer than the machine's TimeoutSeconds ends as TIMED_OUT, and what a running task answers
afterwards changes nothing.

The engine ignores the field. Closed by a timer beside each execution, scaled like the waits. Where waits are scaled to
nothing the limit holds in real seconds, since it would otherwise pass at once.
"""

from __future__ import annotations

import contextvars
import json
import threading
from typing import TYPE_CHECKING, Any

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings


def _expire(execution: dict[str, Any]) -> None:
    if execution["status"] == "RUNNING":
        execution["status"] = "TIMED_OUT"
        execution["stopDate"] = stepfunctions.now_iso()
        stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
        stepfunctions._emit_execution_status_event(execution)


def _limit(execution: dict[str, Any]) -> float | None:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    return None if seconds is None else seconds * (stepfunctions._SFN_WAIT_SCALE or 1)


def close(_: Settings) -> None:
    """Run each execution under its limit, and let a failure change only an execution that still runs."""
    run, fail = stepfunctions._run_execution, stepfunctions._fail_execution

    def run_within_limit(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        seconds = _limit(execution) if execution else None
        if seconds is None:
            run(arn)
            return
        timer = threading.Timer(seconds, contextvars.copy_context().run, (_expire, execution))
        timer.daemon = True
        timer.start()
        try:
            run(arn)
        finally:
            timer.cancel()

    def fail_if_running(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    stepfunctions._run_execution = run_within_limit
    stepfunctions._fail_execution = fail_if_running
