"""What the functions are called with, and what they answer.

Shapes are those of the Amazon S3 User Guide ("EventBridge event message structure": keys are not URL-encoded there), of
the Lambda Developer Guide ("Using Lambda with Amazon SQS") and of our own workflow.
"""

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bucketbrush.domain.errors import EventUnreadable
from bucketbrush.domain.jobs import Invocation, Job, ObjectVersion
from bucketbrush.intake import Again, Drop
from bucketbrush.submit import Order


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Bucket(_Event):
    name: str = Field(min_length=1)


class _Object(_Event):
    key: str = Field(min_length=1)
    size: int = Field(default=0, ge=0)
    etag: str | None = None
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str = ""


class _Detail(_Event):
    bucket: _Bucket
    object: _Object


class ObjectCreated(_Event):
    source: Literal["aws.s3"]
    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    detail: _Detail


class Message(_Event):
    """One record of an SQS batch."""

    message_id: str = Field(alias="messageId")
    body: str


class AgainCall(_Event):
    """A message to run a job again; ``attempt`` is for one that may have been paid, and then its number must follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    again: str = Field(min_length=1, max_length=80)
    attempt: int | None = Field(default=None, ge=2)


class ExecutionEnded(_Event):
    """What the rule makes of an execution's status change; the event itself holds the execution's input."""

    execution: str = Field(min_length=1)


class SubmitCall(_Event):
    """What the workflow's Submit state sends; ``document`` is the execution's input."""

    job_id: str = Field(min_length=1, max_length=80)
    document: Any


class StatusCall(_Event):
    job_id: str
    task_id: str
    polls: int = Field(ge=1)


class FinalizeCall(_Event):
    """``fault`` is the name of the error that ended an earlier state, or how the execution ended, else None.

    With ``bill`` the job has ended, and only what it cost is looked for.
    """

    job_id: str
    fault: str | None
    bill: bool = False


_Shape = TypeVar("_Shape", bound=_Event)


def parse(shape: type[_Shape], event: Any) -> _Shape:
    """Raises EventUnreadable naming each field, what is wrong with it, and never its content."""
    try:
        return shape.model_validate_json(event) if isinstance(event, str | bytes) else shape.model_validate(event)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'event'}: {p['msg']}" for p in error.errors()]
        raise EventUnreadable(f"{shape.__name__}: {'; '.join(problems)}.") from None


def parse_message(body: str) -> Drop | Again:
    """The dropped object or the job to run again in the body of a queue message. Raises EventUnreadable."""
    if '"again"' in body and '"detail"' not in body:
        call = parse(AgainCall, body)
        return Again(call.again, call.attempt)
    detail = parse(ObjectCreated, body).detail
    found = detail.object
    source = ObjectVersion(
        bucket=detail.bucket.name, key=found.key, version_id=found.version_id, etag=found.etag, size=found.size
    )
    return Drop(source, found.sequencer)


def parse_order(event: Any) -> Order:
    """The order in a call of the workflow's Submit state. Raises EventUnreadable."""
    call = parse(SubmitCall, event)
    return Order(call.job_id, document=call.document)


def read_invocation(context: Any, now: Callable[[], float] = time.time) -> Invocation:
    """The invocation behind a Lambda context object."""
    return Invocation(id=context.aws_request_id, ends_at=int(now() + context.get_remaining_time_in_millis() / 1000))


def next_step(job: Job) -> dict[str, Any]:
    """What the workflow must know of a job; every key is always there, because a missing one ends an execution."""
    return {
        "state": job.state.value,
        "hold_until": job.hold_until or 0,
        "plan": list(job.plan),
        "task_id": job.task_id,
        "polls": job.polls,
    }
