"""The status function: called by the workflow's Status state."""

from functools import cache
from typing import Any

from bucketbrush.events import StatusCall, parse
from bucketbrush.observability import phase
from bucketbrush.wiring.status import build_status

status = cache(build_status)


@phase("status")
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    call = parse(StatusCall, event)
    return status()(call.job_id, call.task_id, call.polls)._asdict()
