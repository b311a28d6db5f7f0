"""What the functions are called with.

Shapes are those of the Lambda Developer Guide ("Using Lambda with Amazon SQS") and of our own workflow. What the submit
function understands stands in ``messages``.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bucketbrush.domain.errors import EventUnreadable
from bucketbrush.domain.jobs import Invocation

# Of unknown fields, which a stranger has named.
_LONGEST_NAME, _MOST_NAMED = 60, 20


class Event(BaseModel):
    """Part of what a function is called with; fields that we do not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Message(Event):
    """One record of an SQS batch."""

    message_id: str = Field(alias="messageId")
    body: str


class ExecutionEnded(Event):
    """What the rule makes of an execution's status change; the event itself holds the execution's input."""

    execution: str = Field(min_length=1)


class StatusCall(Event):
    job_id: str
    task_id: str
    polls: int = Field(ge=1)


class FinalizeCall(Event):
    """``fault`` is the name of the error that ended an earlier state, or how the execution ended, else None.

    With ``bill`` the job has ended, and only what it cost is looked for.
    """

    job_id: str
    fault: str | None
    bill: bool = False


_Shape = TypeVar("_Shape", bound=BaseModel)


def parse(shape: type[_Shape], event: Any) -> _Shape:
    """Raises EventUnreadable naming each field, what is wrong with it, and never its content."""
    try:
        return shape.model_validate_json(event) if isinstance(event, str | bytes) else shape.model_validate(event)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))[:_LONGEST_NAME] or 'event'}: {p['msg']}" for p in error.errors()]
        raise EventUnreadable(f"{shape.__name__}: {'; '.join(problems[:_MOST_NAMED])}.") from None


def read_invocation(context: Any, now: Callable[[], float] = time.time) -> Invocation:
    """The invocation behind a Lambda context object."""
    return Invocation(id=context.aws_request_id, ends_at=int(now() + context.get_remaining_time_in_millis() / 1000))
