"""An execution that was stopped or timed out starts nothing more.

AWS ("StepFunctions: StopExecution"; "State machine structure in Amazon States Language", TimeoutSeconds): with the end
of an execution its state ends, and a Task's remaining retries with it.

The engine looks at the status between two states only: a Task goes on being retried, beside the redriven execution if
there is one. Closed by looking after every wait, which is where such a thread is.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings

_execution: ContextVar[dict[str, Any] | None] = ContextVar("execution", default=None)


def close(_: Settings) -> None:
    """End the thread of an execution that has ended."""
    run, sleep = stepfunctions._run_execution, stepfunctions._scaled_sleep

    def run_known(arn: str) -> None:
        _execution.set(stepfunctions._executions.get(arn))
        run(arn)

    def sleep_and_look(seconds: float) -> None:
        sleep(seconds)
        execution = _execution.get()
        if execution and execution["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.Runtime", f"the execution is {execution['status']}")

    stepfunctions._run_execution, stepfunctions._scaled_sleep = run_known, sleep_and_look
