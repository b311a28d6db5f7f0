"""The finalize function: called by the workflow's Finalize state, whose output is its answer, and by the sweep."""

from functools import cache
from typing import Any

from bucketbrush.events import FinalizeCall, parse, read_invocation
from bucketbrush.wiring import build_finalize

finalize = cache(build_finalize)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    call = parse(FinalizeCall, event)
    if call.bill:
        finalize().look_for_bill(call.job_id)
        return {}
    return finalize()(call.job_id, call.fault, read_invocation(context)).model_dump(mode="json")
