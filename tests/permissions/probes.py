"""What the tests of the workflow do not notice, or notice only once on one stack: run by `make chaos`."""

from __future__ import annotations

import json
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.samples import picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK
from tests.workflow.test_limits import deployed

if TYPE_CHECKING:
    from tests.workflow.conftest import System

_MODEL = "gpt-image-2-vip"  # of every preset and line here
_LINE = json.dumps({"model": _MODEL, "prompt": f"{PROMPT_MARK} a boat"})
_numbers = count(1)


def completed(system: System, preset: str) -> str:
    """A dropped picture's job, which must end completed."""
    system.preset(preset)
    job_id, _, result = system.dropped(f"inbox/{preset}/cat.png", picture())
    assert result["outcome"] == "completed", result["message"]
    return job_id


def test_listeners_hear_of_a_task(system: System) -> None:
    job_id = completed(system, "heard")
    assert system.heard(system.events_url, "Image Job Submitted", job_id)


def test_a_rejected_job_runs_again(system: System) -> None:
    preset = f"mended-{next(_numbers)}"
    job_id, _, result = system.dropped(f"inbox/{preset}/cat.png", picture())
    assert result["outcome"] == "rejected"
    system.preset(preset)
    again = json.dumps({"again": job_id})
    system.client("sqs").send_message(QueueUrl=system.output("SubmitQueueUrl"), MessageBody=again)
    assert system.execution(f"{job_id}-2")["status"] == "SUCCEEDED"


def test_durations_are_known_and_noted(system: System) -> None:
    """A job adds to rows that are not there yet; the next one finds them damaged and writes them anew."""
    table, before = {"TableName": system.output("DurationsTable")}, system.counted("DurationsUnavailable")
    dynamodb = system.client("dynamodb")

    def rows() -> list[dict[str, Any]]:
        found = dynamodb.scan(**table)["Items"]
        return [row for row in found if row["name"]["S"].startswith(_MODEL)]

    for row in rows():
        dynamodb.delete_item(**table, Key={"name": row["name"]})
    system.known.add(completed(system, "durations"))
    noted = rows()
    assert (system.counted("DurationsUnavailable"), len(noted)) == (before, 3)
    for row in noted:
        dynamodb.put_item(**table, Item={**row, "jobs": {"S": "many"}})
    completed(system, "durations")
    assert [row["jobs"] for row in rows()] == [{"N": "1"}] * 3


def drop_batch(system: System) -> str:
    """Drop a batch of two jobs; its key."""
    key = f"inbox/batch-{next(_numbers)}.jobs.jsonl"
    system.stack.drop(key, f"{_LINE}\n{_LINE}\n".encode())
    return key


def told_of(system: System, batch: str) -> dict[str, Any]:
    """What was announced of a batch."""
    told: dict[str, Any] = json.loads(system.heard(system.messages_url, batch, '"batch_id"')["Body"])
    return told


def test_a_batch_ends(system: System) -> None:
    told = told_of(system, drop_batch(system))
    assert (told["outcome"], told["outcomes"]) == ("completed", {"completed": 2})
    assert system.heard(system.events_url, "Image Batch Completed", told["batch_id"])
    assert len(system.stack.result(told["lines"]["key"]).splitlines()) == 2


def test_what_an_earlier_turn_of_a_batch_has_written_stays(system: System) -> None:
    """It had written how the lines ended, of which there was none, and was killed."""
    later = {"name": {"S": "departures"}, "next_departure": {"N": str(int(time.time() * 1000) + 6000)}}
    system.client("dynamodb").put_item(TableName=system.output("LimitsTable"), Item=later)
    key = drop_batch(system)

    def folder() -> str | None:
        rows = system.client("dynamodb").scan(TableName=system.output("BatchesTable"))["Items"]
        found = (row["results_at"]["S"] for row in rows if row["source"]["M"]["key"]["S"] == key)
        return next((at.rpartition("/")[0] for at in found), None)

    written = {"Bucket": system.output("ResultsBucket"), "Key": f"{until(folder, 'the batch has a row')}/lines.jsonl"}
    system.client("s3").put_object(**written, Body=b"", IfNoneMatch="*")
    assert (told_of(system, key)["jobs"], system.stack.result(written["Key"])) == (0, b"")


def test_a_budget_is_settled_and_measured(system: System) -> None:
    with deployed(system, MONTHLY_BUDGET_USD="1000"):
        job_id = completed(system, "budget")
        assert int(system.until_state(job_id, "ended")["share"]["M"]["spent"]["N"]) > 0
        assert "FunctionError" not in system.sweep()


def test_a_job_without_an_execution_gets_one(system: System) -> None:
    """Its submit function died in between."""
    job_id = completed(system, "orphan")
    row = system.until_state(job_id, "ended")
    unknown = ("verdict", "ended_at", "seen_at", "made_at", "links", "billed")
    orphan = f"orphan-{next(_numbers)}"
    own: dict[str, Any] = {
        "job_id": {"S": orphan},
        "results_at": {"S": f"results/{orphan}/{{index}}.{{ext}}"},
        "state": {"S": "waiting"},
        "next_check": {"N": "1"},
        "open": {"S": "yes"},
    }
    known = {name: value for name, value in row.items() if name not in unknown}
    system.client("dynamodb").put_item(TableName=system.output("JobsTable"), Item={**known, **own})
    assert "FunctionError" not in system.sweep()
    assert system.execution(orphan)["status"] == "SUCCEEDED"


def test_what_died_before_it_had_a_row_is_told(system: System) -> None:
    """As the workflow calls the finalize function when its first step did not come so far."""
    job_id = f"rowless-{next(_numbers)}"
    payload = json.dumps({"job_id": job_id, "fault": "States.DataLimitExceeded"})
    name = system.output("FinalizeFunctionName")
    answer = system.client("lambda").invoke(FunctionName=name, Payload=payload)
    assert "FunctionError" not in answer
    assert system.until_state(job_id, "ended")


def test_nothing_stays_of_a_picture_that_is_none(system: System) -> None:
    """More than one part, and no picture's end."""
    system.preset("large", prompt="fault:file-oversize=7")
    system.stack.drop("inbox/large/cat.png", picture())
    job_id = system.job_of("inbox/large/cat.png")
    system.until_state(job_id, "unstored")
    system.age(job_id, 24 * 3600)
    assert system.execution(job_id)["error"] == "lost"
    uploads = system.client("s3").list_multipart_uploads(Bucket=system.output("ResultsBucket")).get("Uploads", [])
    keys = [upload["Key"] for upload in uploads if job_id in upload["Key"]]
    for upload in uploads:
        place = {"Bucket": system.output("ResultsBucket"), "Key": upload["Key"], "UploadId": upload["UploadId"]}
        system.client("s3").abort_multipart_upload(**place)
    assert keys == []
