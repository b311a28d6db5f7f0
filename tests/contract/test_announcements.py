"""SNS and EventBridge say the same thing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters.announcements import Announcements, Bus, Topic
from bucketbrush.domain.errors import AnnouncementFailed, Money
from bucketbrush.domain.jobs import Outcome
from bucketbrush.domain.letters import letter_of
from bucketbrush.domain.result import Announcement, LateNotice, StoredObject, SubmittedNotice
from tests.contract.aws import client, message, name, queue, topic
from tests.template.stack import load

__all__ = ["topic"]


def announcement(outcome: Outcome = Outcome.COMPLETED, **fields: Any) -> Announcement:
    stored = StoredObject(bucket="out", key="results/cat-1/result.json")
    facts: dict[str, Any] = {
        "id": "cat-1",
        "job_id": "cat-1",
        "outcome": outcome,
        "money": Money.MOVED,
        "message": "Stored 2 of 2 pictures.",
        "preset": "poster é",
        "model": "gpt-image-2-vip",
        "source": None,
        "result": stored,
        "pictures": (stored,),
        **fields,
    }
    return Announcement(**facts)


@pytest.fixture
def heard(topic: str) -> tuple[str, str, Announcements]:
    """Queues that hear the topic and the default bus, and the adapter."""
    topic_queue, bus_queue, rule = queue(), queue(), name("rule")
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=topic_queue[1])
    client("events").put_rule(Name=rule, EventPattern=json.dumps({"source": ["bucketbrush"]}))
    client("events").put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": bus_queue[1]}])
    return topic_queue[0], bus_queue[0], Announcements(Topic(client("sns"), topic), Bus(client("events")))


@pytest.mark.parametrize(
    ("outcome", "detail_type"),
    [
        (Outcome.COMPLETED, "Image Job Completed"),
        (Outcome.PARTIAL, "Image Job Completed"),
        *[(outcome, "Image Job Failed") for outcome in Outcome if not outcome.succeeded],
    ],
)
def test_both_hear_the_same(heard: tuple[str, str, Announcements], outcome: Outcome, detail_type: str) -> None:
    topic_queue, bus_queue, announcements = heard
    told = announcement(outcome)
    announcements.tell(told)
    note, event = message(topic_queue), message(bus_queue)
    assert json.loads(note["Message"]) == event["detail"] == told.model_dump(mode="json")
    assert note["Subject"] == f"Bucketbrush {outcome}: cat-1"
    assert {key: value["Value"] for key, value in note["MessageAttributes"].items()} == {
        "outcome": outcome,
        "model": "gpt-image-2-vip",
        "preset": "poster é",
    }
    assert (event["source"], event["detail-type"]) == ("bucketbrush", detail_type)


def test_the_folder_and_the_batch_are_attributes_where_there_are_any(heard: tuple[str, str, Announcements]) -> None:
    topic_queue, _, announcements = heard
    announcements.tell(announcement(Outcome.FAILED, reason="TaskFailed", folder="cats/réd", batch="cats-1", line=17))
    note = message(topic_queue)
    found = {key: value["Value"] for key, value in note["MessageAttributes"].items()}
    assert found == {
        "outcome": "failed",
        "reason": "TaskFailed",
        "model": "gpt-image-2-vip",
        "preset": "poster é",
        "folder": "cats/réd",
        "batch": "cats-1",
    }


def test_people_get_a_letter_and_programs_the_message() -> None:
    """The engine sends no mail, so what stands in the request is looked at."""
    sent: list[dict[str, Any]] = []

    class Sns:
        def publish(self, **request: Any) -> None:
            sent.append(request)

    told = announcement()
    Announcements(Topic(Sns(), "arn"), Bus(client("events"))).tell(told)  # type: ignore[arg-type]
    (request,) = sent
    assert request["MessageStructure"] == "json"
    assert json.loads(request["Message"]) == {"default": told.model_dump_json(), "email": letter_of(told)}


def test_a_mail_box_hears_no_lines_of_batches(topic: str) -> None:
    """By the filter policy of the template's subscription."""
    properties = load()["Resources"]["TopicEmail"]["Properties"]
    box = queue()
    policy = {"FilterPolicy": json.dumps(properties["FilterPolicy"])}
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=box[1], Attributes=policy)
    announcements = Announcements(Topic(client("sns"), topic), Bus(client("events")))
    announcements.tell(announcement(id="a line", batch="cats-1"))
    announcements.tell(announcement(id="no line"))
    assert json.loads(message(box[0])["Message"])["id"] == "no line"


