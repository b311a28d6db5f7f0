"""Tells the world how a job ended: one SNS message and one event on the default bus with the same content.

A job that takes long is an event only.
"""

from typing import TYPE_CHECKING

from bucketbrush.domain.errors import AnnouncementFailed
from bucketbrush.domain.result import Announcement, LateNotice

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

    def tell_late(self, notice: LateNotice) -> None:
        """Say that a job takes long. Raises AnnouncementFailed."""
        self.put("Image Job Late", notice.model_dump_json())


class Announcements:
    def __init__(self, sns: "SNSClient", topic_arn: str, bus: Bus) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._bus = bus

    def tell(self, announcement: Announcement) -> None:
        """At least once, the same bytes every time. Attributes are for SNS filter policies.

        Raises AnnouncementFailed when EventBridge refuses the event.
        """
        message = announcement.model_dump_json()
        attributes = {name: getattr(announcement, name) for name in ("outcome", "reason", "model", "preset")}
        subject = f"Bucketbrush {announcement.outcome}: {announcement.job_id}"
        # People come last: whatever fails before is not mailed again and again.
        self._bus.put("Image Job Completed" if announcement.outcome.succeeded else "Image Job Failed", message)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=_printable(subject).encode("ascii", "replace").decode()[:_SUBJECT_LENGTH],
            Message=message,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": _printable(value)}
                for name, value in attributes.items()
                if value
            },
        )


def _printable(text: str) -> str:
    """SNS refuses control characters, and a preset's name comes from an object key, which may hold them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
