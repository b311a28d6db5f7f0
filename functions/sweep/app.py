"""The sweep function: called by its schedule, and by the queue of executions that did not succeed."""

from functools import cache
from typing import Any

from bucketbrush.events import ExecutionEnded, Message, parse, read_invocation
from bucketbrush.observability import phase
from bucketbrush.wiring.sweep import build_sweep

sweep = cache(build_sweep)


@phase("sweep")
def handler(event: dict[str, Any], context: Any) -> None:
    if "Records" not in event:
        sweep()(read_invocation(context))
        return
    for record in event["Records"]:
        sweep().execution_ended(parse(ExecutionEnded, parse(Message, record).body).execution)
