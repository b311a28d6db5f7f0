"""Every outcome through the deployed template: its result.json, its announcement, its words about money, its repair."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from local.engine.controller import ROOT
from tests.samples import picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600
DAY = 24 * HOUR
DOCUMENT = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat"}


@pytest.fixture
def faults(system: System) -> Iterator[Any]:
    """Faults of the provider for everybody; gone after the test."""
    yield system.stack.simulator.fault
    system.stack.simulator.clear_faults()


@pytest.fixture
def no_rule(system: System) -> Iterator[None]:
    """Nobody hears that an execution has ended."""
    events = system.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ExecutionEndedRule" in rule["Name"]]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


def waiting(system: System, name: str, prompt: str = "fault:hang") -> str:
    """A dropped file whose task goes on for ever."""
    system.preset(name, prompt=prompt)
    system.stack.drop(f"inbox/{name}/cat.png", picture())
    job_id = system.job_of(f"inbox/{name}/cat.png")
    system.until_state(job_id, "waiting")
    return job_id


def ended(system: System, job_id: str, outcome: str, money: str, *words: str) -> dict[str, Any]:
    """The job has ended as it should, and ledger, result.json and announcement say so with one voice."""
    row = system.until_state(job_id, "ended")
    result, told = system.result(job_id), system.told(job_id)
    verdict = {name: value["S"] for name, value in row["verdict"]["M"].items()}
    reason = {"reason": result["reason"]} if result["reason"] else {}
    assert verdict == {"outcome": outcome, "money": money, "message": result["message"], **reason}
    assert (result["outcome"], result["money"]) == (outcome, money)
    assert (told["outcome"], told["money"], told["message"]) == (outcome, money, result["message"])
    assert [word for word in words if word not in result["message"]] == []
    is_bill_awaited = money == "moved" and "billed" not in row
    assert ("next_check" in row) is is_bill_awaited
    return result


# ---- Deadlines -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_sent_for_a_day_expires_unpaid(system: System, faults: Any) -> None:
    faults("submit-429", times=None, value="1")
    system.preset("queued")
    system.stack.drop("inbox/queued/cat.png", picture())
    job_id = system.job_of("inbox/queued/cat.png")
    until(lambda: "hold_until" in (system.row(job_id) or {}), "the job is refused for now")
    system.age(job_id, DAY)

    execution = system.execution(job_id)

    assert (execution["status"], execution["error"]) == ("FAILED", "expired")
    ended(system, job_id, "expired", "not moved", "MaxQueueSeconds", "Nothing was sent and nothing was paid")
    assert system.tasks(job_id) == []


def test_a_task_without_end_is_late_once_and_expires_after_a_last_look(system: System) -> None:
    job_id = waiting(system, "hanging")
    system.age(job_id, HOUR)
    late = json.loads(system.heard(system.events_url, job_id, "Image Job Late")["Body"])
    assert (late["detail-type"], PROMPT_MARK in json.dumps(late)) == ("Image Job Late", False)
    system.age(job_id, 6 * HOUR)

    assert system.execution(job_id)["error"] == "expired"

    words = [" in_progress. The task", "21,600 s after", "is paid when it completes"]
    result = ended(system, job_id, "expired", "moved", *words)
    assert result["task_id"] in result["message"]
    heard = [message["Body"] for message in system.inbox[system.events_url] if job_id in message["Body"]]
    assert sum("Image Job Late" in body for body in heard) == 1


def test_a_task_that_is_done_at_the_last_look_is_no_expired_one(system: System, faults: Any) -> None:
    faults("status-500", times=None)
    job_id = waiting(system, "seen-at-last", prompt="paint it")
    until(lambda: int((system.row(job_id) or {}).get("polls", {"N": "0"})["N"]) > 0, "a failing look")
    system.age(job_id, 7 * HOUR)
    until(lambda: _state_entered(system, job_id, "Finalize"), "the last look")
    system.stack.simulator.clear_faults()

    assert system.execution(job_id)["status"] == "SUCCEEDED"
    ended(system, job_id, "completed", "moved", "1 of 1")


def _state_entered(system: System, job_id: str, state: str) -> bool:
    """Not yet, too, while the job has its row and no execution."""
    sfn = system.client("stepfunctions")
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=system.execution_arn(job_id))
    try:
        events = [event for page in pages for event in page["events"]]
    except sfn.exceptions.ExecutionDoesNotExist:
        return False
    return any(event.get("stateEnteredEventDetails", {}).get("name") == state for event in events)


# ---- Made and not stored ---------------------------------------------------------------------------------------------


def test_what_cannot_be_stored_is_unstored_and_stored_later_without_paying(system: System) -> None:
    system.preset("unstored", prompt="fault:file-404=4", n=2)
    system.stack.drop("inbox/unstored/cat.png", picture())
    job_id = system.job_of("inbox/unstored/cat.png")
    until(lambda: "made_at" in (system.row(job_id) or {}), "the row says unstored")

    assert system.execution(job_id)["status"] == "SUCCEEDED"

    ended(system, job_id, "completed", "moved", "2 of 2")
    assert len(system.tasks(job_id)) == 1


def test_an_alarm_rings_while_pictures_can_still_be_stored_and_after_that_they_are_lost(system: System) -> None:
    system.preset("dead", prompt="fault:file-404=1000")
    system.stack.drop("inbox/dead/cat.png", picture())
    job_id = system.job_of("inbox/dead/cat.png")
    system.until_state(job_id, "unstored")
    assert system.tasks(job_id) != []
    system.age(job_id, HOUR)
    system.sweep()
    alarm = json.loads(system.heard(system.messages_url, "JobsUnstoredAlarm")["Body"])
    assert alarm["NewStateValue"] == "ALARM"

    system.age(job_id, DAY)

    assert system.execution(job_id)["error"] == "lost"
    ended(system, job_id, "lost", "moved", "Stored 0 of 1", "HTTP 404", "is paid", "pays again")
    alarm = json.loads(system.heard(system.messages_url, "JobsLostAlarm")["Body"])
    assert alarm["NewStateValue"] == "ALARM"


# ---- Cancelled -------------------------------------------------------------------------------------------------------


def test_stopping_the_execution_cancels_a_job_that_waits_for_its_task(system: System) -> None:
    job_id = waiting(system, "stopped")

    system.stop(job_id)

    ended(system, job_id, "cancelled", "moved", "was stopped", " in_progress. The task", "no way to cancel it")
    assert system.execution(job_id)["status"] == "ABORTED"


def test_a_cancelled_job_whose_pictures_are_made_keeps_them(system: System, faults: Any, no_rule: None) -> None:
    faults("undeliverable-yet", times=None)
    job_id = waiting(system, "stopped-late", prompt="paint it")
    system.stop(job_id)
    until(lambda: system.tasks(job_id)[0]["status"] == "completed", "the task is done")
    system.stack.simulator.clear_faults()
    system.age(job_id, HOUR)

    system.sweep()

    result = ended(system, job_id, "cancelled", "moved", "was stopped", "Stored 1 of 1", "is paid")
    assert len(result["pictures"]) == 1


def test_a_job_that_is_stopped_before_it_was_sent_costs_nothing(system: System, faults: Any) -> None:
    faults("submit-429", times=None, value="5")
    system.preset("held")
    system.stack.drop("inbox/held/cat.png", picture())
    job_id = system.job_of("inbox/held/cat.png")
    until(lambda: "hold_until" in (system.row(job_id) or {}), "the job is refused for now")
    until(lambda: _state_entered(system, job_id, "Hold"), "its execution waits")

    system.stop(job_id)

    ended(system, job_id, "cancelled", "not moved", "was stopped", "nothing was paid")
    assert system.tasks(job_id) == []


# ---- The safety net --------------------------------------------------------------------------------------------------


def test_without_the_rule_every_job_still_ends(system: System, no_rule: None) -> None:
    job_id = waiting(system, "no-rule")
    system.stop(job_id)
    system.age(job_id, HOUR)

    system.sweep()

    ended(system, job_id, "cancelled", "moved", "was stopped")


def test_a_job_that_lost_its_execution_before_it_began_gets_one(system: System) -> None:
    system.preset("dead-execution")
    job_id, _, _ = system.dropped("inbox/dead-execution/cat.png", picture())
    row = system.until_state(job_id, "ended")
    # The row of a file whose execution was never started: the submit function died in between.
    unknown = ("verdict", "ended_at", "seen_at", "made_at", "links", "billed")
    known = {name: value for name, value in row.items() if name not in unknown}
    own = {
        "job_id": {"S": "orphan-1"},
        "results_at": {"S": "results/orphan-1/{index}.{ext}"},
        "state": {"S": "waiting"},
    }
    orphan = {**known, **own, "next_check": {"N": "1"}, "open": {"S": "yes"}}
    system.client("dynamodb").put_item(TableName=system.output("JobsTable"), Item=orphan)

    system.sweep()

    assert system.execution("orphan-1")["status"] == "SUCCEEDED"
    ended(system, "orphan-1", "completed", "moved", "1 of 1")


def test_an_execution_that_dies_before_its_document_is_read_is_rejected(system: System) -> None:
    system.start("too-large", {**DOCUMENT, "prompt": "x" * 262_080})

    execution = system.execution("too-large")

    assert execution["status"] == "FAILED"
    ended(system, "too-large", "rejected", "not moved", "nothing was paid")


def test_a_sweep_that_stays_away_rings_an_alarm(system: System) -> None:
    cloudwatch = system.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNamePrefix="bucketbrush-local-SweepSilent")["MetricAlarms"]
    name = alarm["AlarmName"]

    # This stack began without a sweep in the last 15 minutes.
    history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [item for item in history if "to ALARM" in item["HistorySummary"]]
    assert alarm["AlarmActions"] == [system.output("AlarmTopicArn")]
    system.sweep()

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    until(state, "the alarm is quiet", lambda found: found == "OK")


# ---- Redrive ---------------------------------------------------------------------------------------------------------


def redrive(system: System, job_id: str) -> None:
    system.client("stepfunctions").redrive_execution(executionArn=system.execution_arn(job_id))


def test_a_stopped_execution_that_is_redriven_in_time_goes_on(system: System, no_rule: None) -> None:
    job_id = waiting(system, "redriven", prompt="fault:undeliverable-yet=6")
    system.stop(job_id)
    assert system.execution(job_id)["status"] == "ABORTED"

    redrive(system, job_id)

    assert system.execution(job_id)["status"] == "SUCCEEDED"
    ended(system, job_id, "completed", "moved", "1 of 1")
    assert len(system.tasks(job_id)) == 1


@pytest.mark.parametrize("fault", ["task-failed", "submit-401"])
def test_redriving_what_has_ended_tells_the_same_and_pays_nothing(system: System, fault: str) -> None:
    system.preset("ended", prompt=f"fault:{fault}")
    job_id, _, result = system.dropped(f"inbox/ended/{fault}.png", picture())
    tasks = system.tasks(job_id)

    redrive(system, job_id)

    assert system.execution(job_id)["error"] == "failed"
    assert (system.result(job_id), system.tasks(job_id)) == (result, tasks)


def test_a_cancelled_job_stays_cancelled_when_it_is_redriven(system: System) -> None:
    job_id = waiting(system, "cancelled")
    system.stop(job_id)
    before = ended(system, job_id, "cancelled", "moved", "was stopped")

    redrive(system, job_id)

    assert system.execution(job_id)["error"] == "cancelled"
    assert system.result(job_id) == before


# ---- UnknownPolicy ---------------------------------------------------------------------------------------------------


def test_an_unknown_job_rings_an_alarm(system: System) -> None:
    system.preset("nobody-knows", prompt="fault:submit-500=9")

    job_id, execution, _ = system.dropped("inbox/nobody-knows/cat.png", picture())

    assert execution["error"] == "unknown"
    ended(system, job_id, "unknown", "unknown", "may have been paid", f"client_business_id {job_id}")
    assert json.loads(system.heard(system.messages_url, "JobsUnknownAlarm")["Body"])["NewStateValue"] == "ALARM"


# ---- Again -----------------------------------------------------------------------------------------------------------


def say_again(system: System, message: dict[str, Any]) -> None:
    system.client("sqs").send_message(QueueUrl=system.output("SubmitQueueUrl"), MessageBody=json.dumps(message))


def result_after(system: System, job_id: str) -> dict[str, Any]:
    system.execution(job_id)
    return system.result(job_id)


def test_a_rejected_job_runs_again_for_nothing_when_its_cause_is_mended(system: System) -> None:
    job_id, _, result = system.dropped("inbox/mended/cat.png", picture())
    assert result["outcome"] == "rejected"
    system.preset("mended")

    for _ in range(3):
        say_again(system, {"again": job_id})

    result = result_after(system, f"{job_id}-2")
    assert (result["outcome"], result["attempt"], result["again_of"]) == ("completed", 2, job_id)
    system.settled()
    assert [len(system.tasks(name)) for name in (job_id, f"{job_id}-2", f"{job_id}-3")] == [0, 1, 0]


def test_a_paid_job_runs_again_only_with_its_attempt_named(system: System) -> None:
    system.preset("paid")
    job_id, _, _ = system.dropped("inbox/paid/cat.png", picture())
    before = system.messages("SubmitDeadLettersUrl")

    say_again(system, {"again": job_id})
    until(lambda: system.messages("SubmitDeadLettersUrl") == before + 1, "it is refused")
    assert len(system.tasks(job_id)) == 1
    say_again(system, {"again": job_id, "attempt": 2})

    assert result_after(system, f"{job_id}-2")["outcome"] == "completed"
    assert [len(system.tasks(name)) for name in (job_id, f"{job_id}-2")] == [1, 1]
    assert system.result(job_id)["outcome"] == "completed"


def test_the_readme_line_finds_what_is_free_to_run_again(system: System) -> None:
    """The line for a whole prefix, its scan run as it stands there."""
    keys = [f"inbox/prefix/{name}.png" for name in ("a", "b")]
    jobs = {system.dropped(key, picture())[0] for key in keys}
    system.preset("prefix")
    paid, _, _ = system.dropped("inbox/prefix/paid.png", picture())
    block = re.search(r"aws dynamodb scan (.+?)\|", (ROOT / "README.md").read_text().replace("\\\n", " "), re.DOTALL)
    assert block
    words = shlex.split(block[1].replace("inbox/poster/", "inbox/prefix/"))
    given = {words[index][2:]: words[index + 1] for index in range(len(words) - 1) if words[index].startswith("--")}
    answer = system.client("dynamodb").scan(
        TableName=system.output("JobsTable"),
        FilterExpression=given["filter-expression"],
        ExpressionAttributeNames=json.loads(given["expression-attribute-names"]),
        ExpressionAttributeValues=json.loads(given["expression-attribute-values"]),
    )
    found = {item["job_id"]["S"] for item in answer["Items"]}
    assert (found, paid in found) == (jobs, False)
