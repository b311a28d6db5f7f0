"""An alarm watches the one metric that its dimensions name, and goes by the periods that it states.

AWS ("Amazon CloudWatch User Guide: Alarm evaluation", "Configuring how CloudWatch alarms treat missing data"): an alarm
looks at one metric, which is its namespace, name and dimensions; it compares one datapoint for each of its evaluation
periods with the threshold, treats missing ones as told, and is evaluated without anybody asking. It may also look at an
expression of several ("AWS::CloudWatch::Alarm MetricDataQuery").

The engine lumps all metrics of the same name together whatever their dimensions (a message in any queue would ring the
alarm of every dead-letter queue), evaluates only when somebody calls PutMetricData or PutMetricAlarm, and a stack with
an alarm on an expression fails. Closed by an evaluation of our own, every second, that knows the sum of metrics too.
"""

from __future__ import annotations

import operator
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local.engine.differences import Settings

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_WHEN_ALL_MISSING = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}


_SUM = "SUM(METRICS())"


def _datapoints(alarm: dict[str, Any], now: float) -> list[float | None]:
    """One value for each evaluation period, the latest first."""
    of_each = [_datapoints_of(metric, alarm, now) for metric in alarm.get("Summed", [alarm])]
    periods = ([value for value in period if value is not None] for period in zip(*of_each, strict=True))
    return [sum(values) if values else None for values in periods]


def _datapoints_of(metric: dict[str, Any], alarm: dict[str, Any], now: float) -> list[float | None]:
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions") or []}
    key = metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions)
    points = list(cloudwatch._metrics.get(key, []))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    values: list[float | None] = []
    for index in range(alarm.get("EvaluationPeriods", 1)):
        end = now - index * alarm.get("Period", 60)
        period = [point for point in points if end - alarm.get("Period", 60) < point["Timestamp"] <= end]
        values.append(cloudwatch._stat_value(cloudwatch._calc_stats(period), statistic, period) if period else None)
    return values


def _state(alarm: dict[str, Any], values: list[float | None]) -> str:
    """The state that these datapoints give the alarm."""
    missing = alarm.get("TreatMissingData") or "missing"
    if all(value is None for value in values):
        return _WHEN_ALL_MISSING.get(missing, str(alarm["StateValue"]))
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = sum(
        missing == "breaching" if value is None else breaches(value, alarm["Threshold"]) for value in values
    )
    return "ALARM" if breaching >= alarm.get("DatapointsToAlarm", len(values)) else "OK"


def evaluate(alarm: dict[str, Any]) -> None:
    """Bring the alarm into the state that its metric gives it, and take its actions when that is a new one."""
    if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _COMPARISONS:
        return
    values = _datapoints(alarm, time.time())
    old, new = alarm["StateValue"], _state(alarm, values)
    if old == new:
        return
    reason = f"Datapoints {values} against {alarm['ComparisonOperator']} {alarm['Threshold']}"
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _on_a_sum(properties: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The alarm as one on the first metric, and all metrics."""
    expression, *queries = properties["Metrics"]
    if expression.get("Expression") != _SUM:
        raise ValueError(f"Metrics: found {expression.get('Expression')}; allowed: {_SUM}, then the metrics.")
    metrics = [query["MetricStat"]["Metric"] for query in queries]
    first = queries[0]["MetricStat"]
    plain = {name: value for name, value in properties.items() if name != "Metrics"}
    return {**plain, **metrics[0], "Statistic": first["Stat"], "Period": first["Period"]}, metrics


def close(_: Settings) -> None:
    """Evaluate every alarm of every account and region once a second."""

    def watch() -> None:
        while True:
            time.sleep(1)
            for account, region in {scope[:2] for scope in list(cloudwatch._alarms._data)}:
                set_request_account_id(account)
                set_request_region(region)
                cloudwatch._evaluate_all_alarms()

    record = provisioners._cw_metric_alarm_record

    def record_sum_too(name: str, properties: dict[str, Any]) -> Any:
        if "Metrics" not in properties:
            return record(name, properties)
        plain, metrics = _on_a_sum(properties)
        return {**record(name, plain), "Summed": metrics}

    provisioners._cw_metric_alarm_record = record_sum_too
    cloudwatch._evaluate_alarm = evaluate
    threading.Thread(target=watch, name="alarms", daemon=True).start()
