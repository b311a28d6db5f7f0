"""Other services as callers: a job document as the execution's input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.engine.controller import ROOT
from tests.samples import picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System

DOCUMENT = json.loads((ROOT / "events" / "job-document.json").read_text())


def _start(system: System, name: str, document: dict[str, Any]) -> dict[str, Any]:
    system.client("stepfunctions").start_execution(
        stateMachineArn=system.output("JobsMachineArn"), name=name, input=json.dumps(document)
    )
    return system.execution(name)


def _put_reference(system: System, key: str) -> None:
    system.client("s3").put_object(Bucket=system.output("InboxBucket"), Key=key, Body=picture())


def test_the_sample_document_gives_a_picture(system: System) -> None:
    _put_reference(system, DOCUMENT["references"][0])

    execution = _start(system, "starry-cat-0001", DOCUMENT)

    told = json.loads(execution["output"])
    assert (execution["status"], told["outcome"], told["job_id"]) == ("SUCCEEDED", "completed", "starry-cat-0001")
    assert told["source"] is None
    result = system.result("starry-cat-0001")
    assert [reference["key"] for reference in result["references"]] == DOCUMENT["references"]
    assert result["references"][0]["version_id"]
    (task,) = system.tasks("starry-cat-0001")
    assert (task["model"], task["size"], len(task["references"])) == ("gpt-image-1.5-official", "3:2", 1)


def test_no_reference_is_text_to_image(system: System) -> None:
    execution = _start(system, "text-to-image", {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat", "n": 2})

    assert json.loads(execution["output"])["outcome"] == "completed"
    assert len(system.result("text-to-image")["pictures"]) == 2


@pytest.mark.parametrize(
    ("name", "document", "said"),
    [
        ("no-model", {"prompt": "x"}, ["model: found no such field", "gpt-image-2-vip"]),
        ("wrong-reference", {**DOCUMENT, "references": ["../etc/passwd"]}, ["references: found [0]", "references/"]),
        (
            "missing-reference",
            {**DOCUMENT, "references": ["references/none.png"]},
            ["references/none.png: found no such object in bucket"],
        ),
        ("misspelt", {"model": "gpt-image-2-vip", "promt": "x"}, ['"promt"', "prompt: found no such field"]),
        (
            "Not_A_Job_Id",
            {"model": "gpt-image-2-vip", "prompt": "x"},
            ['execution name: found "Not_A_Job_Id"', "a-z, 0-9 and -"],
        ),
    ],
)
def test_a_wrong_document_is_rejected(system: System, name: str, document: dict[str, Any], said: list[str]) -> None:
    execution = _start(system, name, document)

    assert (execution["status"], execution["error"]) == ("FAILED", "rejected")
    assert all(part in execution["cause"] for part in said), execution["cause"]
    assert system.result(name)["message"] == execution["cause"]
    assert system.tasks(name) == []


def test_a_workflow_of_the_caller_gets_the_outcome_as_output(system: System) -> None:
    iam, sfn = system.client("iam"), system.client("stepfunctions")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="caller", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    allow = {"Effect": "Allow", "Action": ["states:StartExecution", "states:DescribeExecution"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="caller", PolicyName="run", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {
            "StateMachineArn": system.output("JobsMachineArn"),
            "Name": "nested-job",
            "Input": {"model": "gpt-image-2-vip", "prompt": "a nested boat"},
        },
        "Output": "{% $states.result.Output %}",
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "Job", "States": {"Job": call}}
    machine = sfn.create_state_machine(name="caller", definition=json.dumps(definition), roleArn=role["Role"]["Arn"])
    started = sfn.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = sfn.describe_execution(executionArn=started)
        return found if found["status"] != "RUNNING" else None

    execution = until(ended, "the caller's execution has ended")
    assert execution["status"] == "SUCCEEDED"
    told = json.loads(execution["output"])
    assert (told["outcome"], told["job_id"]) == ("completed", "nested-job")
