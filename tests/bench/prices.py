"""What AWS takes for a job: what is metered, at which price, and the bill for so many looks.

The prices are those of us-east-1 on demand in November 2026, of the first tier, without free tiers and taxes. Each has
the page that says it, below https://aws.amazon.com/.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_GIB = 2**30
_JOBS = 1_000  # of which the bill is


class Meter(StrEnum):
    """What AWS counts."""

    TRANSITIONS = "state transitions"
    COMPUTE = "Lambda GB-s"
    INVOCATIONS = "Lambda requests"
    WRITES = "DynamoDB write units"
    READS = "DynamoDB read units"
    PUTS = "S3 PUT, COPY, LIST"
    GETS = "S3 GET, HEAD"
    PUBLISHES = "SNS publishes"
    MESSAGES = "SQS requests"
    EVENTS = "events of our own"
    SECRETS = "secret reads"
    LOGS = "log bytes"


class Price(NamedTuple):
    """US dollars for so many."""

    usd: float
    per: float
    page: str

    def of(self, amount: float) -> float:
        return self.usd * amount / self.per


PRICES: Mapping[Meter, Price] = MappingProxyType(
    {
        Meter.TRANSITIONS: Price(0.025, 1_000, "step-functions/pricing"),  # Standard; a retry is a transition too
        Meter.COMPUTE: Price(0.0000133334, 1, "lambda/pricing"),  # arm64
        Meter.INVOCATIONS: Price(0.20, 1e6, "lambda/pricing"),
        Meter.WRITES: Price(0.625, 1e6, "dynamodb/pricing/on-demand"),
        Meter.READS: Price(0.125, 1e6, "dynamodb/pricing/on-demand"),
        Meter.PUTS: Price(0.005, 1_000, "s3/pricing"),
        Meter.GETS: Price(0.0004, 1_000, "s3/pricing"),
        Meter.PUBLISHES: Price(0.50, 1e6, "sns/pricing"),
        Meter.MESSAGES: Price(0.40, 1e6, "sqs/pricing"),
        Meter.EVENTS: Price(1.00, 1e6, "eventbridge/pricing"),  # those of AWS services are free
        Meter.SECRETS: Price(0.05, 10_000, "secrets-manager/pricing"),
        Meter.LOGS: Price(0.50, _GIB, "cloudwatch/pricing"),
    }
)
# How a request is metered; None is free.
_METERS: Mapping[str, Meter | None] = MappingProxyType(
    {
        "dynamodb BatchGetItem": Meter.READS,
        "dynamodb GetItem": Meter.READS,
        "dynamodb PutItem": Meter.WRITES,
        "dynamodb TransactWriteItems": Meter.WRITES,
        "dynamodb UpdateItem": Meter.WRITES,
        "events PutEvents": Meter.EVENTS,
        "s3 CopyObject": Meter.PUTS,
        "s3 GetObject": Meter.GETS,
        "s3 HeadObject": Meter.GETS,
        "s3 ListObjectVersions": Meter.PUTS,
        "s3 ListObjectsV2": Meter.PUTS,
        "s3 PutObject": Meter.PUTS,
        "secretsmanager GetSecretValue": Meter.SECRETS,
        "sns Publish": Meter.PUBLISHES,
        "sqs SendMessage": Meter.MESSAGES,
        "stepfunctions StartExecution": None,
        "sts AssumeRole": None,
    }
)

Usage: TypeAlias = "Mapping[Meter, float]"


class Invocation(NamedTuple):
    """One run of a function with so many megabytes. ``messages`` is how many of a queue it was given; ``calls`` are its
    requests to AWS, such as ``dynamodb PutItem``, with the capacity units if DynamoDB said how many.
    """

    megabytes: int
    seconds: float
    messages: int
    calls: Sequence[tuple[str, float | None]]

    @property
    def compute(self) -> float:
        """GB-s; every millisecond that was begun counts."""
        return math.ceil(1000 * self.seconds) / 1000 * self.megabytes / 1024


def used(invocations: Iterable[Invocation]) -> defaultdict[Meter, float]:
    """What was metered of so many invocations and their requests. Raises ValueError for a request without a meter.

    A message is sent, received and deleted. A write that was refused counts as one unit, the least that DynamoDB takes
    for it.
    """
    usage: defaultdict[Meter, float] = defaultdict(float)
    for invocation in invocations:
        usage[Meter.INVOCATIONS] += 1
        usage[Meter.COMPUTE] += invocation.compute
        usage[Meter.MESSAGES] += 3 * invocation.messages
        for call, units in invocation.calls:
            if meter := _meter(call):
                usage[meter] += 1 if units is None else units
    return usage


def _meter(call: str) -> Meter | None:
    if call not in _METERS:
        raise ValueError(f"request: found {call}, which has no meter; allowed: {', '.join(_METERS)}")
    return _METERS[call]


def bill(besides: Usage, look: Usage, looks: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """What 1,000 jobs come to with each number of looks: a row for each meter with amounts and US dollars, and the sum.

    ``besides`` and ``look`` are what one job uses besides its looks, and what one look does.
    """
    rows: dict[str, dict[str, float]] = {meter.value: {} for meter in PRICES}
    for meter, price in PRICES.items():
        for name, count in looks.items():
            amount = _JOBS * (besides.get(meter, 0) + count * look.get(meter, 0))
            rows[meter] |= {name: round(amount, 3), _usd(name): round(price.of(amount), 6)}
    return {**rows, "total": {_usd(name): round(sum(row[_usd(name)] for row in rows.values()), 6) for name in looks}}


def _usd(name: str) -> str:
    return f"{name}, USD"