def test_what_is_not_known_is_no_attribute(heard: tuple[str, str, Announcements]) -> None:
    topic_queue, _, announcements = heard
    announcements.tell(announcement(Outcome.REJECTED, job_id="x" * 80, preset=None, model=None))
    note = message(topic_queue)
    assert set(note["MessageAttributes"]) == {"outcome"}
    assert len(note["Subject"]) < 100  # SNS API reference, "Publish"


def test_odd_letters_of_a_key_do_not_stop_the_message(heard: tuple[str, str, Announcements]) -> None:
    """SNS API reference, "Publish": a subject is ASCII without control characters."""
    topic_queue, _, announcements = heard
    announcements.tell(announcement(job_id="猫\n1", preset="a\x00b"))
    note = message(topic_queue)
    assert note["Subject"] == "Bucketbrush completed: ??1"
    assert note["MessageAttributes"]["preset"]["Value"] == "a?b"


LATE = LateNotice(
    job_id="cat-1", task_id="tsk_1", preset="poster é", submitted_at=1000, message="The task is not done after 1,800 s."
)


def test_a_late_job_is_an_event_and_no_message(heard: tuple[str, str, Announcements]) -> None:
    """Who subscribes to the topic waits for results; a late job has none yet."""
    topic_queue, bus_queue, announcements = heard
    Bus(client("events")).tell_late(LATE)
    event = message(bus_queue)
    assert (event["source"], event["detail-type"]) == ("bucketbrush", "Image Job Late")
    assert event["detail"] == LATE.model_dump(mode="json")
    announcements.tell(announcement())
    assert json.loads(message(topic_queue)["Message"])["id"] == "cat-1", "the topic heard nothing before"


SUBMITTED = SubmittedNotice(
    job_id="cat-1",
    task_id="tsk_1",
    preset="poster é",
    model="gpt-image-2-vip",
    source=None,
    batch="cats-1",
    line=17,
    submitted_at=1000,
    estimated_usd=0.02,
)


def test_a_submitted_job_is_an_event(heard: tuple[str, str, Announcements]) -> None:
    Bus(client("events")).tell_submitted(SUBMITTED)
    event = message(heard[1])
    assert (event["source"], event["detail-type"]) == ("bucketbrush", "Image Job Submitted")
    assert event["detail"] == SUBMITTED.model_dump(mode="json")


class FullBus:
    """An event bus that takes the request and refuses the event."""

    def put_events(self, **_: Any) -> dict[str, Any]:
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}


def test_a_refused_event_is_a_fault(topic: str) -> None:
    full = Bus(FullBus())  # type: ignore[arg-type]
    with pytest.raises(AnnouncementFailed, match="event bus: ThrottlingException"):
        Announcements(Topic(client("sns"), topic), full).tell(announcement())
    with pytest.raises(AnnouncementFailed, match="event bus: ThrottlingException"):
        full.tell_late(LATE)
    with pytest.raises(AnnouncementFailed, match="event bus: ThrottlingException"):
        full.tell_submitted(SUBMITTED)


def test_people_are_told_last(heard: tuple[str, str, Announcements]) -> None:
    """The whole is told again: machines know an id that comes twice, people would get the same mail over and over."""
    _, bus_queue, _ = heard
    nowhere = Topic(client("sns"), "arn:aws:sns:us-east-1:000000000000:gone")
    with pytest.raises(ClientError, match="NotFound"):
        Announcements(nowhere, Bus(client("events"))).tell(announcement(id="only an event"))
    assert message(bus_queue)["detail"]["id"] == "only an event"
