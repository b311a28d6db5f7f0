"""Metrics in the embedded metric format become CloudWatch metrics.

AWS ("Amazon CloudWatch User Guide: Specification: Embedded metric format"): a log line with an `_aws` object publishes
each metric it declares once for each of its dimension sets, with the values found at the root of the line. A line that
breaks the specification is a log line and nothing more.

The engine stores the line and publishes nothing. Closed by reading the lines of each invocation as they are stored.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch, lambda_svc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.engine.differences import Settings

    Datum = tuple[str, str, float, str, dict[str, str]]


def data_in(line: str) -> Iterator[Datum]:
    """Namespace, name, value, unit and dimensions of every datum in one log line."""
    document = json.loads(line)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield directive["Namespace"], metric["Name"], float(value), metric.get("Unit", "None"), dimensions


def close(_: Settings) -> None:
    """Publish what the log lines of an invocation declare."""
    store = lambda_svc._emit_lambda_logs

    def store_and_publish(function: dict[str, Any], request_id: str, log: str, *rest: Any, **options: Any) -> None:
        for line in (log or "").splitlines():
            if '"CloudWatchMetrics"' not in line:
                continue
            try:
                found = list(data_in(line))
            except (ValueError, KeyError, TypeError):
                continue
            for datum in found:
                cloudwatch.record_metric(*datum)
        store(function, request_id, log, *rest, **options)

    lambda_svc._emit_lambda_logs = store_and_publish
