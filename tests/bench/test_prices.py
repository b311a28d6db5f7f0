"""What `make bench SECTION=polling` prices with, against bills that were made by hand."""

from __future__ import annotations

import pytest

from tests.bench.prices import PRICES, Invocation, Meter, bill, used

LOOKS = {"ours": 4.1, "naive": 10.6}


def test_a_bill_is_what_a_job_takes_once_and_each_look_again() -> None:
    besides = {Meter.TRANSITIONS: 5, Meter.PUTS: 7, Meter.PUBLISHES: 1}
    found = bill(besides, {Meter.TRANSITIONS: 3, Meter.WRITES: 2}, LOOKS)

    assert found["state transitions"] == {"ours": 17_300, "ours, USD": 0.4325, "naive": 36_800, "naive, USD": 0.92}
    assert found["DynamoDB write units"] == {
        "ours": 8_200,
        "ours, USD": 0.005125,
        "naive": 21_200,
        "naive, USD": 0.01325,
    }
    assert found["S3 PUT, COPY, LIST"] == {"ours": 7_000, "ours, USD": 0.035, "naive": 7_000, "naive, USD": 0.035}
    assert found["SNS publishes"]["naive, USD"] == 0.0005
    assert found["log bytes"] == {"ours": 0, "ours, USD": 0, "naive": 0, "naive, USD": 0}
    assert found["total"] == {"ours, USD": 0.473125, "naive, USD": 0.96875}
    assert list(found) == [*Meter, "total"]


def test_a_million_of_everything_costs_what_the_pages_say() -> None:
    assert {meter: pytest.approx(price.of(1e6)) for meter, price in PRICES.items()} == {
        Meter.TRANSITIONS: 25,
        Meter.COMPUTE: 13.3334,
        Meter.INVOCATIONS: 0.2,
        Meter.WRITES: 0.625,
        Meter.READS: 0.125,
        Meter.PUTS: 5,
        Meter.GETS: 0.4,
        Meter.PUBLISHES: 0.5,
        Meter.MESSAGES: 0.4,
        Meter.EVENTS: 1,
        Meter.SECRETS: 5,
        Meter.LOGS: 0.5e6 / 2**30,
    }


def test_what_invocations_use_is_metered() -> None:
    taken_in = Invocation(
        512, 0.0301, 1, [("dynamodb PutItem", 2.0), ("sts AssumeRole", None), ("s3 HeadObject", None)]
    )
    looked = Invocation(1024, 0.25, 0, [("dynamodb UpdateItem", 2.0), ("dynamodb BatchGetItem", 1.5)])

    assert used([taken_in, looked]) == {
        Meter.INVOCATIONS: 2,
        Meter.COMPUTE: pytest.approx(0.5 * 0.031 + 0.25),  # 30.1 ms are billed as 31
        Meter.MESSAGES: 3,  # sent, received and deleted
        Meter.WRITES: 4,
        Meter.READS: 1.5,
        Meter.GETS: 1,
    }


def test_a_write_that_was_refused_is_paid() -> None:
    assert used([Invocation(512, 0.01, 0, [("dynamodb PutItem", None)])])[Meter.WRITES] == 1


def test_a_request_that_nobody_has_priced_is_named() -> None:
    with pytest.raises(ValueError, match="found kms Decrypt, which has no meter; allowed: dynamodb BatchGetItem, "):
        used([Invocation(512, 0.01, 0, [("kms Decrypt", None)])])
