"""The finalize function: called by the workflow's Finalize state; its answer is the execution's output."""

from functools import cache
from typing import Any

from bucketbrush.events import FinalizeCall, parse
from bucketbrush.wiring import build_finalize

finalize = cache(build_finalize)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    call = parse(FinalizeCall, event)
    return finalize()(call.job_id, call.fault).model_dump(mode="json")
