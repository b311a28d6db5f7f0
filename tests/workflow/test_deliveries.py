"""What is delivered twice, all at once, or in no readable form."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from tests.workflow.conftest import System

FILES = 100


def _event(system: System, key: str, content: bytes) -> str:
    """Drop a file, and give the body of the message that S3's event for it becomes."""
    bucket = system.output("InboxBucket")
    put = system.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    version = {"version-id": put["VersionId"], "etag": put["ETag"].strip('"'), "sequencer": "00617F08299329D189"}
    found = {"key": key, "size": len(content), **version}
    detail = {"bucket": {"name": bucket}, "object": found, "reason": "PutObject"}
    return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def _deliver(system: System, body: str) -> None:
    system.client("sqs").send_message(QueueUrl=system.output("SubmitQueueUrl"), MessageBody=body)


def _executions(system: System) -> Counter[str]:
    pages = system.client("stepfunctions").get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=system.output("JobsMachineArn"))
    return Counter(execution["name"] for page in found for execution in page["executions"])


def test_six_deliveries_at_once_are_one_task_and_one_execution(system: System) -> None:
    system.preset("twice")

    body = _event(system, "inbox/twice/cat.png", picture())
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: _deliver(system, body), range(5)))
    job_id = system.job_of("inbox/twice/cat.png")
    system.execution(job_id)

    system.settled()
    assert len(system.tasks(job_id)) == 1
    assert _executions(system)[job_id] == 1
    assert system.result(job_id)["outcome"] == "completed"


def test_five_late_deliveries_change_nothing(system: System) -> None:
    system.preset("twice")
    body = _event(system, "inbox/twice/again.png", picture())
    job_id = system.job_of("inbox/twice/again.png")
    system.execution(job_id)
    until(lambda: (system.row(job_id) or {})["state"]["S"] == "ended", "the row is closed")
    before = system.row(job_id)

    for _ in range(5):
        _deliver(system, body)
    system.settled()

    assert len(system.tasks(job_id)) == 1
    assert _executions(system)[job_id] == 1
    assert system.row(job_id) == before


def test_a_new_version_of_a_file_is_a_new_job(system: System) -> None:
    system.preset("versions")

    system.dropped("inbox/versions/cat.png", picture())
    system.stack.drop("inbox/versions/cat.png", picture(colour=(1, 2, 3)))

    def rows() -> list[dict[str, Any]]:
        found = (row for row in system.stack.rows() if "source" in row)
        return [row for row in found if row["source"]["M"]["key"]["S"] == "inbox/versions/cat.png"]

    until(lambda: len(rows()) == 2, "a row for each version", pause=0.1)
    assert {system.execution(row["job_id"]["S"])["status"] for row in rows()} == {"SUCCEEDED"}


def test_files_dropped_all_at_once_all_come_back(system: System) -> None:
    system.preset("burst")
    content = picture()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda index: system.stack.drop(f"inbox/burst/{index}.png", content), range(FILES)))

    def ended() -> list[str]:
        rows = (row for row in system.stack.rows() if row.get("preset", {}).get("S") == "burst")
        return [row["verdict"]["M"]["outcome"]["S"] for row in rows if row["state"]["S"] == "ended"]

    until(lambda: len(ended()) == FILES, f"{FILES} jobs have ended", pause=1)
    assert Counter(ended()) == {"completed": FILES}
    jobs = Counter(task["client_business_id"] for task in system.stack.simulator.tasks())
    assert {job: count for job, count in jobs.items() if count > 1} == {}
    assert system.messages("DropRuleDeadLettersUrl") == 0


def test_an_unreadable_message_reaches_the_dead_letters_and_an_alarm_rings(system: System) -> None:
    before = system.messages("SubmitDeadLettersUrl")
    _deliver(system, '{"detail-type": "Object Created", "detail": {"bucket": {}}}')

    until(lambda: system.messages("SubmitDeadLettersUrl") > before, "the message is a dead letter")

    pages = system.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName="/bucketbrush/bucketbrush-local/submit")
    logged = [event["message"] for page in found for event in page["events"]]
    assert any("EventUnreadable" in line and "detail.bucket.name: Field required" in line for line in logged)
    alarm = json.loads(system.heard(system.messages_url, "SubmitDeadLettersAlarm")["Body"])
    assert alarm["NewStateValue"] == "ALARM"


def test_a_failed_execution_rings_an_alarm_and_outcomes_are_counted(system: System) -> None:
    system.dropped("inbox/nobody-wrote-this-preset/cat.png", picture())

    alarm = json.loads(system.heard(system.messages_url, "ExecutionsFailedAlarm")["Body"])
    assert alarm["NewStateValue"] == "ALARM"
    metrics = system.client("cloudwatch").list_metrics(Namespace="Bucketbrush", MetricName="Jobs")["Metrics"]
    counted = [{item["Name"]: item["Value"] for item in metric["Dimensions"]} for metric in metrics]
    assert {"service": "bucketbrush-local", "outcome": "rejected"} in counted
