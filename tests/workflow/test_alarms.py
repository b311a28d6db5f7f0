"""Alarms ring from their causes through the deployed template, and each message arrives: rows of docs/alarms.md."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from tests.samples import picture
from tests.template.test_alarm_page import ROWS
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System, running_system

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600
HERE = "tests/workflow/test_alarms.py::test_an_alarm_rings_from_its_cause"
RUNBOOK = "docs/operations.md"  # RunbookUrl's default
UNREADABLE = '{"nobody": "can read this"}'


@pytest.fixture(scope="module")
def troubled() -> Iterator[System]:
    """A quiet stack in which then everything goes wrong. A stack of its own, or others had made its alarms ring."""
    with running_system(AssumedPriceUsd="1", MonthlyBudgetUsd="2") as system:
        states = until(lambda: _states(system), "a look at each", lambda it: "INSUFFICIENT_DATA" not in it.values())
        assert {name for name, state in states.items() if state != "OK"} <= {"SweepSilentAlarm"}
        _send_what_nobody_can_read(system)
        _lack_the_key(system)
        _be_refused(system)
        _grow_old_and_spend_the_budget(system)
        _fail_to_look(system)
        _be_throttled(system)
        _run_out_of_time(system)
        _lose_a_queue(system)
        yield system


def _states(system: System) -> dict[str, str]:
    """Every alarm's state, by its name in the template."""
    pages = system.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix="bucketbrush-local-")
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    return {alarm["AlarmName"].split("-")[2]: alarm["StateValue"] for alarm in alarms}


def _send_what_nobody_can_read(system: System) -> None:
    sqs = system.client("sqs")
    for name in ("BatchQueue", "ExecutionEndedQueue"):
        (url,) = sqs.list_queues(QueueNamePrefix=f"bucketbrush-local-{name}-")["QueueUrls"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})  # five tries take hours
        sqs.send_message(QueueUrl=url, MessageBody=UNREADABLE)


def _lack_the_key(system: System) -> None:
    put_secret, secret = system.client("secretsmanager").put_secret_value, system.output("ApiKeySecretArn")
    put_secret(SecretId=secret, SecretString="{}")
    assert _outcome(system, "plain", "paint it") == "rejected"
    put_secret(SecretId=secret, SecretString=system.stack.simulator.api_key)
    # Environments that have read the secret know what it held for five minutes; changed functions get new ones.
    function = system.output("SubmitFunctionName")
    system.client("lambda").update_function_configuration(FunctionName=function, MemorySize=1024)


def _be_refused(system: System) -> None:
    assert [_outcome(system, f"fault-{code}", f"fault:submit-{code}") for code in (401, 402)] == ["failed", "failed"]


def _outcome(system: System, preset: str, prompt: str) -> Any:
    system.preset(preset, prompt=prompt)
    return system.dropped(f"inbox/{preset}/cat.png", picture())[2]["outcome"]


def _grow_old_and_spend_the_budget(system: System) -> None:
    """Two open jobs, which cost a dollar each as far as anybody knows."""
    for state, prompt, hours in (("waiting", "fault:hang", 1), ("unstored", "fault:file-404=1000", 19)):
        system.preset(state, prompt=prompt)
        system.stack.drop(f"inbox/{state}/cat.png", picture())
        job_id = system.job_of(f"inbox/{state}/cat.png")
        system.until_state(job_id, state)
        system.age(job_id, hours * HOUR)
    system.sweep()


def _fail_to_look(system: System) -> None:
    for _ in range(10):
        answer = system.client("lambda").invoke(FunctionName=system.output("StatusFunctionName"), Payload=UNREADABLE)
        assert answer["FunctionError"]


def _be_throttled(system: System) -> None:
    once = Config(retries={"total_max_attempts": 1})
    functions, name = system.stack.engine.client("lambda", config=once), system.output("StatusFunctionName")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for _ in range(10):
        with pytest.raises(functions.exceptions.TooManyRequestsException):
            functions.invoke(FunctionName=name, Payload=UNREADABLE)
    functions.delete_function_concurrency(FunctionName=name)


def _run_out_of_time(system: System) -> None:
    """The time limit of executions is three days; here it is ten seconds, which pass in one."""
    sfn, machine = system.client("stepfunctions"), system.output("JobsMachineArn")
    definition = json.loads(sfn.describe_state_machine(stateMachineArn=machine)["definition"])
    sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps({**definition, "TimeoutSeconds": 10}))
    in_an_hour = int((time.time() + HOUR) * 1000)
    system.client("dynamodb").put_item(
        TableName=system.output("LimitsTable"),
        Item={"name": {"S": "departures"}, "next_departure": {"N": str(in_an_hour)}},
    )
    system.start("too-long", {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat"})
    assert system.execution("too-long")["status"] == "TIMED_OUT"


def _lose_a_queue(system: System) -> None:
    """The rule for drops has nowhere to send to."""
    system.client("sqs").delete_queue(QueueUrl=system.output("SubmitQueueUrl"))
    system.stack.drop("inbox/lost.png", picture())


def _heard(system: System, alarm: str) -> dict[str, Any]:
    """What its subscriber was told when the alarm rang; it says where the runbook is."""
    told: dict[str, Any] = json.loads(system.heard(system.messages_url, f"-{alarm}-")["Body"])
    assert told["NewStateValue"] == "ALARM"
    assert told["AlarmDescription"].endswith(f" Runbook: {RUNBOOK}#{alarm.lower()}")
    return told


@pytest.mark.parametrize("alarm", [alarm for alarm, (_, test) in ROWS.items() if test == HERE])
def test_an_alarm_rings_from_its_cause(troubled: System, alarm: str) -> None:
    assert _heard(troubled, alarm)["OldStateValue"] == "OK"


def test_the_self_test_reaches_the_subscriber(troubled: System) -> None:
    """As docs/alarms.md says it: nothing but a state set by hand makes it ring, and it is quiet again by itself."""
    name = troubled.output("SelfTestAlarmName")
    troubled.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="self-test")

    assert _heard(troubled, "SelfTestAlarm")["NewStateReason"] == "self-test"
    until(lambda: _states(troubled)["SelfTestAlarm"], "it is quiet again", lambda state: state == "OK")
