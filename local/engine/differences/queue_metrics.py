"""The messages that wait in a queue are a metric in the namespace AWS/SQS.

AWS ("Available CloudWatch metrics for Amazon SQS"): ApproximateNumberOfMessagesVisible by QueueName, every minute.

The engine publishes none. Closed by looking at the queues every second, and recording a number when it has changed or
has not been recorded for a while, so that an alarm on a dead-letter queue rings within a test's patience.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import cloudwatch, sqs

if TYPE_CHECKING:
    from local.engine.differences import Settings

_REPEAT_SECONDS = 20.0

Scope = tuple[str, str, str]


def _record(recorded: dict[Scope, tuple[int, float]]) -> None:
    for scope, queue in list(sqs._queues._data.items()):
        now = time.time()
        visible = sum(message["visible_at"] <= now for message in list(queue["messages"]))
        before, at = recorded.get(scope, (-1, 0.0))
        if visible == before and now - at < _REPEAT_SECONDS:
            continue
        recorded[scope] = visible, now
        account, region, url = scope
        set_request_account_id(account)
        set_request_region(region)
        name = {"QueueName": url.rpartition("/")[2]}
        cloudwatch.record_metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", visible, "Count", name)


def close(_: Settings) -> None:
    """Look at the queues every second."""

    def watch() -> None:
        recorded: dict[Scope, tuple[int, float]] = {}
        while True:
            time.sleep(1)
            _record(recorded)

    threading.Thread(target=watch, name="queue-metrics", daemon=True).start()
