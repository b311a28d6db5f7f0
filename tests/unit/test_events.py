"""What the functions are called with, and what they answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush import events, messages
from bucketbrush.domain.errors import EventUnreadable
from bucketbrush.domain.jobs import JOB_ID, Job, Line, ObjectVersion
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.life import State
from bucketbrush.domain.recipe import Place, read_job
from bucketbrush.events import (
    ExecutionEnded,
    FinalizeCall,
    Message,
    StatusCall,
)
from bucketbrush.intake import Again, BatchLine, Drop, Request
from bucketbrush.messages import ObjectCreated, SubmitCall
from tests.models import OURS
from tests.unit.test_architecture import ROOT

EVENTS = ROOT / "events"
SECRET = "paint the secret plan"


def dropped(key: str = "inbox/poster/cat.png", **changes: Any) -> dict[str, Any]:
    """As in the Amazon S3 User Guide, "EventBridge event message structure"."""
    item = {
        "key": key,
        "size": 5,
        "etag": "b57f9512698f4b09e608f4f2a65852e5",
        "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        "sequencer": "00617F08299329D189",
    }
    detail = {
        "version": "0",
        "bucket": {"name": "amzn-s3-demo-bucket1"},
        "object": {name: value for name, value in {**item, **changes}.items() if value is not None},
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    }
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "ca-central-1",
        "resources": ["arn:aws:s3:::amzn-s3-demo-bucket1"],
        "detail": detail,
    }


def requested(**changes: Any) -> dict[str, Any]:
    """An event by which another service asks for a job."""
    detail = {"stack": "bucketbrush", "request_id": "order-4711", "job": {"prompt": SECRET}, **changes}
    given = {name: value for name, value in detail.items() if value is not None}
    return {**dropped(), "source": "shop", "detail-type": "Image Job Requested", "detail": given}


def sample(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def drop_of(body: str) -> Drop:
    """The message must be a drop."""
    message = messages.parse_message(body)
    assert isinstance(message, Drop)
    return message


def test_the_samples_are_events_as_they_come() -> None:
    source = drop_of((EVENTS / "object-created.json").read_text()).source
    assert source.key == "inbox/poster/summer cat+1 100% été.PNG"
    (record,) = [events.parse(Message, record) for record in sample("submit-queue-batch.json")["Records"]]
    assert drop_of(record.body).source == source
    assert events.parse(StatusCall, sample("status-call.json")).polls == 3
    assert events.parse(FinalizeCall, sample("finalize-call.json")).fault is None
    (record,) = [events.parse(Message, record) for record in sample("submit-again-batch.json")["Records"]]
    again = messages.parse_message(record.body)
    assert isinstance(again, Again)
    assert (JOB_ID.fullmatch(again.job_id) is not None, again.attempt) == (True, 2)
    (record,) = [events.parse(Message, record) for record in sample("sweep-queue-batch.json")["Records"]]
    ended = events.parse(ExecutionEnded, record.body)
    assert ended.execution == sample("execution-ended.json")["detail"]["name"]
    assert "Records" not in sample("sweep-schedule.json")
    document = sample("job-document.json")
    assert messages.parse_order(sample("submit-call.json")).document == document
    asked = read_job(document, Place("sample", Inbox(source.bucket)), OURS)
    assert (asked.recipe["size"], list(asked.references)) == ("3:2", document["references"])


def test_a_drop_is_an_object_version() -> None:
    drop = drop_of(json.dumps(dropped()))
    assert drop.source.model_dump() == {
        "bucket": "amzn-s3-demo-bucket1",
        "key": "inbox/poster/cat.png",
        "version_id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        "etag": "b57f9512698f4b09e608f4f2a65852e5",
        "size": 5,
        "checksum": None,
    }
    assert drop.at == 1_636_675_200
    assert drop.sequencer == "00617F08299329D189"


@pytest.mark.parametrize("ascii_only", [True, False])
@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.just("inbox/a b+c%20&d=é/猫.png"))
def test_keys_pass_unchanged(ascii_only: bool, key: str) -> None:
    assert drop_of(json.dumps(dropped(key), ensure_ascii=ascii_only)).source.key == key


@pytest.mark.parametrize("version", [None, ""])
def test_a_bucket_without_versions(version: str | None) -> None:
    drop = drop_of(json.dumps(dropped(**{"version-id": version})))
    assert not drop.source.version_id


@pytest.mark.parametrize(
    ("body", "again"),
    [
        ('{"again": "cat-1"}', Again("cat-1")),
        ('{"again": "cat-1", "attempt": null}', Again("cat-1")),
        ('{"again": "cat-1", "attempt": 2}', Again("cat-1", 2)),
        ('{\n  "attempt": 17,\n  "again": "cat-1-16"\n}', Again("cat-1-16", 17)),
    ],
)
def test_a_message_may_ask_for_a_job_again(body: str, again: Again) -> None:
    assert messages.parse_message(body) == again


DOCUMENT = '{"n":1,"prompt":"a"}'


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        ({"request_id": "1", "job": {"prompt": "a", "n": 1}}, Request("", "1", DOCUMENT)),
        ({"job": {"n": 1, "prompt": "a"}, "caller": "shop", "request_id": "1"}, Request("shop", "1", DOCUMENT)),
        (requested(job={"n": 1, "prompt": "a"}), Request("shop", "order-4711", DOCUMENT)),
        (requested(caller="till", job={"n": 1, "prompt": "a"}), Request("till", "order-4711", DOCUMENT)),
    ],
)
def test_a_request_is_the_same_whichever_way_it_comes(message: dict[str, Any], request_: Request) -> None:
    assert messages.parse_message(json.dumps(message)) == request_
    if "detail" not in message:
        assert messages.parse_request(message) == request_


SOURCE: dict[str, Any] = {"bucket": "b", "key": "inbox/a.jobs.jsonl", "version_id": "v"}
LINE = {"source": SOURCE, "number": 3, "start": 10, "length": 5, "batch": "a-1", "requested_at": 9}


def test_a_line_of_a_batch_is_a_place_in_a_file() -> None:
    assert messages.parse_message(json.dumps({"line": LINE})) == BatchLine(
        ObjectVersion(**SOURCE), Line(number=3, start=10, length=5), "a-1", 9
    )


@pytest.mark.parametrize("key", ["inbox/again.png", 'inbox/"again".png', "inbox/again/cat.png", '"again": "x"'])
def test_a_file_may_have_any_name(key: str) -> None:
    assert drop_of(json.dumps(dropped(key))).source.key == key


@pytest.mark.parametrize(
    ("body", "shape", "fields"),
    [
        ("", "message", []),
        ("again", "message", []),
        ("{}", "message", []),
        ('{"attempt": 2}', "message", []),
        ('"again"', "message", []),
        ('{"again": ', "message", []),
        ("[" * 100_000, "message", []),
        ('{"detail": {}}', "ObjectCreated", ["source", "detail-type", "time"]),
        ('{"again": ""}', "AgainCall", ["again"]),
        ('{"again": null}', "AgainCall", ["again"]),
        ('{"again": ["cat-1"]}', "AgainCall", ["again"]),
        (json.dumps({"again": SECRET * 4}), "AgainCall", ["again"]),
        ('{"again": "cat-1", "attempt": 1}', "AgainCall", ["attempt"]),
        ('{"again": "cat-1", "attempt": 2.5}', "AgainCall", ["attempt"]),
        ('{"again": "cat-1", "attempt": "the secret plan"}', "AgainCall", ["attempt"]),
        ('{"attempts": 2, "x": {"again": "cat-1"}}', "message", []),
        ('{"again": "cat-1", "request_id": "1"}', "message", []),
        (json.dumps({"request_id": "", "job": {}}), "RequestCall", ["request_id"]),
        (json.dumps({"request_id": "a b", "job": {}}), "RequestCall", ["request_id"]),
        (json.dumps({"request_id": "1", "caller": "é", "job": {"prompt": SECRET}}), "RequestCall", ["caller"]),
        (json.dumps({"request_id": "1"}), "RequestCall", ["job"]),
        (json.dumps({"request_id": "1", "job": [SECRET]}), "RequestCall", ["job"]),
        (json.dumps({"request_id": "1", "job": {"prompt": SECRET * 20_000}}), "RequestCall", ["job"]),
        (json.dumps({"request_id": "1", "job": {}, "prompt": SECRET}), "RequestCall", ["prompt"]),
        (json.dumps(requested(request_id=None)), "ImageJobRequested", ["detail.request_id"]),
        (json.dumps(requested(stack=None)), "ImageJobRequested", ["detail.stack"]),
        (json.dumps(requested(promt=SECRET)), "ImageJobRequested", ["detail.promt"]),
        (json.dumps({"line": {**LINE, "number": 0, "start": -1}}), "LineCall", ["line.number", "line.start"]),
        (json.dumps({"line": {**LINE, "length": -1, "requested_at": 1e15}}), "LineCall", ["line.length"]),
        (json.dumps({"line": {**LINE, "length": 10**100, "requested_at": -1}}), "LineCall", ["line.requested_at"]),
        ('{"line": {"number": 1}}', "LineCall", ["line.start", "line.length", "line.source", "line.batch"]),
        ('{"again": "cat-1", "atempt": 2}', "AgainCall", ["atempt"]),
        (json.dumps({**dropped(), "detail": {"again": SECRET}}), "ObjectCreated", ["detail.bucket", "detail.object"]),
    ],
)
def test_a_message_that_is_neither_is_named_by_its_fields(body: str, shape: str, fields: list[str]) -> None:
    with pytest.raises(EventUnreadable, match=f"^{shape}: ") as caught:
        messages.parse_message(body)
    assert [field for field in fields if f"{field}: " not in str(caught.value)] == []
    assert "secret plan" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "event"),
    [
        (SubmitCall, {"job_id": "cat-1", "document": {"model": "m"}}),
        (SubmitCall, {"job_id": "cat-1", "document": ["not", "an", "object"]}),  # told to the caller as an outcome
        (StatusCall, {"job_id": "cat-1", "task_id": "tsk_1", "polls": 1}),
        (FinalizeCall, {"job_id": "cat-1", "fault": None, "bill": True}),
        (FinalizeCall, {"job_id": "cat-1", "fault": "States.Timeout", "bill": False}),
        (Message, {"messageId": "m-1", "body": "{}"}),
        (ExecutionEnded, {"execution": "cat-1"}),
    ],
)
def test_calls_are_read_and_may_grow(shape: Any, event: dict[str, Any]) -> None:
    assert events.parse(shape, {**event, "later": 1}).model_dump(by_alias=True) == event


def test_the_workflow_asks_for_the_end_and_not_for_the_bill() -> None:
    assert events.parse(FinalizeCall, {"job_id": "cat-1", "fault": None}).bill is False


@pytest.mark.parametrize(
    ("shape", "event", "fields"),
    [
        (SubmitCall, {"prompt": SECRET}, ["job_id", "document"]),
        (SubmitCall, {"job_id": "", "document": {}}, ["job_id"]),
        (SubmitCall, {"job_id": SECRET * 4, "document": {}}, ["job_id"]),
        (StatusCall, {"job_id": "j", "task_id": None, "polls": SECRET}, ["task_id", "polls"]),
        (StatusCall, {"job_id": "j", "task_id": "t", "polls": 0}, ["polls"]),
        (FinalizeCall, {"job_id": "j"}, ["fault"]),
        (FinalizeCall, {"job_id": "j", "fault": None, "bill": SECRET}, ["bill"]),
        (ExecutionEnded, {"execution": ""}, ["execution"]),
        (ExecutionEnded, {"detail": {"name": "cat-1", "input": SECRET}}, ["execution"]),
        (FinalizeCall, [SECRET], ["event"]),
        (Message, {"body": SECRET}, ["messageId"]),
        (ObjectCreated, SECRET, ["event"]),
        (ObjectCreated, "", ["event"]),
        (ObjectCreated, json.dumps({**dropped(), "source": SECRET}), ["source"]),
        (ObjectCreated, json.dumps({**dropped(), "detail-type": "Object Deleted"}), ["detail-type"]),
        (ObjectCreated, json.dumps({**dropped(), "detail": SECRET}), ["detail"]),
        (ObjectCreated, json.dumps(dropped("")), ["detail.object.key"]),
        (ObjectCreated, json.dumps(dropped(size=-1)), ["detail.object.size"]),
        (ObjectCreated, json.dumps(dropped("\ud83d.png")), ["event"]),  # half a pair: no key that S3 can send
        (ObjectCreated, json.dumps({"Records": [{"s3": {"object": {"key": SECRET}}}]}), ["source", "detail"]),
    ],
)
def test_an_unknown_shape_is_named_by_its_fields_and_not_quoted(shape: Any, event: Any, fields: list[str]) -> None:
    with pytest.raises(EventUnreadable, match=f"^{shape.__name__}: ") as caught:
        events.parse(shape, event)
    message = str(caught.value)
    assert [field for field in fields if f"{field}: " not in message] == []
    assert "secret plan" not in message


def test_what_is_told_of_a_strangers_fields_has_bounds() -> None:
    """Their names are the sender's, like their content."""
    call = {"request_id": "1", "job": {}, **{f"{number} {SECRET * 100}": 1 for number in range(200)}}
    with pytest.raises(EventUnreadable) as caught:
        messages.parse_request(call)
    assert str(caught.value).count("Extra inputs are not permitted") == 20
    assert len(str(caught.value)) < 3000


def test_an_order_carries_the_document_as_it_is() -> None:
    order = messages.parse_order({"job_id": "cat-1", "document": {"model": "m", "n": 2}})
    assert (order.job_id, order.source, order.document) == ("cat-1", None, {"model": "m", "n": 2})


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_lease_outlives_its_invocation() -> None:
    invocation = events.read_invocation(Context(), now=lambda: 1000.7)
    assert (invocation.id, invocation.ends_at, invocation.lease_until) == ("request-1", 1060, 1065)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("rich", [True, False])
def test_the_workflow_finds_every_key(state: State, rich: bool) -> None:
    facts: dict[str, Any] = {"hold_until": 7, "plan": (1, 2), "task_id": "t", "polls": 3} if rich else {}
    step = messages.next_step(Job(job_id="j", state=state, created_at=1, **facts))
    expected = {"hold_until": 0, "plan": [60], "task_id": None, "polls": 0, **facts, "state": state.value}
    assert step == expected | {"plan": list(expected["plan"])}
    assert json.loads(json.dumps(step)) == step
