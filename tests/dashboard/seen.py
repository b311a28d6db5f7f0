"""What there is to see on the deployed dashboard: read from CloudWatch as its console does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.dashboard.body import Line, Widget, read
from tests.dashboard.queries import OF_LOGS, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.stack import Stack

NAMESPACE = "Bucketbrush"
_LONGEST = 3600  # seconds: no run takes longer
_MOST_POINTS = 40  # of a line
_PERIODS = (1, 5, 10, 30, 60, 120)  # seconds, of those that CloudWatch takes

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Seen:
    """A dashboard and its data.

    ``points`` of each line are in seconds since the first datum of ours, none where there is no data; ``alarms`` are
    logical ids and states by ARN; ``period`` is in seconds. ``faults`` are metrics of ours on no widget, and fields of
    saved queries that are in no line of their logs.
    """

    widgets: list[Widget]
    points: Mapping[Line, Points]
    alarms: Mapping[str, tuple[str, str]]
    period: int
    faults: list[str]


def look(stack: Stack) -> Seen:
    """The dashboard of a stack that has run for less than an hour."""
    cloudwatch = stack.engine.client("cloudwatch")
    widgets = read(cloudwatch.get_dashboard(DashboardName=stack.outputs["DashboardName"])["DashboardBody"])
    lines = list(dict.fromkeys(line for widget in widgets for line in widget.lines()))
    now = time.time()
    finest = _data(cloudwatch, lines, _PERIODS[0], now)
    began = min(time for line, points in finest.items() if line.namespace == NAMESPACE for time, _ in points)
    period = next(period for period in _PERIODS if now - began <= period * _MOST_POINTS)
    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    return Seen(
        widgets,
        {
            line: [(time - began, value) for time, value in points if time > began - period]
            for line, points in _data(cloudwatch, lines, period, now).items()
        },
        {alarm["AlarmArn"]: (_logical(alarm["AlarmName"]), alarm["StateValue"]) for alarm in alarms},
        period,
        [
            *_unshown(cloudwatch, lines),
            *_unwritten(stack.engine.client("logs"), _stack_of(stack.outputs["JobsMachineArn"])),
        ],
    )


def _stack_of(machine_arn: str) -> str:
    return machine_arn.rpartition(":")[2].removesuffix("-jobs")


def _logical(name: str) -> str:
    """What the template calls an alarm that CloudFormation has named ``<stack>-<logical id>-<suffix>``."""
    return name.split("-")[-2]


def _data(cloudwatch: Any, lines: list[Line], period: int, now: float) -> dict[Line, Points]:
    queries = [
        {
            "Id": f"line{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": line.namespace,
                    "MetricName": line.metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in line.dimensions],
                },
                "Period": period,
                "Stat": line.stat,
            },
        }
        for number, line in enumerate(lines)
    ]
    found = cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(now - _LONGEST, UTC),
        EndTime=datetime.fromtimestamp(now + period, UTC),
        ScanBy="TimestampAscending",
    )["MetricDataResults"]
    points = {
        result["Id"]: [
            (time.timestamp(), value) for time, value in zip(result["Timestamps"], result["Values"], strict=True)
        ]
        for result in found
    }
    return {line: points[f"line{number}"] for number, line in enumerate(lines)}


def _unshown(cloudwatch: Any, lines: list[Line]) -> Iterator[str]:
    shown = {(line.metric, frozenset(line.dimensions)) for line in lines}
    for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE):
        for metric in page["Metrics"]:
            dimensions = {pair["Name"]: pair["Value"] for pair in metric["Dimensions"]}
            if (metric["MetricName"], frozenset(dimensions.items())) not in shown:
                yield f"no widget shows {metric['MetricName']} {dimensions}"


def _unwritten(logs: Any, folder: str) -> Iterator[str]:
    saved = logs.describe_query_definitions(queryDefinitionNamePrefix=f"{folder}/")["queryDefinitions"]
    if not saved:
        yield f"there are no saved queries in {folder}/"
    for each in saved:
        query, written = Query(each["queryString"]), set(OF_LOGS)
        for line in _logged(logs, each["logGroupNames"]):
            if not query.messages or line.get("message") in query.messages:
                written |= line.keys()
        if query.fields - written:
            yield f"saved query {each['name']}: no line has {sorted(query.fields - written)}"


def _logged(logs: Any, groups: list[str]) -> Iterator[dict[str, Any]]:
    """The lines that functions wrote; the engine's own around each invocation are no JSON."""
    for group in groups:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            yield from (json.loads(event["message"]) for event in page["events"] if event["message"].startswith("{"))
