"""What a batch needs of AWS, on the engine: queues, its row, its jobs' rows, its reports, its announcement."""

from __future__ import annotations

import importlib.util
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters.announcements import Bus, Topic
from bucketbrush.adapters.batches import BatchAnnouncements, Batches, Reports
from bucketbrush.adapters.queues import Queue
from bucketbrush.domain.batches import Batch, BatchCall, Mark, Tally, announcement_of, summarise
from bucketbrush.domain.errors import BatchBusy, EventUnreadable, MessagesUnsent, Money
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, Verdict, line_job_id
from bucketbrush.domain.layout import RESULTS_KEY
from bucketbrush.domain.life import Actor, State
from tests.contract.aws import (
    at_once,
    batches_table,
    bucket,
    client,
    held_by,
    keys,
    message,
    name,
    no_delay,
    on_engine,
    queue,
    scripted_client,
    seed,
    table,
    topic,
)
from tests.contract.scripted import Answer, Scripted
from tests.template.stack import ROOT
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bucket", "on_engine", "table", "topic"]
PROMPT = "quokkamoss at dawn"
SOURCE = ObjectVersion(bucket="in", key="inbox/é 猫.jobs.jsonl", version_id="v1", etag="e", size=7)
BATCH = Batch(
    batch_id="cats-0",
    source=SOURCE,
    requested_at=900,
    created_at=1000,
    results_at="results/cats-0/{index}.{ext}",
    jobs=12,
    sent=Mark(offset=30, number=4, jobs=3),
)


def bodies(url: str) -> list[dict[str, Any]]:
    """All messages that a queue holds, in no order that could be relied on; they are gone then."""
    found: list[dict[str, Any]] = []
    while messages := client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for received in messages:
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
            found.append(json.loads(received["Body"]))
    return found


# ---- Queues --------------------------------------------------------------------------------------------------------


