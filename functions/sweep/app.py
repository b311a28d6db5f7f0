"""The sweep function: called by its schedule, and by the queue of executions that did not succeed."""

from functools import cache
from typing import Any

from bucketbrush.events import ExecutionEnded, Message, parse
from bucketbrush.wiring import build_sweep

sweep = cache(build_sweep)


def handler(event: dict[str, Any], _context: Any) -> None:
    if "Records" not in event:
        sweep()()
    for message in (parse(Message, record) for record in event.get("Records", [])):
        sweep().execution_ended(parse(ExecutionEnded, message.body).execution)
