"""One execution per job, however often it is started."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters.executions import Executions
from bucketbrush.domain import verdicts
from tests.contract.aws import client, machine, name, role, scripted_client, state_machine
from tests.contract.scripted import Answer, serving
from tests.waiting import until

__all__ = ["machine", "role"]


def executions(machine_arn: str) -> dict[str, str]:
    listed = client("stepfunctions").list_executions(stateMachineArn=machine_arn)["executions"]
    return {item["name"]: item["status"] for item in listed}


def test_starting_twice_is_success_also_after_the_end(machine: str) -> None:
    adapter, job_id = Executions(client("stepfunctions"), machine), name("job")
    adapter.start(job_id)
    adapter.start(job_id)
    until(lambda: executions(machine).get(job_id) == "SUCCEEDED")
    adapter.start(job_id)
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{job_id}"
    assert executions(machine) == {job_id: "SUCCEEDED"}
    assert json.loads(client("stepfunctions").describe_execution(executionArn=arn)["input"]) == {"job_id": job_id}


def test_another_fault_is_not_hidden(machine: str) -> None:
    with pytest.raises(client("stepfunctions").exceptions.StateMachineDoesNotExist):
        Executions(client("stepfunctions"), f"{machine}-gone").start("job")


@pytest.mark.parametrize(
    ("state", "fields", "stopped", "status"),
    [
        ({"Type": "Succeed"}, {}, False, "SUCCEEDED"),
        ({"Type": "Fail", "Error": "expired", "Cause": "why"}, {}, False, "FAILED"),
        ({"Type": "Wait", "Seconds": 600, "End": True}, {}, False, "RUNNING"),
        ({"Type": "Wait", "Seconds": 600, "End": True}, {}, True, verdicts.STOPPED),
        ({"Type": "Wait", "Seconds": 600, "End": True}, {"TimeoutSeconds": 1}, False, "TIMED_OUT"),
    ],
)
def test_how_an_execution_stands(role: str, state: Any, fields: Any, stopped: bool, status: str) -> None:
    made, job_id = state_machine(role, state, **fields), name("job")
    adapter = Executions(client("stepfunctions"), made)
    assert adapter.status(job_id) is None
    adapter.start(job_id)
    if stopped:
        arn = made.replace(":stateMachine:", ":execution:")
        client("stepfunctions").stop_execution(executionArn=f"{arn}:{job_id}")
    until(lambda: adapter.status(job_id), f"the execution is {status}", lambda found: found == status)
    assert adapter.status(f"{job_id}-2") is None, "a name that begins like another is another"


def test_a_fault_is_not_taken_for_no_execution() -> None:
    with serving() as script:
        script.answer = Answer(400, {"__type": "ThrottlingException", "message": "slower"})
        executions = Executions(scripted_client("stepfunctions", script.url), "arn:aws:states:r:1:stateMachine:jobs")
        with pytest.raises(ClientError, match="ThrottlingException"):
            executions.status("cat-1")
        (asked,) = script.asked
        assert json.loads(asked.body) == {"executionArn": "arn:aws:states:r:1:execution:jobs:cat-1"}


@pytest.mark.parametrize("sampled", [True, False])
def test_an_execution_joins_the_trace_of_who_starts_it(sampled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """But one that is not traced does not decide for it: the sampling rule does."""
    trace = f"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled:d}"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "submit")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    with serving() as script:
        script.answer = Answer(200, {"executionArn": "arn", "startDate": 1})
        Executions(scripted_client("stepfunctions", script.url), "arn:aws:states:r:1:stateMachine:jobs").start("cat-1")
        (asked,) = script.asked
    assert asked.headers.get("x-amzn-trace-id") == (trace if sampled else None)
    assert json.loads(asked.body)["input"] == '{"job_id": "cat-1"}', "the same bytes whoever starts it"
