"""The batch function: called by the batch queue, once for each turn of a batch."""

from functools import cache
from typing import Any

from bucketbrush.domain.batches import BatchMessage
from bucketbrush.events import Message, parse, read_invocation
from bucketbrush.observability import phase
from bucketbrush.wiring.batch import build_batch

look_after = cache(build_batch)


@phase("batch")
def handler(event: dict[str, Any], context: Any) -> None:
    for record in event["Records"]:
        call = parse(BatchMessage, parse(Message, record).body).batch
        look_after()(call, read_invocation(context))
