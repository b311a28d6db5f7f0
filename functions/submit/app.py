"""The submit function: called by the submit queue with messages, by the workflow with jobs, by others with requests."""

from functools import cache
from typing import Any

from bucketbrush.domain.errors import BucketbrushError
from bucketbrush.domain.jobs import Invocation
from bucketbrush.events import Message, parse, read_invocation
from bucketbrush.intake import Intake
from bucketbrush.messages import next_step, parse_message, parse_order, parse_request, taken_in
from bucketbrush.observability import logger, phase
from bucketbrush.wiring.submit import build_intake

intake = cache(build_intake)


@phase("submit")
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    invocation = read_invocation(context)
    if "job_id" in event:
        return next_step(intake().step(parse_order(event), invocation))
    if "Records" not in event:
        return taken_in(*intake().request(parse_request(event), invocation))
    messages = [parse(Message, record) for record in event["Records"]]
    failed = [message.message_id for message in messages if not take_in(intake(), message, invocation)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def take_in(intake: Intake, message: Message, invocation: Invocation) -> bool:
    """Whether the message is done with; else the queue delivers it again, and at last to the dead-letter queue."""
    try:
        intake(parse_message(message.body), invocation)
    except BucketbrushError as problem:
        facts = {"error": type(problem).__name__, "reason": str(problem), "money": problem.money.value}
        logger.error("message is not done", message_id=message.message_id, **facts)
        return False
    return True
