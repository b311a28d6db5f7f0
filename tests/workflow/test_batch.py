"""A file of many jobs, one per line: dropped once and delivered twice, through the deployed template."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.samples import plain
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System

KEY = "inbox/holiday/cats.jobs.jsonl"
JOBS = 30
# What is wrong, by the number of its line; a blank line is none of them.
BAD = {
    4: ("not JSON", "line 4: found no JSON"),
    12: ('["a list"]', "line 12: found a list of 1"),
    32: (json.dumps({"model": "gpt-image-2-vip", "prompt": PROMPT_MARK, "size": "7:5"}), 'line 32: size: found "7:5"'),
}
BLANK = (2, 17)


def content() -> bytes:
    sound = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a cat"}
    lines = []
    for number in range(1, JOBS + len(BLANK) + 1):
        text = BAD[number][0] if number in BAD else "  " if number in BLANK else json.dumps(sound)
        lines.append(text + ("\r\n" if number % 2 else "\n"))
    return "".join(lines).encode()


@dataclass(frozen=True)
class Told:
    """A batch that has ended: its announcement, its two files, and the rows of its jobs."""

    batch_id: str
    messages: list[dict[str, Any]]
    summary: dict[str, Any]
    lines: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def begin(system: System) -> dict[str, Any]:
    """Drop the file, which S3 tells once, and its event once more; the batch's own message, as the first of them is."""
    bucket = system.output("InboxBucket")
    put = system.client("s3").put_object(Bucket=bucket, Key=KEY, Body=content())
    version = {"version_id": put["VersionId"], "etag": put["ETag"].strip('"'), "size": len(content())}
    found = {"key": KEY, "size": version["size"], "version-id": version["version_id"], "etag": version["etag"]}
    detail = {"bucket": {"name": bucket}, "object": {**found, "sequencer": "00617F08299329D189"}, "reason": "PutObject"}
    event = {"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-21T08:00:00Z", "detail": detail}
    send(system, "SubmitQueueUrl", event)
    return {"batch": {"source": {"bucket": bucket, "key": KEY, **version}, "requested_at": 1_795_248_000}}


def send(system: System, queue: str, body: dict[str, Any]) -> None:
    system.client("sqs").send_message(QueueUrl=system.output(queue), MessageBody=json.dumps(body))


def row_of_batch(system: System) -> dict[str, Any]:
    """The batch's row when it has ended."""

    def look() -> dict[str, Any] | None:
        items = system.client("dynamodb").scan(TableName=system.output("BatchesTable"))["Items"]
        rows = [plain({"M": item}) for item in items]
        return next((row for row in rows if row["source"]["key"] == KEY and "ended_at" in row), None)

    return until(look, "the end of the batch", pause=0.2)


def passed_over(system: System) -> int:
    """How many messages came when their turn was over."""
    pages = system.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName="/bucketbrush/bucketbrush-local/batch")
    return sum("this turn of the batch is over" in event["message"] for page in found for event in page["events"])


def stored(system: System, place: dict[str, str]) -> bytes:
    assert place["bucket"] == system.output("ResultsBucket")
    return system.stack.result(place["key"])


@pytest.fixture(scope="module")
def told(system: System) -> Told:
    message = begin(system)
    send(system, "BatchQueueUrl", message)
    row = row_of_batch(system)
    before = passed_over(system)
    send(system, "BatchQueueUrl", message)  # also when all is over
    until(lambda: passed_over(system) > before, "the late message is passed over", pause=0.1)
    batch_id = row["batch_id"]
    about = f'"batch_id":"{batch_id}"'
    system.heard(system.messages_url, about)
    system.heard(system.events_url, "Image Batch Completed", batch_id)
    announcements = [json.loads(item["Body"]) for item in system.inbox[system.messages_url] if about in item["Body"]]
    summary = json.loads(stored(system, announcements[0]["summary"]))
    lines = [json.loads(line) for line in stored(system, announcements[0]["lines"]).splitlines()]
    rows = [plain({"M": item}) for item in system.stack.rows()]
    return Told(batch_id, announcements, summary, lines, [row for row in rows if row.get("batch") == batch_id])


def test_every_line_is_one_job_with_one_outcome_and_at_most_one_task(system: System, told: Told) -> None:
    assert (row := Counter(job["line"]["number"] for job in told.rows)).total() == JOBS
    assert set(row) == set(range(1, JOBS + len(BLANK) + 1)) - set(BLANK)
    assert {job["state"] for job in told.rows} == {"ended"}
    tasks = Counter(task["client_business_id"] for task in system.stack.simulator.tasks())
    by_line = {job["line"]["number"]: tasks[job["job_id"]] for job in told.rows}
    assert by_line == {number: 0 if number in BAD else 1 for number in row}


def test_a_bad_line_says_which_it_is_and_stops_no_other(told: Told) -> None:
    ends = {end["line"]: end for end in told.lines}
    assert [end["line"] for end in told.lines] == sorted(ends)
    assert Counter(end["outcome"] for end in told.lines) == {"completed": JOBS - len(BAD), "rejected": len(BAD)}
    for number, (_, said) in BAD.items():
        assert ends[number]["outcome"] == "rejected"
        assert said in ends[number]["message"], ends[number]["message"]
        assert KEY in ends[number]["message"]


def test_the_summary_adds_up_what_the_lines_say(told: Told) -> None:
    assert told.summary["outcome"] == "partial"
    assert (told.summary["jobs"], told.summary["outcomes"]) == (JOBS, {"completed": 27, "rejected": 3})
    assert [end["line"] for end in told.summary["problems"]] == sorted(BAD)
    assert told.summary["estimated_usd"] == pytest.approx(27 * 0.015)
    assert told.summary["folder"] == "holiday"
    assert PROMPT_MARK not in json.dumps([told.summary, told.lines, told.messages])


def test_a_lines_result_lies_where_the_report_says(system: System, told: Told) -> None:
    for end in (told.lines[0], told.lines[-1]):
        result = json.loads(system.stack.result(end["result"]))
        assert (result["job_id"], result["outcome"]) == (end["job_id"], end["outcome"])
        assert (result["batch"], result["line"]["number"]) == (told.batch_id, end["line"])


def test_the_end_of_a_batch_is_told_once(system: System, told: Told) -> None:
    assert len(told.messages) == 1
    events = [json.loads(item["Body"]) for item in system.inbox[system.events_url]]
    (event,) = [event for event in events if event["detail-type"] == "Image Batch Completed"]
    assert event["detail"] == told.messages[0]
    assert told.messages[0]["message"] == f"{KEY}: 30 jobs: 27 completed, 3 rejected."
    assert system.messages("BatchDeadLettersUrl") == 0


def test_a_file_without_a_job_is_rejected_as_a_whole(system: System) -> None:
    system.stack.drop("inbox/empty.jobs.jsonl", b"\n \n")
    message = json.loads(system.heard(system.messages_url, "inbox/empty.jobs.jsonl")["Body"])
    assert (message["outcome"], message["jobs"], message["lines"]) == ("rejected", 0, None)
    assert "found no line with a job; allowed: 1 to 100,000" in message["message"]
