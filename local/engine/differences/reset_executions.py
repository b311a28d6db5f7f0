"""A reset ends the executions that are running.

AWS ("StepFunctions: DeleteStateMachine"): an execution of a state machine that is gone runs no further than its current
state.

The engine forgets its executions on a reset, but the threads behind them go on: after their wait they call the
functions of whatever stack has been deployed under the same names since. Closed by marking them as aborted first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Abort what runs, in every account and region, before it is forgotten."""
    forget = stepfunctions.reset

    def abort_and_forget() -> None:
        for execution in list(stepfunctions._executions._data.values()):
            if execution["status"] == "RUNNING":
                execution["status"] = "ABORTED"
        forget()

    stepfunctions.reset = abort_and_forget
