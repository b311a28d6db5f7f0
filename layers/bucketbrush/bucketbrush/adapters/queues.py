"""Sends messages to an SQS queue."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bucketbrush.domain.errors import MessagesUnsent

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_AT_ONCE = 10  # messages of one request (SQS API reference, "SendMessageBatch")
_TRIES = 5
_LONGEST_DELAY = 1.0  # seconds


class Queue:
    """``delay`` waits before refused messages are sent again: for a random time up to so many seconds."""

    def __init__(self, client: "SQSClient", url: str, delay: Callable[[float], None] = lambda _: None) -> None:
        self._client = client
        self._url = url
        self._delay = delay

    def send(self, body: Mapping[str, Any], delay_seconds: int = 0) -> None:
        """Send one message, which shows up after ``delay_seconds``, 900 at most."""
        self._client.send_message(QueueUrl=self._url, MessageBody=_text(body), DelaySeconds=delay_seconds)

    def send_batch(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        """Send any number of messages, each at least once. Raises MessagesUnsent when SQS keeps refusing some."""
        for first in range(0, len(bodies), _AT_ONCE):
            self._send([_text(body) for body in bodies[first : first + _AT_ONCE]])

    def _send(self, texts: Sequence[str]) -> None:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "MessageBody": text} for index, text in enumerate(texts)
        ]
        for number in range(_TRIES):
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            refused = {failure["Id"]: failure["Code"] for failure in answer.get("Failed", [])}
            if not refused:
                return
            entries = [entry for entry in entries if entry["Id"] in refused]
            if number < _TRIES - 1:
                self._delay(min(_LONGEST_DELAY, 0.1 * 2**number))
        raise MessagesUnsent(f"queue: {len(entries)} messages were refused {_TRIES} times ({min(refused.values())}).")


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
