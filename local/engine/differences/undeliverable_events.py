"""An event whose queue is gone goes to the dead-letter queue of the rule's target.

AWS ("Using dead-letter queues to process undelivered events in EventBridge"): where the target is no longer there, an
event is not sent again but goes to the target's dead-letter queue at once.

The engine drops it. Closed, for targets that are queues, by looking for the queue first. The message's attributes,
which say what went wrong, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import eventbridge, sqs

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Deliver what a queue that is gone cannot take, to the one beside it."""
    invoke = eventbridge._invoke_target

    def invoke_or_keep(target: dict[str, Any], *event: Any, **options: Any) -> None:
        arn, dead_letters = target.get("Arn", ""), target.get("DeadLetterConfig", {}).get("Arn")
        if dead_letters and ":sqs:" in arn and not sqs._queue_by_arn(arn):
            target = {"Arn": dead_letters}
        invoke(target, *event, **options)

    eventbridge._invoke_target = invoke_or_keep
