"""Notes what each invocation of the function asks of AWS, and how long its handler runs.

This file is the whole of a layer. Python imports it when the environment starts, before the function's own code. What
the function does stays the same, but that DynamoDB is asked to say what each request consumes.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from awslambdaric import bootstrap  # type: ignore[import-not-found]  # it lives where functions run
from botocore.client import BaseClient

FUNCTION = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
NOTES = Path(os.environ["CALLS_FOLDER"], f"{os.getpid()}.jsonl")
calls: list[tuple[str, float | None]] = []  # of the invocation that runs, with the capacity units of each


def units(operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> float | None:
    """What a request to DynamoDB has consumed; None when nobody says it, as of one that was refused.

    The engine does not count batches of reads: a row of up to 4 KB is half a unit, also if it is not there (DynamoDB
    Developer Guide, "DynamoDB on-demand capacity mode").
    """
    if operation == "BatchGetItem":
        wanted = parameters["RequestItems"].values()
        return sum(len(table["Keys"]) / (1 if table.get("ConsistentRead") else 2) for table in wanted)
    consumed: Any = answer.get("ConsumedCapacity")
    tables = consumed if isinstance(consumed, list) else [consumed]
    return sum(table["CapacityUnits"] for table in tables) if consumed else None


def noted(call: Callable[..., Any]) -> Callable[..., Any]:
    """The way of every operation of every client."""

    def call_and_note(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        service, answer = client.meta.service_model.service_name, {}
        more = {"ReturnConsumedCapacity": "TOTAL"} if service == "dynamodb" else {}
        try:
            answer = call(client, operation, {**parameters, **more})
        finally:
            calls.append((f"{service} {operation}", units(operation, parameters, answer) if more else None))
        return answer

    return call_and_note


def timed(handle: Callable[..., Any]) -> Callable[..., Any]:
    """The runtime client's way to run one event. The note is written before anybody is told that the event is done."""

    def handle_and_note(client: Any, handler: Callable[..., Any], *rest: Any, **more: Any) -> Any:
        def run(event: dict[str, Any], context: Any) -> Any:
            calls.clear()
            began = time.perf_counter()
            try:
                return handler(event, context)
            finally:
                seconds, messages = time.perf_counter() - began, len(event.get("Records", []))
                note = {"function": FUNCTION, "seconds": seconds, "messages": messages, "calls": calls}
                with NOTES.open("a") as notes:
                    notes.write(json.dumps(note) + "\n")

        return handle(client, run, *rest, **more)

    return handle_and_note


BaseClient._make_api_call = noted(BaseClient._make_api_call)  # type: ignore[attr-defined]
bootstrap.handle_event_request = timed(bootstrap.handle_event_request)
