"""The alarms: what each watches, when it rings, and that it reaches somebody."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bucketbrush import observability
from bucketbrush.domain import errors
from bucketbrush.domain.jobs import Outcome
from tests.template.emitted import metrics
from tests.template.stack import Json, Resources, strings
from tests.template.test_resources import DEAD_LETTERS, FUNCTIONS

if TYPE_CHECKING:
    import pytest


def _watched(alarm: Json) -> tuple[str, ...]:
    dimensions = [word for item in alarm["Dimensions"] for word in (item["Name"], *strings(item["Value"]))]
    return alarm["Namespace"], alarm["MetricName"], *dimensions


def _own(resources: Resources) -> dict[str, Json]:
    """The alarms on metrics that the package emits."""
    alarms = resources.of("AWS::CloudWatch::Alarm")
    return {name: item for name, item in alarms.items() if item.get("Namespace") == "Bucketbrush"}


# The parameter that is each alarm's threshold; None for the one whose threshold is no matter of taste.
THRESHOLDS = {
    **dict.fromkeys((f"{queue}Alarm" for queue in DEAD_LETTERS), "AlarmDeadLetters"),
    **dict.fromkeys(("ExecutionsFailedAlarm", "ExecutionsTimedOutAlarm"), "AlarmFailedExecutions"),
    **{f"Jobs{kind}Alarm": "AlarmJobs" for kind in ("Unknown", "Lost", "Late", "Overdue", "Unstored")},
    "OverBudgetAlarm": "AlarmJobs",
    **dict.fromkeys(("KeyRefusedAlarm", "AccountEmptyAlarm", "ApiKeyMissingAlarm"), "AlarmRefusals"),
    "OldestOverdueAlarm": "AlarmOverdueSeconds",
    "LinksExpiringAlarm": "AlarmUnstoredSeconds",
    "ErrorRateAlarm": "AlarmErrorPercent",
    "StatusErrorsAlarm": "AlarmStatusErrors",
    "ThrottlesAlarm": "AlarmThrottles",
    "BudgetAlarm": "AlarmBudgetPercent",
    "BudgetSpentAlarm": None,
    "SweepSilentAlarm": None,
    "SelfTestAlarm": None,
}


def test_an_alarm_rings_for_everything_that_is_stuck(resources: Resources) -> None:
    depth = ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "Fn::GetAtt")
    service = ("service", "Ref", "AWS::StackName")
    alarms = resources.of("AWS::CloudWatch::Alarm")
    assert {name: _watched(alarm) for name, alarm in alarms.items() if "Metrics" not in alarm} == {
        **{f"{queue}Alarm": (*depth, queue, "QueueName") for queue in DEAD_LETTERS},
        "ExecutionsFailedAlarm": ("AWS/States", "ExecutionsFailed", "StateMachineArn", "Ref", "JobsMachine"),
        "ExecutionsTimedOutAlarm": ("AWS/States", "ExecutionsTimedOut", "StateMachineArn", "Ref", "JobsMachine"),
        "StatusErrorsAlarm": ("AWS/Lambda", "Errors", "FunctionName", "Ref", "StatusFunction"),
        "JobsUnknownAlarm": ("Bucketbrush", "Jobs", *service, "outcome", "unknown"),
        "JobsLostAlarm": ("Bucketbrush", "Jobs", *service, "outcome", "lost"),
        "JobsUnstoredAlarm": ("Bucketbrush", "JobsUnstored", *service),
        "LinksExpiringAlarm": ("Bucketbrush", "OldestUnstoredSeconds", *service),
        "JobsLateAlarm": ("Bucketbrush", "JobsLate", *service),
        "JobsOverdueAlarm": ("Bucketbrush", "JobsOverdue", *service),
        "OldestOverdueAlarm": ("Bucketbrush", "OldestOverdueSeconds", *service),
        "SweepSilentAlarm": ("Bucketbrush", "JobsOverdue", *service),
        "KeyRefusedAlarm": ("Bucketbrush", "ProviderErrors", *service, "error", "KeyRefused"),
        "AccountEmptyAlarm": ("Bucketbrush", "ProviderErrors", *service, "error", "AccountEmpty"),
        "ApiKeyMissingAlarm": ("Bucketbrush", "ProviderErrors", *service, "error", "ApiKeyMissing"),
        "ErrorRateAlarm": ("Bucketbrush", "JobErrorPercent", *service),
        "BudgetAlarm": ("Bucketbrush", "BudgetUsedPercent", *service),
        "BudgetSpentAlarm": ("Bucketbrush", "BudgetUsedPercent", *service),
        "OverBudgetAlarm": ("Bucketbrush", "JobsOverBudget", *service),
        "SelfTestAlarm": ("Bucketbrush", "SelfTest", *service),
    }


def test_every_throttle_is_counted(resources: Resources) -> None:
    """Of a sum nobody sees the parts, so the sum is of all there are."""
    total, *parts = resources.properties("ThrottlesAlarm")["Metrics"]
    assert (total["Expression"], total.get("ReturnData", True)) == ("SUM(METRICS())", True)
    assert not any(part["ReturnData"] for part in parts)
    watched = {_watched(part["MetricStat"]["Metric"]) for part in parts}
    functions = {("AWS/Lambda", "Throttles", "FunctionName", "Ref", name) for name in FUNCTIONS}
    assert watched == functions | {("AWS/States", "ExecutionThrottled", "StateMachineArn", "Ref", "JobsMachine")}
    assert {part["MetricStat"]["Stat"] for part in parts} == {"Sum"}


def test_nothing_dies_in_silence(resources: Resources) -> None:
    """Every queue that a queue or a rule gives up to has an alarm."""
    queues = resources.of("AWS::SQS::Queue").values()
    given_up = {
        item["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] for item in queues if "RedrivePolicy" in item
    }
    targets = [target for rule in resources.of("AWS::Events::Rule").values() for target in rule["Targets"]]
    given_up |= {item["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for item in targets if "DeadLetterConfig" in item}
    alarms = resources.of("AWS::CloudWatch::Alarm").values()
    watched = {_watched(alarm)[-2] for alarm in alarms if alarm.get("Namespace") == "AWS/SQS"}
    assert watched == given_up == DEAD_LETTERS


def test_alarms_ring_at_their_parameters_and_are_quiet_without_data(resources: Resources) -> None:
    alarms = resources.of("AWS::CloudWatch::Alarm")
    assert alarms.keys() == THRESHOLDS.keys()
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        if THRESHOLDS[name]:
            assert alarm["Threshold"] == {"Ref": THRESHOLDS[name]}, name
        if name != "SweepSilentAlarm":
            assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", name
            assert alarm["TreatMissingData"] == "notBreaching", name
            assert alarm["EvaluationPeriods"] == 1, name


def test_what_costs_money_or_pictures_rings_at_the_first(template: Json) -> None:
    first = {name for name in template["Parameters"] if name.startswith("Alarm")} & set(THRESHOLDS.values())
    ones = {name for name in first if template["Parameters"][str(name)]["Default"] == 1}
    assert ones == {"AlarmDeadLetters", "AlarmFailedExecutions", "AlarmJobs", "AlarmRefusals"}


def test_every_alarm_says_what_happened_and_where_its_runbook_is(resources: Resources) -> None:
    for name, alarm in resources.of("AWS::CloudWatch::Alarm").items():
        said, _, runbook = alarm["AlarmDescription"]["Fn::Sub"].partition(" Runbook: ")
        assert said.endswith("."), name
        assert runbook == f"${{RunbookUrl}}#{name.lower()}"
        assert len(said) + len(runbook) < 900, "CloudWatch takes 1,024 characters"


def test_a_silent_sweep_is_heard(resources: Resources) -> None:
    """No data is what it rings for: how often the sweep said anything, whatever it said."""
    alarm, schedule = resources.properties("SweepSilentAlarm"), resources.properties("SweepFunctionSchedule")
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("SampleCount", "LessThanThreshold")
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "breaching")
    (minutes,) = re.fullmatch(r"rate\((\d+) minutes\)", schedule["ScheduleExpression"]).groups()
    assert alarm["Period"] >= int(minutes) * 60, "a period between two sweeps would be taken for silence"
    assert alarm["EvaluationPeriods"] * alarm["Period"] == 15 * 60


def test_what_the_sweep_says_holds_until_it_speaks_again(resources: Resources) -> None:
    """A sweep that comes a little late would leave a shorter period empty, and the alarm would ring twice."""
    said = {name: alarm["Period"] for name, alarm in _own(resources).items() if alarm["Statistic"] == "Maximum"}
    assert said
    assert {name: period for name, period in said.items() if period < 2 * 300} == {}


def test_alarms_watch_metrics_that_the_package_emits(resources: Resources) -> None:
    emitted = metrics()
    # Maximum of counts would be 1 for any number, Sum of gauges would count a job once for every sweep.
    statistics = {"count": ["Sum"], "gauge": ["Maximum", "SampleCount"], "seconds": ["Maximum"]}
    named = {"outcome": {it.value for it in Outcome}, "error": set(vars(errors)), "service": {"AWS::StackName"}}
    for name, alarm in _own(resources).items():
        if name == "SelfTestAlarm":
            assert alarm["MetricName"] not in emitted, "only somebody's hand rings it"
            continue
        metric = emitted[alarm["MetricName"]]
        assert {item["Name"] for item in alarm["Dimensions"]} == {"service", *metric.dimensions}, name
        assert alarm["Statistic"] in {**statistics, "percent": ["Average", "Maximum"]}[metric.kind], name
        for item in alarm["Dimensions"]:
            value = item["Value"]
            assert (value["Ref"] if isinstance(value, dict) else value) in named[item["Name"]], name


def test_a_rate_is_an_average(resources: Resources) -> None:
    """The metric is 100 or 0 for each job, so its maximum would be 100 as soon as one fails."""
    assert resources.properties("ErrorRateAlarm")["Statistic"] == "Average"


def test_metrics_go_where_the_alarms_look(
    template: Json, resources: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The namespace and the service of every function, as the package's one place for metrics writes them."""
    namespaces = {alarm["Namespace"] for alarm in _own(resources).values()}
    for function in FUNCTIONS:
        variables = resources.properties(function)["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
        assert {variables["POWERTOOLS_METRICS_NAMESPACE"]} == namespaces
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", *namespaces)
    for metric in metrics().values():
        given = dict.fromkeys(metric.dimensions, "x")
        if metric.kind == "count":
            observability.count(metric.name, **given)
        else:
            getattr(observability, metric.kind)(metric.name, 0)
        line = json.loads(capsys.readouterr().out)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        ((names,),) = [directive["Dimensions"]]
        assert {directive["Namespace"]} == namespaces
        assert sorted(names) == sorted(["service", *metric.dimensions])
        assert line["service"] == "stack"
        assert line[metric.name] == [1.0 if metric.kind == "count" else 0.0], "a gauge of none is data too"


def test_the_email_address_gets_results_and_alarms(resources: Resources) -> None:
    subscriptions = resources.of("AWS::SNS::Subscription")
    assert sorted(item["TopicArn"]["Ref"] for item in subscriptions.values()) == ["AlarmTopic", "Topic"]
    for name, item in subscriptions.items():
        assert (item["Protocol"], item["Endpoint"]) == ("email", {"Ref": "NotificationEmail"})
        assert resources.all[name]["Condition"] == "HasEmail"
