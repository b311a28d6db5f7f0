"""Every sample in events/ is an event that comes, and its function understands it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush import events, messages
from bucketbrush.domain.batches import BatchMessage
from bucketbrush.events import ExecutionEnded, FinalizeCall, Message, StatusCall
from bucketbrush.intake import Again, BatchLine, Drop, Request
from bucketbrush.messages import AgainCall, LineCall, ObjectCreated, RequestCall
from tests.template.stack import ROOT, Resources

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = sorted((ROOT / "events").iterdir())
QUEUES: dict[str, tuple[str, Any, type | None]] = {
    "submit-queue-batch.json": ("SubmitQueue", ObjectCreated, Drop),
    "submit-again-batch.json": ("SubmitQueue", AgainCall, Again),
    "submit-request-batch.json": ("SubmitQueue", RequestCall, Request),
    "batch-queue-batch.json": ("BatchQueue", BatchMessage, None),
    "batch-turn-batch.json": ("BatchQueue", BatchMessage, None),
    "batch-line-batch.json": ("SubmitQueue", LineCall, BatchLine),
    "sweep-queue-batch.json": ("ExecutionEndedQueue", ExecutionEnded, None),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "submit-call.json": messages.parse_order,
    "status-call.json": lambda event: events.parse(StatusCall, event),
    "finalize-call.json": lambda event: events.parse(FinalizeCall, event),
    "finalize-bill-call.json": lambda event: events.parse(FinalizeCall, event).bill,
    "object-created.json": lambda event: messages.parse_message(json.dumps(event)),
    "image-job-requested.json": lambda event: messages.parse_message(json.dumps(event)),
    "request-message.json": lambda event: messages.parse_message(json.dumps(event)),
    "request-call.json": messages.parse_request,
}
# A job document is no event; the schedule says no more than that it is time; of an ended execution its name passes;
# two are what a caller makes a request of.
OTHERS = {
    *("job-document.json", "sweep-schedule.json", "execution-ended.json"),
    *("put-events-entries.json", "caller-workflow.json"),
}


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / name).read_text())


def test_every_sample_is_known_here() -> None:
    assert {path.name for path in SAMPLES} == {*QUEUES, *CALLS, *OTHERS}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_understood(name: str) -> None:
    assert CALLS[name](sample(name))


@pytest.mark.parametrize("name", QUEUES)
def test_a_batch_is_one_as_sqs_makes_it(resources: Resources, name: str) -> None:
    queue, shape, kind = QUEUES[name]
    (record,) = sample(name)["Records"]
    body = events.parse(Message, record).body
    assert events.parse(shape, body)
    if kind:
        assert isinstance(messages.parse_message(body), kind)
    assert record["md5OfBody"] == hashlib.md5(body.encode()).hexdigest()
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(f"-{queue}")
    assert queue in resources.of("AWS::SQS::Queue")


def test_the_drop_in_the_queue_is_the_drop() -> None:
    (record,) = sample("submit-queue-batch.json")["Records"]
    assert json.loads(record["body"]) == sample("object-created.json")


def test_the_request_in_the_queue_is_the_request() -> None:
    (record,) = sample("submit-request-batch.json")["Records"]
    assert json.loads(record["body"]) == sample("request-message.json")


def test_the_entry_that_a_caller_puts_is_the_event_that_comes() -> None:
    (entry,) = sample("put-events-entries.json")
    event = sample("image-job-requested.json")
    put = (entry["Source"], entry["DetailType"], json.loads(entry["Detail"]))
    assert put == (event["source"], event["detail-type"], event["detail"])


def test_a_callers_workflow_waits_for_the_job() -> None:
    paint = sample("caller-workflow.json")["States"]["Paint"]
    assert paint["Resource"].endswith(":startExecution.sync:2")
    assert paint["Arguments"]["StateMachineArn"].endswith(":stateMachine:bucketbrush-jobs")


def test_the_schedule_is_an_event_without_records(resources: Resources) -> None:
    """By this the sweep tells it from a batch (EventBridge User Guide, "Creating a rule that runs on a schedule")."""
    event = sample("sweep-schedule.json")
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert "Records" not in event
    assert event["resources"][0].endswith("-SweepFunctionSchedule")
    assert "SweepFunctionSchedule" in resources.of("AWS::Events::Rule")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_name_no_account_that_could_be_one(path: Any) -> None:
    """AWS documentation uses these numbers, and names buckets like this."""
    text = path.read_text()
    numbers = {word for word in "".join(c if c.isdigit() else " " for c in text).split() if len(word) == 12}
    assert numbers <= {"111122223333", "123456789012"}
