"""Tells the world what became of jobs: events on the default bus, and SNS messages for programs and for people."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bucketbrush.domain.errors import AnnouncementFailed
from bucketbrush.domain.letters import letter_of
from bucketbrush.domain.redact import printable
from bucketbrush.domain.result import Announcement, LateNotice, SubmittedNotice

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_sns.client import SNSClient

EVENT_SOURCE = "bucketbrush"
_SUBJECT_LENGTH = 99  # SNS API reference, "Publish": less than 100 characters


class Bus:
    """The default event bus."""

    def __init__(self, client: "EventBridgeClient") -> None:
        self._client = client

    def put(self, kind: str, detail: str) -> None:
        """Raises AnnouncementFailed when EventBridge takes the request and refuses the event."""
        answer = self._client.put_events(Entries=[{"Source": EVENT_SOURCE, "DetailType": kind, "Detail": detail}])
        if answer["FailedEntryCount"]:
            raise AnnouncementFailed(f"event bus: {answer['Entries'][0].get('ErrorCode')}.")

    def tell_submitted(self, notice: SubmittedNotice) -> None:
        """Say that a job's task exists. Raises AnnouncementFailed."""
        self.put("Image Job Submitted", notice.model_dump_json())

    def tell_late(self, notice: LateNotice) -> None:
        """Say that a job takes long. Raises AnnouncementFailed."""
        self.put("Image Job Late", notice.model_dump_json())


class Topic:
    """An SNS topic with readers of two kinds: programs get ``message``, mail boxes get ``letter``."""

    def __init__(self, client: "SNSClient", arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, subject: str, message: str, letter: str, attributes: Mapping[str, str | None]) -> None:
        """Attributes are for filter policies; one without a value is left out. SNS takes 262,144 bytes with all."""
        self._client.publish(
            TopicArn=self._arn,
            # SNS refuses control characters, which the name of an object may hold.
            Subject=printable(subject).encode("ascii", "replace").decode()[:_SUBJECT_LENGTH],
            MessageStructure="json",
            # As UTF-8: with escapes it could be six times as long.
            Message=json.dumps({"default": message, "email": letter}, ensure_ascii=False),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": printable(value)}
                for name, value in attributes.items()
                if value
            },
        )


class Announcements:
    """Tells how a job ended: one event and one SNS message with the same content."""

    def __init__(self, topic: Topic, bus: Bus) -> None:
        self._topic = topic
        self._bus = bus

    def tell(self, announcement: Announcement) -> None:
        """At least once, the same bytes every time. Raises AnnouncementFailed when EventBridge refuses the event."""
        message = announcement.model_dump_json()
        names = ("outcome", "reason", "model", "preset", "folder", "batch")
        # People come last: whatever fails before is not mailed again and again.
        self._bus.put("Image Job Completed" if announcement.outcome.succeeded else "Image Job Failed", message)
        self._topic.publish(
            subject=f"Bucketbrush {announcement.outcome}: {announcement.job_id}",
            message=message,
            letter=letter_of(announcement),
            attributes={name: getattr(announcement, name) for name in names},
        )
