"""Tells the world how a job ended: one SNS message and one event on the default bus with the same content."""

from typing import TYPE_CHECKING

from bucketbrush.domain.errors import ResultUntold
from bucketbrush.domain.result import Announcement

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_sns.client import SNSClient

EVENT_SOURCE = "bucketbrush"
_SUBJECT_LENGTH = 99  # SNS API reference, "Publish": less than 100 characters


class Announcements:
    def __init__(self, sns: "SNSClient", topic_arn: str, events: "EventBridgeClient") -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._events = events

    def tell(self, announcement: Announcement) -> None:
        """At least once, the same bytes every time. Attributes are for SNS filter policies.

        Raises ResultUntold when EventBridge takes the request and refuses the event.
        """
        message = announcement.model_dump_json()
        attributes = {"outcome": announcement.outcome, "model": announcement.model, "preset": announcement.preset}
        subject = f"Bucketbrush {announcement.outcome}: {announcement.job_id}"
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
        succeeded = announcement.outcome.succeeded
        answer = self._events.put_events(
            Entries=[
                {
                    "Source": EVENT_SOURCE,
                    "DetailType": "Image Job Completed" if succeeded else "Image Job Failed",
                    "Detail": message,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise ResultUntold(f"event bus: {answer['Entries'][0].get('ErrorCode')}.")


def _printable(text: str) -> str:
    """SNS refuses control characters, and a preset's name comes from an object key, which may hold them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
