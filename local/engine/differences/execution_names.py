"""StartExecution is idempotent while an execution of that name runs.

AWS ("StepFunctions: StartExecution"): for a standard workflow, the same name and input as a running execution succeed
with the response of the original request; a closed execution or another input is ExecutionAlreadyExists.

The engine refuses both. Closed by looking, after it has refused, at the execution that stands in the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Answer a repeated start like the first one."""
    start = stepfunctions._start_execution

    def start_once(data: dict[str, Any]) -> Any:
        answer = start(data)
        machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", ""))
        if answer[0] == 200 or machine is None:
            return answer
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{data.get('name')}"
        execution = stepfunctions._executions.get(arn)
        if execution and execution["status"] == "RUNNING" and execution["input"] == data.get("input", "{}"):
            return stepfunctions.json_response({"executionArn": arn, "startDate": execution["startDate"]})
        return answer

    stepfunctions._start_execution = start_once
