"""What the submit function understands, and what it answers.

Shapes are those of the Amazon S3 User Guide ("EventBridge event message structure": keys are not URL-encoded there) and
of our own.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from bucketbrush.domain.errors import EventUnreadable
from bucketbrush.domain.jobs import MAX_BATCH_BYTES, Job, Line, ObjectVersion
from bucketbrush.domain.recipe import MAX_DOCUMENT_BYTES
from bucketbrush.events import Event, parse
from bucketbrush.intake import Again, BatchLine, Drop, Request
from bucketbrush.intake import Message as IntakeMessage
from bucketbrush.submit import Order

_PRINTABLE = r"^[!-~]*$"


class _Bucket(Event):
    name: str = Field(min_length=1)


class _Object(Event):
    key: str = Field(min_length=1)
    size: int = Field(default=0, ge=0)
    etag: str | None = None
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str = ""


class _Detail(Event):
    bucket: _Bucket
    object: _Object


class ObjectCreated(Event):
    source: Literal["aws.s3"]
    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    time: datetime
    detail: _Detail


class AgainCall(Event):
    """A message to run a job again; ``attempt`` is for one that may have been paid, and then its number must follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    again: str = Field(min_length=1, max_length=80)
    attempt: int | None = Field(default=None, ge=2)


class RequestCall(Event):
    """A caller's request for a job: as a queue's message or a call of the submit function.

    ``caller`` keeps the ids of several callers apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    request_id: str = Field(min_length=1, max_length=128, pattern=_PRINTABLE)
    caller: str = Field(default="", max_length=128, pattern=_PRINTABLE)
    job: dict[str, Any]


class _RequestedDetail(RequestCall):
    stack: str


class ImageJobRequested(Event):
    """The same request as an event; without a ``caller`` its source is one."""

    source: str = Field(min_length=1)
    detail: _RequestedDetail


class _Line(Line):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=MAX_BATCH_BYTES)
    start: int = Field(ge=0, le=MAX_BATCH_BYTES)
    length: int = Field(ge=1, le=MAX_BATCH_BYTES)
    source: ObjectVersion
    batch: str
    requested_at: int = Field(ge=0, lt=10**10)


class LineCall(Event):
    """What the batch function sends for each line of a batch."""

    line: _Line


class SubmitCall(Event):
    """What the workflow's Submit state sends; ``document`` is the execution's input."""

    job_id: str = Field(min_length=1, max_length=80)
    document: Any


def parse_message(body: str) -> IntakeMessage:
    """What the body of a queue message asks for. Raises EventUnreadable."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise EventUnreadable("message: found no JSON.") from None
    fields = sorted(message.keys() & _READERS.keys()) if isinstance(message, dict) else []
    readers = {_READERS[field] for field in fields}
    if len(readers) != 1:
        found = " and ".join(fields) or "none of them"
        raise EventUnreadable(f"message: found {found}; allowed: an object with one of {', '.join(_READERS)}.")
    return readers.pop()(message)


def parse_request(event: Any) -> Request:
    """The request in a call of the submit function. Raises EventUnreadable."""
    return _request(parse(RequestCall, event))


def _request(call: RequestCall, caller: str = "") -> Request:
    document = json.dumps(call.job, separators=(",", ":"), sort_keys=True)
    if len(document) > MAX_DOCUMENT_BYTES:
        found = f"{len(document):,} bytes"
        raise EventUnreadable(f"RequestCall: job: found {found}; allowed: at most {MAX_DOCUMENT_BYTES:,}.")
    return Request(call.caller or caller, call.request_id, document)


def _read_again(message: dict[str, Any]) -> Again:
    call = parse(AgainCall, message)
    return Again(call.again, call.attempt)


def _read_line(message: dict[str, Any]) -> BatchLine:
    line = parse(LineCall, message).line
    place = Line(number=line.number, start=line.start, length=line.length)
    return BatchLine(line.source, place, line.batch, line.requested_at)


def _read_event(message: dict[str, Any]) -> Drop | Request:
    if message.get("detail-type") == "Image Job Requested":
        requested = parse(ImageJobRequested, message)
        return _request(requested.detail, requested.source)
    event = parse(ObjectCreated, message)
    found = event.detail.object
    source = ObjectVersion(
        bucket=event.detail.bucket.name, key=found.key, version_id=found.version_id, etag=found.etag, size=found.size
    )
    return Drop(source, found.sequencer, int(event.time.timestamp()))


# By the fields that only this kind of message has.
_READERS: dict[str, Callable[[dict[str, Any]], IntakeMessage]] = {
    "again": _read_again,
    "line": _read_line,
    "request_id": parse_request,
    "job": parse_request,
    "detail": _read_event,
}


def parse_order(event: Any) -> Order:
    """The order in a call of the workflow's Submit state. Raises EventUnreadable."""
    call = parse(SubmitCall, event)
    return Order(call.job_id, document=call.document)


def taken_in(job: Job, execution_arn: str) -> dict[str, Any]:
    """The answer to a request that came as a call."""
    return {"job_id": job.job_id, "execution_arn": execution_arn, "state": job.state.value}


def next_step(job: Job) -> dict[str, Any]:
    """What the workflow must know of a job; every key is always there, because a missing one ends an execution."""
    return {
        "state": job.state.value,
        "hold_until": job.hold_until or 0,
        "plan": list(job.plan),
        "task_id": job.task_id,
        "polls": job.polls,
    }
