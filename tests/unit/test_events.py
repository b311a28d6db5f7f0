"""What the functions are called with, and what they answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush import events
from bucketbrush.domain.errors import EventUnreadable
from bucketbrush.domain.jobs import Job, State
from bucketbrush.domain.recipe import read_recipe, read_references
from bucketbrush.events import FinalizeCall, Message, ObjectCreated, StatusCall, SubmitCall
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


def sample(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def test_the_samples_are_events_as_they_come() -> None:
    source = events.parse_drop((EVENTS / "object-created.json").read_text()).source
    assert source.key == "inbox/poster/summer cat+1 100% été.PNG"
    (record,) = [events.parse(Message, record) for record in sample("submit-queue-batch.json")["Records"]]
    assert events.parse_drop(record.body).source == source
    assert events.parse(StatusCall, sample("status-call.json")).polls == 3
    assert events.parse(FinalizeCall, sample("finalize-call.json")).fault is None
    document = sample("job-document.json")
    assert events.parse_order(sample("submit-call.json")).document == document
    assert read_recipe(document, "sample", also=("references",))["size"] == "3:2"
    assert read_references(document, source.bucket, "sample") == document["references"]


def test_a_drop_is_an_object_version() -> None:
    drop = events.parse_drop(json.dumps(dropped()))
    assert drop.source.model_dump() == {
        "bucket": "amzn-s3-demo-bucket1",
        "key": "inbox/poster/cat.png",
        "version_id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        "etag": "b57f9512698f4b09e608f4f2a65852e5",
        "size": 5,
    }
    assert drop.sequencer == "00617F08299329D189"


@pytest.mark.parametrize("ascii_only", [True, False])
@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.just("inbox/a b+c%20&d=é/猫.png"))
def test_keys_pass_unchanged(ascii_only: bool, key: str) -> None:
    assert events.parse_drop(json.dumps(dropped(key), ensure_ascii=ascii_only)).source.key == key


@pytest.mark.parametrize("version", [None, ""])
def test_a_bucket_without_versions(version: str | None) -> None:
    drop = events.parse_drop(json.dumps(dropped(**{"version-id": version})))
    assert not drop.source.version_id


@pytest.mark.parametrize(
    ("shape", "event"),
    [
        (SubmitCall, {"job_id": "cat-1", "document": {"model": "m"}}),
        (SubmitCall, {"job_id": "cat-1", "document": ["not", "an", "object"]}),  # told to the caller as an outcome
        (StatusCall, {"job_id": "cat-1", "task_id": "tsk_1", "polls": 1}),
        (FinalizeCall, {"job_id": "cat-1", "fault": None}),
        (FinalizeCall, {"job_id": "cat-1", "fault": "States.Timeout"}),
        (Message, {"messageId": "m-1", "body": "{}"}),
    ],
)
def test_calls_are_read_and_may_grow(shape: Any, event: dict[str, Any]) -> None:
    assert events.parse(shape, {**event, "later": 1}).model_dump(by_alias=True) == event


@pytest.mark.parametrize(
    ("shape", "event", "fields"),
    [
        (SubmitCall, {"prompt": SECRET}, ["job_id", "document"]),
        (SubmitCall, {"job_id": "", "document": {}}, ["job_id"]),
        (SubmitCall, {"job_id": SECRET * 4, "document": {}}, ["job_id"]),
        (StatusCall, {"job_id": "j", "task_id": None, "polls": SECRET}, ["task_id", "polls"]),
        (StatusCall, {"job_id": "j", "task_id": "t", "polls": 0}, ["polls"]),
        (FinalizeCall, {"job_id": "j"}, ["fault"]),
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


def test_an_order_carries_the_document_as_it_is() -> None:
    order = events.parse_order({"job_id": "cat-1", "document": {"model": "m", "n": 2}})
    assert (order.job_id, order.source, order.document) == ("cat-1", None, {"model": "m", "n": 2})


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_lease_outlives_its_invocation() -> None:
    invocation = events.read_invocation(Context(), now=lambda: 1000.7)
    assert (invocation.id, invocation.lease_until) == ("request-1", 1065)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("rich", [True, False])
def test_the_workflow_finds_every_key(state: State, rich: bool) -> None:
    facts: dict[str, Any] = {"hold_seconds": 7, "plan": (1, 2), "task_id": "t", "polls": 3} if rich else {}
    step = events.next_step(Job(job_id="j", state=state, created_at=1, **facts))
    expected = {"hold_seconds": 0, "plan": [], "task_id": None, "polls": 0, **facts, "state": state.value}
    assert step == expected | {"plan": list(expected["plan"])}
    assert json.loads(json.dumps(step)) == step