class Refusing:
    """An SQS client that refuses every third message of so many requests, as SQS may; it sends the others."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.requests = 0

    def send_message_batch(self, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.requests += 1
        assert len(Entries) <= 10
        refused = Entries[::3] if self.times else []
        self.times -= bool(self.times)
        taken = [entry for entry in Entries if entry not in refused]
        answer = client("sqs").send_message_batch(QueueUrl=QueueUrl, Entries=taken) if taken else {}
        failed = [{"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"} for entry in refused]
        return {**answer, "Failed": failed}


@pytest.mark.parametrize("many", [0, 1, 10, 25])
def test_any_number_of_messages_is_sent_ten_at_a_time(many: int) -> None:
    url, _ = queue()
    sent = [{"line": {"number": number, "key": "é 猫"}} for number in range(many)]
    Queue(client("sqs"), url, no_delay).send_batch(sent)
    assert sorted(bodies(url), key=lambda body: body["line"]["number"]) == sent


def test_refused_messages_are_sent_again_and_the_others_are_not() -> None:
    url, _ = queue()
    delays: list[float] = []
    refusing: Any = Refusing(times=2)
    Queue(refusing, url, delays.append).send_batch([{"number": number} for number in range(15)])
    assert sorted(body["number"] for body in bodies(url)) == list(range(15))
    assert refusing.requests == 4
    assert delays == [0.1, 0.2]


def test_messages_that_stay_refused_are_said() -> None:
    url, _ = queue()
    refusing: Any = Refusing(times=99)
    with pytest.raises(MessagesUnsent, match=r"queue: 1 messages were refused 5 times \(InternalError\)"):
        Queue(refusing, url, lambda _: None).send_batch([{"number": 1}])
    assert bodies(url) == []


def test_a_message_may_come_later() -> None:
    url, _ = queue()
    began = time.monotonic()
    Queue(client("sqs"), url).send({"turn": 1}, 1)
    assert message(url) == {"turn": 1}
    assert time.monotonic() - began >= 0.9


# ---- The row -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> str:
    return batches_table()


@pytest.fixture
def batches(rows: str) -> Batches:
    return Batches(client("dynamodb"), rows, 400)


def new(**fields: Any) -> Batch:
    return BATCH.model_copy(update={"batch_id": name("batch"), **fields})


def test_a_row_comes_back_as_it_was_written(batches: Batches, rows: str) -> None:
    batch = new()
    assert batches.get(batch.batch_id) is None
    assert batches.create(batch) == batch
    assert batches.get(batch.batch_id) == batch
    item = client("dynamodb").get_item(TableName=rows, Key={"batch_id": {"S": batch.batch_id}})["Item"]
    assert item["expires_at"] == {"N": str(1000 + 400 * 86_400)}


def test_a_row_that_is_there_stays(batches: Batches) -> None:
    batch = batches.create(new(jobs=5))
    assert batches.create(batch.model_copy(update={"jobs": 7})) == batch
    assert batches.get(batch.batch_id) == batch


def test_a_change_needs_the_turn_and_the_lease_that_were_seen(batches: Batches) -> None:
    seen = batches.create(new())
    mine = batches.change(seen, turn=0, owner="request-1", lease_until=2000)
    with pytest.raises(BatchBusy, match=f"batch {seen.batch_id}: another invocation has changed it"):
        batches.change(seen, owner="request-2", lease_until=2001)
    moved = batches.change(mine, sent=Mark(offset=60, number=7, jobs=6))
    over = batches.change(moved, turn=1, owner="", lease_until=0)
    with pytest.raises(BatchBusy):
        batches.change(moved, sent=Mark())
    assert batches.get(seen.batch_id) == over
    assert (over.turn, over.sent.jobs) == (1, 6)


def test_of_many_at_once_one_takes_the_turn(batches: Batches) -> None:
    seen = batches.create(new())

    def take(number: int) -> Callable[[], Batch]:
        return lambda: batches.change(seen, owner=f"request-{number}", lease_until=2000)

    found = at_once([take(number) for number in range(8)])
    assert sum(isinstance(item, Batch) for item in found) == 1
    assert sum(isinstance(item, BatchBusy) for item in found) == 7


def test_a_write_that_was_repeated_is_no_conflict(rows: str) -> None:
    """As boto3 does when the first answer is lost."""

    class Repeating:
        def __getattr__(self, method: str) -> Any:
            return getattr(client("dynamodb"), method)

        def put_item(self, **request: Any) -> Any:
            client("dynamodb").put_item(**request)
            return client("dynamodb").put_item(**request)

    repeating: Any = Repeating()
    batches = Batches(repeating, rows, 400)
    batch = batches.create(new())
    taken = batches.change(batch, owner="request-1", lease_until=2000)
    assert batches.change(taken, turn=1, owner="", lease_until=0).turn == 1


def test_another_error_than_a_refused_condition_is_raised(script: Scripted) -> None:
    script.answer = Answer(400, {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"})
    batches = Batches(scripted_client("dynamodb", script.url), "batches", 400)
    for call in (lambda: batches.create(BATCH), lambda: batches.change(BATCH, turn=1)):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call()


# ---- The jobs' rows ------------------------------------------------------------------------------------------------


def ended(job_id: str, **fields: Any) -> Job:
    verdict = Verdict(outcome=Outcome.FAILED, reason="TaskFailed", money=Money.NOT_MOVED, message="no")
    recipe = {"model": "gpt-image-2-vip", "prompt": PROMPT}
    facts: dict[str, Any] = {"state": State.ENDED, "verdict": verdict, "ended_at": 3, "recipe": recipe, **fields}
    return Job(job_id=job_id, created_at=1, estimated=20, billed=10, results_at="results/{index}.{ext}", **facts)


def test_rows_are_read_a_hundred_at_a_time_without_their_prompts(table: str) -> None:
    ids = [name("line") for _ in range(100)]
    seed(table, *map(ended, ids[::2]))
    found = {job.job_id: job for job in held_by(Actor.BATCH, table).get_many(ids)}
    assert set(found) == set(ids[::2])
    for job_id, job in found.items():
        assert job == ended(job_id, recipe=None)


def test_rows_that_dynamodb_leaves_for_later_are_asked_for_again(table: str) -> None:
    """It does when an answer would be larger than 16 MB, or with too much to do (API reference, "BatchGetItem")."""
    ids = [name("line") for _ in range(7)]
    seed(table, *map(ended, ids))

    class Tired:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803 - boto3's names
            request = RequestItems[table]
            now, later = request["Keys"][:3], request["Keys"][3:]
            answer = client("dynamodb").batch_get_item(RequestItems={table: {**request, "Keys": now}})
            return {**answer, "UnprocessedKeys": {table: {**request, "Keys": later}} if later else {}}

    delays: list[float] = []
    tired: Any = Tired()
    ledger = held_by(Actor.BATCH, table, dynamodb=tired)
    ledger._delay = delays.append
    assert {job.job_id for job in ledger.get_many(ids)} == set(ids)
    assert len(delays) == 2


# ---- Reports -------------------------------------------------------------------------------------------------------


@pytest.fixture
def reports(bucket: str) -> Reports:
    return Reports(client("s3"), bucket)


def uploads(of_bucket: str) -> list[Any]:
    """Multipart uploads that were left open."""
    found: list[Any] = client("s3").list_multipart_uploads(Bucket=of_bucket).get("Uploads", [])
    return found


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024 - 1, 5 * 1024 * 1024, 11 * 1024 * 1024])
def test_a_report_is_written_whole_and_once(reports: Reports, bucket: str, size: int) -> None:
    key = f"results/{name('report')}/lines.jsonl"
    content = bytes(index % 251 for index in range(1024)) * (size // 1024) + b"x" * (size % 1024)
    pieces = [content[at : at + 100_000] for at in range(0, size, 100_000)]
    assert reports.write_once(key, "application/x-ndjson", iter(pieces)) is True
    assert reports.read(key) == content
    assert reports.write_once(key, "application/x-ndjson", iter([b"y" * size])) is False
    assert reports.read(key) == content
    assert client("s3").head_object(Bucket=bucket, Key=key)["ContentType"] == "application/x-ndjson"
    assert uploads(bucket) == []


def test_an_error_leaves_nothing_behind(reports: Reports, bucket: str) -> None:
    key = f"results/{name('report')}/lines.jsonl"

    def breaking() -> Iterator[bytes]:
        yield b"x" * 6 * 1024 * 1024
        raise EventUnreadable("the jobs could not be read")

    with pytest.raises(EventUnreadable):
        reports.write_once(key, "application/x-ndjson", breaking())
    assert uploads(bucket) == []
    assert list(keys(bucket, key)) == []


# ---- The announcement ----------------------------------------------------------------------------------------------


def test_the_topic_and_the_bus_hear_the_same(topic: str) -> None:
    topic_queue, bus_queue, rule = queue(), queue(), name("rule")
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=topic_queue[1])
    client("events").put_rule(Name=rule, EventPattern=json.dumps({"detail-type": ["Image Batch Completed"]}))
    client("events").put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": bus_queue[1]}])
    told = announcement_of(summarise(BATCH, Tally(), "summer", 3000), "out", "results/cats-0/batch.json")

    BatchAnnouncements(Topic(client("sns"), topic), Bus(client("events"))).tell(told, "Bucketbrush: batch")

    note, event = message(topic_queue[0]), message(bus_queue[0])
    assert json.loads(note["Message"]) == event["detail"] == told.model_dump(mode="json")
    assert note["Subject"] == f"Bucketbrush batch {told.outcome}: cats-0"
    attributes = {key: value["Value"] for key, value in note["MessageAttributes"].items()}
    # No attribute "batch": mail boxes hear nothing of what has one, because that is a line.
    assert attributes == {"kind": "batch", "outcome": told.outcome.value, "folder": "summer"}


# ---- The function --------------------------------------------------------------------------------------------------


class Context:
    """What Lambda gives beside the event."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def handler() -> Any:
    """The batch function's handler, loaded anew."""
    spec = importlib.util.spec_from_file_location("batch_app", ROOT / "functions" / "batch" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def deliver(handle: Any, body: dict[str, Any]) -> None:
    """One message as SQS gives it."""
    handle({"Records": [{"messageId": "m", "body": json.dumps(body)}]}, Context())


def test_a_batch_from_its_first_message_to_its_last(
    on_engine: None, monkeypatch: pytest.MonkeyPatch, bucket: str, table: str, rows: str, topic: str
) -> None:
    (submits, _), (turns, _), (told, told_arn) = queue(), queue(), queue()
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=told_arn)
    environment = {
        "JOBS_TABLE": table,
        "JOBS_MACHINE_ARN": "machine",
        "LIMITS_TABLE": "limits",
        "KEEP_DAYS": "400",
        "BATCHES_TABLE": rows,
        "BATCH_QUEUE_URL": turns,
        "SUBMIT_QUEUE_URL": submits,
        "TOPIC_ARN": topic,
        "INBOX_BUCKET": bucket,
        "INBOX_PREFIX": "inbox/",
        "RESULTS_BUCKET": bucket,
        "RESULTS_KEY": RESULTS_KEY,
        "MAX_QUEUE_SECONDS": "86400",
        "DEADLINE_SECONDS": "21600",
        "POWERTOOLS_METRICS_NAMESPACE": "Bucketbrush",
        "POWERTOOLS_SERVICE_NAME": "test",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    content = "\n".join(
        ["\ufeff" + json.dumps({"prompt": f"{PROMPT} {number}"}) + "\r" for number in range(23)]
    ).encode()
    key = f"inbox/{name('batch')}/cats.jobs.jsonl"
    version = client("s3").put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]
    call = BatchCall(
        source=ObjectVersion(bucket=bucket, key=key, version_id=version, size=len(content)), requested_at=1_790_000_000
    )
    handle = handler()

    deliver(handle, {"batch": call.model_dump()})
    lines = [body["line"] for body in bodies(submits)]
    assert sorted(line["number"] for line in lines) == list(range(1, 24))
    assert PROMPT not in json.dumps(lines)
    seed(table, *(ended(line_job_id(call.source, call.batch_id, line["number"])) for line in lines))
    deliver(handle, until(lambda: bodies(turns), "the next turn")[0])

    note = json.loads(message(told)["Message"])
    assert (note["outcome"], note["outcomes"], note["jobs"]) == ("failed", {"failed": 23}, 23)
    summary = json.loads(client("s3").get_object(**_place(note["summary"]))["Body"].read())
    assert (summary["estimated_usd"], len(summary["problems"])) == (0.00046, 23)
    report = client("s3").get_object(**_place(note["lines"]))["Body"].read()
    assert [json.loads(line)["line"] for line in report.splitlines()] == list(range(1, 24))
    assert PROMPT not in json.dumps(summary) + report.decode()
    row = client("dynamodb").get_item(TableName=rows, Key={"batch_id": {"S": call.batch_id}})["Item"]
    assert PROMPT not in json.dumps(row)

    deliver(handle, {"batch": call.model_dump()})  # the event comes again
    assert bodies(turns) == bodies(submits) == bodies(told) == []


def test_a_message_that_is_none_is_said(on_engine: None) -> None:
    with pytest.raises(EventUnreadable, match="BatchMessage: batch: Field required"):
        deliver(handler(), {"line": 1})


def _place(stored: dict[str, str]) -> dict[str, str]:
    return {"Bucket": stored["bucket"], "Key": stored["key"]}
