"""RedriveExecution continues an execution from the state that did not succeed.

AWS ("StepFunctions: RedriveExecution", "Restarting state machine executions with redrive in Step Functions"): a failed,
aborted or timed out execution goes on under its ARN and its definition in the state that did not succeed, with that
state's input and variables and none of its retries used up; a Fail state fails again. The time limit starts anew, the
history goes on with ExecutionRedriven, DescribeExecution counts.

The engine does not know the action. Closed for flat machines, without Map and Parallel: every state is remembered when
it is entered, and a loop like the engine's goes on from there. Status events keep the engine's redriveCount of 0.
"""

from __future__ import annotations

import contextvars
import json
import threading
from typing import TYPE_CHECKING, Any

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.engine.differences import Settings

_NOT_REDRIVABLE = ("RUNNING", "SUCCEEDED")


def _remembering(run: Callable[..., Any]) -> Callable[..., Any]:
    """Note which state an execution is in, and its variables, which change when the state ends."""

    def remember_and_run(state: dict[str, Any], value: Any, *rest: Any) -> Any:
        context = rest[-1] or {}
        execution = stepfunctions._executions.get(context.get("Execution", {}).get("Id"))
        if execution and "variables" in context:
            machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
            execution.setdefault("definition", machine.get("definition"))
            execution["entered"] = {**context, "variables": dict(context["variables"])}, value
        return run(state, value, *rest)

    return remember_and_run


def _fail(state: dict[str, Any], value: Any, context: dict[str, Any]) -> None:
    raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, value, context))


def _go_on(execution: dict[str, Any]) -> None:
    context, value = execution["entered"]
    states, name = json.loads(execution["definition"])["States"], context["State"]["Name"]
    try:
        while name and execution["status"] == "RUNNING":
            state, kind = states[name], states[name]["Type"]
            context["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
            details = {"name": name, "input": json.dumps(value)}
            stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": details})
            # A Succeed state is a Pass state that nothing follows.
            own = {"Fail": _fail, "Succeed": stepfunctions._execute_pass}
            run = own.get(kind) or getattr(stepfunctions, f"_execute_{kind.lower()}")
            value, following = run(state, value, *([execution] if kind == "Task" else []), context)
            details = {"name": name, "output": json.dumps(value)}
            stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": details})
            name = following
    except stepfunctions._ExecutionError as failure:
        stepfunctions._fail_execution(execution, failure.error, failure.cause)
    if execution["status"] == "RUNNING":
        execution.update(status="SUCCEEDED", output=json.dumps(value), stopDate=stepfunctions.now_iso())
        details = {"executionSucceededEventDetails": {"output": execution["output"]}}
        stepfunctions._add_event(execution, "ExecutionSucceeded", details)
        stepfunctions._emit_execution_status_event(execution)


def _redrive(arn: str, announce: Callable[[dict[str, Any]], None]) -> Any:
    execution = stepfunctions._executions.get(arn)
    if not execution:
        return stepfunctions.error_response_json("ExecutionDoesNotExist", f"Execution {arn} not found", 400)
    if execution["status"] in _NOT_REDRIVABLE:
        reason = f"Execution is {execution['status']} and cannot be redriven"
        return stepfunctions.error_response_json("ExecutionNotRedrivable", reason, 400)
    # A copy, because the thread of a stopped execution holds on to the old one until its state ends.
    count, date = execution.get("redriveCount", 0) + 1, stepfunctions.now_iso()
    again = {**execution, "events": list(execution["events"]), "redriveCount": count, "redriveDate": date}
    again |= {"status": "RUNNING", "stopDate": None, "output": None, "error": None, "cause": None}
    stepfunctions._executions[arn] = again
    stepfunctions._add_event(again, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
    announce(again)
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(stepfunctions._run_execution, arn), daemon=True).start()
    return stepfunctions.json_response({"redriveDate": date})


def close(_: Settings) -> None:
    """Add the action, before other modules count what starts and limit what runs."""
    announce, run = stepfunctions._emit_execution_status_event, stepfunctions._run_execution
    describe, handle = stepfunctions._describe_execution, stepfunctions.handle_request

    def run_or_go_on(arn: str) -> None:
        execution = stepfunctions._executions.get(arn) or {}
        if "redriveCount" in execution and "entered" in execution:
            _go_on(execution)
        else:
            run(arn)

    def describe_with_count(data: dict[str, Any]) -> Any:
        answer = describe(data)
        execution = stepfunctions._executions.get(data.get("executionArn"))
        if not execution:
            return answer
        known = {name: execution[name] for name in ("redriveCount", "redriveDate") if name in execution}
        known["redriveStatus"] = "NOT_REDRIVABLE" if execution["status"] in _NOT_REDRIVABLE else "REDRIVABLE"
        return stepfunctions.json_response({"redriveCount": 0, **json.loads(answer[2]), **known})

    async def handle_redrive_too(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            arn = json.loads(body).get("executionArn", "")
            return stepfunctions._finalize_response(_redrive(arn, announce))
        return await handle(method, path, headers, body, *rest)

    for name in ("_execute_pass", "_execute_task", "_execute_choice", "_execute_wait", "_fail_state_error"):
        setattr(stepfunctions, name, _remembering(getattr(stepfunctions, name)))
    stepfunctions._run_execution, stepfunctions._describe_execution = run_or_go_on, describe_with_count
    stepfunctions.handle_request = handle_redrive_too
