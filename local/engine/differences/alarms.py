"""An alarm watches the one metric that its dimensions name, and goes by the periods that it states.

AWS ("Amazon CloudWatch User Guide: Alarm evaluation", "Configuring how CloudWatch alarms treat missing data"): an alarm
looks at one metric, which is its namespace, name and dimensions; it compares one datapoint for each of its evaluation
periods with the threshold, treats missing ones as told, and is evaluated without anybody asking.

The engine lumps all metrics of the same name together whatever their dimensions (a message in any queue would ring the
alarm of every dead-letter queue), and evaluates only when somebody calls PutMetricData or PutMetricAlarm. Closed by an
evaluation of our own, every second.
"""

from __future__ import annotations

import operator
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import cloudwatch

if TYPE_CHECKING:
    from local.engine.differences import Settings

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_WHEN_ALL_MISSING = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}


def _datapoints(alarm: dict[str, Any], now: float) -> list[float | None]:
    """One value for each evaluation period, the latest first."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
    metric = alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions)
    points = list(cloudwatch._metrics.get(metric, []))
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


def close(_: Settings) -> None:
    """Evaluate every alarm of every account and region once a second."""

    def watch() -> None:
        while True:
            time.sleep(1)
            for account, region in {scope[:2] for scope in list(cloudwatch._alarms._data)}:
                set_request_account_id(account)
                set_request_region(region)
                cloudwatch._evaluate_all_alarms()

    cloudwatch._evaluate_alarm = evaluate
    threading.Thread(target=watch, name="alarms", daemon=True).start()
