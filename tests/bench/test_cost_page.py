"""docs/cost.md says what the counted requests, the prices and the template come to."""

from __future__ import annotations

import pytest

from tests.bench import page
from tests.bench.prices import Meter
from tests.template.stack import load


def test_the_tables_of_the_page_are_what_is_computed() -> None:
    text = page.PAGE.read_text()
    assert page.written(text, page.tables()) == text


def test_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"found no table that begins with \| service \|"):
        page.written("", page.tables())


def test_the_transitions_are_those_of_the_definition() -> None:
    """Read, Known, Finalize, Outcome, Done once; Wait, Status, Seen for each look."""
    job, look = page.usage()
    states = set(load()["Resources"]["JobsMachine"]["Properties"]["Definition"]["States"])
    once, each = {"Read", "Known", "Finalize", "Outcome", "Done"}, {"Wait", "Status", "Seen"}
    assert states == once | each | {"Hold", "Submit", "Failed"}
    assert (job[Meter.TRANSITIONS], look[Meter.TRANSITIONS]) == (len(once), len(each))


def test_every_meter_is_in_one_service() -> None:
    assert sorted(meter for meters in page._SERVICES.values() for meter in meters) == sorted(Meter)


def test_a_month_is_added_up_by_hand() -> None:
    template = {
        "Resources": {
            "One": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "a"}},
            "Math": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}, {"Expression": "a + b"}]},
            },
            "Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {}},
            "Key": {"Type": "AWS::SecretsManager::Secret", "Properties": {}},
            "Function": {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"Queue": {"Type": "SQS"}}}},
        }
    }
    usd = {row.name: round(row.usd, 4) for row in page.monthly(template)}
    metrics = usd.pop("custom metrics without a further dimension")
    assert metrics == pytest.approx(0.30 * page._plain())
    assert usd == {
        "dashboards": 3,
        "metrics of alarms": 0.3,
        "looks into empty queues": 0.2592,  # 3 a minute by each of 5, 30 days, 0.40 a million
        "secrets": 0.4,
        "sweeps": 0.0305,  # 8,640 requests, and 2,160 GB-s
    }
