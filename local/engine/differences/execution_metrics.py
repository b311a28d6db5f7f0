"""Executions are counted in the namespace AWS/States.

AWS ("Monitoring Step Functions metrics using Amazon CloudWatch"): ExecutionsStarted, ExecutionsSucceeded,
ExecutionsFailed, ExecutionsTimedOut and ExecutionsAborted, by StateMachineArn.

The engine publishes none. Closed at the place where it announces each change of status to EventBridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch, stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings

_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def close(_: Settings) -> None:
    """Count every change of status."""
    announce = stepfunctions._emit_execution_status_event

    def announce_and_count(execution: dict[str, Any]) -> None:
        machine = {"StateMachineArn": execution["stateMachineArn"]}
        cloudwatch.record_metric("AWS/States", _METRICS[execution["status"]], 1, "Count", machine)
        announce(execution)

    stepfunctions._emit_execution_status_event = announce_and_count
