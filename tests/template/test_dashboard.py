"""The dashboard and the saved queries, against what AWS takes and what is emitted."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from bucketbrush.domain import errors
from bucketbrush.domain.batches import BatchOutcome
from bucketbrush.domain.jobs import Outcome
from tests.dashboard.body import COLUMNS, Widget, read
from tests.dashboard.queries import COMMANDS, FUNCTIONS, Query
from tests.template.emitted import metrics
from tests.template.stack import Json, Resources, Values

if TYPE_CHECKING:
    from tests.dashboard.body import Line

# "Dashboard body structure and syntax", CloudWatch API reference.
PROPERTIES = {
    "text": {"markdown"},
    "alarm": {"title", "alarms"},
    "metric": {
        *("title", "view", "region", "stat", "period", "metrics"),
        *("stacked", "setPeriodToTimeRange", "yAxis", "annotations"),
    },
}
STATISTICS = {"Average", "Sum", "Maximum", "p50", "p90", "p99"}
# The metrics of other services with their dimension: "Types of metrics for Lambda functions", "Available CloudWatch
# metrics for Amazon SQS", "Monitoring Step Functions metrics using Amazon CloudWatch".
OF_AWS = {
    ("AWS/Lambda", "FunctionName"): {"Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    ("AWS/SQS", "QueueName"): {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    ("AWS/States", "StateMachineArn"): {
        *("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"),
        "ExecutionThrottled",
    },
}
PROVIDER_ERRORS = {
    *(errors.ApiKeyMissing, errors.ProviderUnreachable, errors.ProviderBusy, errors.RateLimited, errors.KeyReplaced),
    *(errors.ProviderRefused, errors.ContentRefused, errors.AccountEmpty, errors.KeyRefused),
    *(errors.SubmitUnanswered, errors.TaskFailed, errors.TaskUnreadable, errors.ResultUnstored),
}
HOLDS = PROVIDER_ERRORS - {errors.TaskFailed, errors.ResultUnstored} | {
    *(
        errors.DepartureAhead,
        errors.IntakePaused,
        errors.CompanionAwaited,
        errors.HandoverUnfinished,
        errors.BudgetBusy,
    ),
}
DIMENSIONS = {
    ("Jobs", "outcome"): {outcome.value for outcome in Outcome},
    ("Batches", "outcome"): {outcome.value for outcome in BatchOutcome},
    ("ProviderErrors", "error"): {error.__name__ for error in PROVIDER_ERRORS},
    ("Holds", "reason"): {error.__name__ for error in HOLDS},
}


@pytest.fixture(scope="module")
def body(template: Json) -> str:
    return str(Values.deployed(template, {}).resolve(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]))


@pytest.fixture(scope="module")
def widgets(body: str) -> list[Widget]:
    return read(body)


@pytest.fixture(scope="module")
def lines(widgets: list[Widget]) -> list[Line]:
    return [line for widget in widgets for line in widget.lines()]


@pytest.fixture(scope="module")
def queries(resources: Resources) -> dict[str, Query]:
    found = resources.of("AWS::Logs::QueryDefinition")
    return {name: Query(properties["QueryString"]) for name, properties in found.items()}


# ---- The dashboard -----------------------------------------------------------------------------------------------


def test_the_body_is_what_cloudwatch_reads(body: str, widgets: list[Widget]) -> None:
    assert set(json.loads(body)) == {"start", "widgets"}
    for widget in widgets:
        assert set(widget.properties) <= PROPERTIES[widget.kind], widget.title
    for widget in (widget for widget in widgets if widget.kind == "metric"):
        assert {"title", "view", "region", "stat", "period", "metrics"} <= set(widget.properties), widget.title
        assert widget.properties["view"] in {"timeSeries", "singleValue"}, widget.title
        assert {line.stat for line in widget.lines()} <= STATISTICS, widget.title
    numbers = [widget for widget in widgets if widget.properties.get("view") == "singleValue"]
    assert {
        (line.stat, widget.properties["setPeriodToTimeRange"]) for widget in numbers for line in widget.lines()
    } == {("Sum", True)}, "a number is the sum over the time that is shown"


def test_no_widget_lies_on_another(widgets: list[Widget]) -> None:
    places = {
        widget.title: {
            (x, y) for x in range(widget.x, widget.x + widget.width) for y in range(widget.y, widget.y + widget.height)
        }
        for widget in widgets
    }
    assert len(places) == len(widgets), "titles differ"
    for (title, place), (other, taken) in combinations(places.items(), 2):
        assert not place & taken, f"{title} lies on {other}"
    assert all(x < COLUMNS for place in places.values() for x, _ in place)


def test_it_shows_each_metric_of_ours_as_it_is_emitted(lines: list[Line]) -> None:
    shown: dict[str, set[frozenset[str]]] = {}
    for line in lines:
        if line.namespace == "Bucketbrush":
            assert dict(line.dimensions)["service"] == "<AWS::StackName>", line
            shown.setdefault(line.metric, set()).add(frozenset(dict(line.dimensions)) - {"service"})
    assert shown == {name: {metric.dimensions} for name, metric in metrics().items()}


@pytest.mark.parametrize(("metric", "dimension"), DIMENSIONS)
def test_it_shows_each_value_of_a_dimension(lines: list[Line], metric: str, dimension: str) -> None:
    values = {dict(line.dimensions)[dimension] for line in lines if line.metric == metric}
    assert values == DIMENSIONS[metric, dimension]


def test_it_shows_metrics_that_aws_has(lines: list[Line], resources: Resources) -> None:
    of_aws: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        if line.namespace != "Bucketbrush":
            ((dimension, _),) = line.dimensions
            of_aws.setdefault((line.namespace, dimension), set()).add(line.metric)
    assert of_aws == OF_AWS
    functions = {value for line in lines if line.metric == "Throttles" for _, value in line.dimensions}
    assert functions == {f"<{name}>" for name in resources.of("AWS::Lambda::Function")}


def test_it_shows_every_alarm(widgets: list[Widget], resources: Resources) -> None:
    (alarms,) = [widget.properties["alarms"] for widget in widgets if widget.kind == "alarm"]
    assert sorted(alarms) == sorted(f"<{name}.Arn>" for name in resources.of("AWS::CloudWatch::Alarm"))


def test_it_links_to_every_saved_query(widgets: list[Widget], queries: dict[str, Query]) -> None:
    (markdown,) = [widget.properties["markdown"] for widget in widgets if widget.kind == "text"]
    for name in queries:
        assert f"queryId$257E$2527<{name}>$2529)" in markdown, name


# ---- The saved queries -------------------------------------------------------------------------------------------


def test_saved_queries_lie_in_the_stacks_folder_and_read_its_logs(resources: Resources) -> None:
    groups = resources.of("AWS::Logs::LogGroup")
    for name, query in resources.of("AWS::Logs::QueryDefinition").items():
        assert query["Name"]["Fn::Sub"].startswith("${AWS::StackName}/"), name
        assert {group["Ref"] for group in query["LogGroupNames"]} <= set(groups), name
    story = resources.properties("JobStoryQuery")["LogGroupNames"]
    assert {group["Ref"] for group in story} == set(groups), "a job's story is told by all"


def test_saved_queries_are_written_in_the_language(queries: dict[str, Query]) -> None:
    assert len(queries) == 5
    for name, query in queries.items():
        assert set(query.commands) <= COMMANDS, name
        assert query.functions <= FUNCTIONS, name
