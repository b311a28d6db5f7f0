"""The finalize function: called by the workflow's Finalize state, whose output is its answer, and by the sweep."""

from functools import cache
from typing import Any

from bucketbrush.events import FinalizeCall, parse, read_invocation
from bucketbrush.observability import phase
from bucketbrush.wiring.finalize import build_finalize, build_look_for_bill

finalize = cache(build_finalize)
look_for_bill = cache(build_look_for_bill)


@phase("finalize")
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    call = parse(FinalizeCall, event)
    if call.bill:
        look_for_bill()(call.job_id)
        return {}
    return finalize()(call.job_id, call.fault, read_invocation(context)).model_dump(mode="json")
