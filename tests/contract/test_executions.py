"""One execution per job, however often it is started."""

from __future__ import annotations

import json

import pytest

from bucketbrush.adapters.executions import Executions
from tests.contract.aws import client, machine, name, role
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
