"""What bounds the number of jobs: quotas of AWS, limits of the API, and what the template sets.

Quotas of AWS are the defaults of us-east-1 in November 2026. Each limit has the page that says it. A job that finds
nobody before it is sent at once; any other waits for its departure, and then it uses something when it is taken in, and
the rest later. What a limit of so many a second counts is a number per job; what a limit of so many at once counts is
seconds per job (Little's law).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from bucketbrush.domain.departures import step_between
from bucketbrush.domain.durations import BUCKETS
from bucketbrush.sweep import _CLOSING_SECONDS
from tests.bench.page import LOOKS, usage
from tests.bench.prices import Meter
from tests.template.stack import load

DAY = 86_400


class Name(StrEnum):
    """What is limited."""

    PACE = "`SubmitsPerSecond`"
    INTAKE = "`MaximumConcurrency`"
    SUBMITS = "API: submits"
    READS = "API: reads"
    CONCURRENCY = "Lambda: invocations at once"
    REQUESTS = "Lambda: requests"
    STARTS = "Step Functions: StartExecution"
    TRANSITIONS = "Step Functions: state transitions"
    OPEN = "Step Functions: open executions"
    INDEX = "DynamoDB: index of open jobs"
    JOBS = "DynamoDB: jobs table"
    DURATIONS = "DynamoDB: a model's row of durations"
    SCHEDULE = "DynamoDB: the schedule's row"
    PUTS = "S3: writes"
    GETS = "S3: reads"
    LOGS = "CloudWatch Logs: PutLogEvents"
    EVENTS = "EventBridge: PutEvents"
    DROPS = "EventBridge: invocations"
    PUBLISHES = "SNS: publishes"
    SECRETS = "Secrets Manager: reads"
    MONTH = "DynamoDB: the month's row"
    MAILS = "SNS: mails to an address"
    CHECKS = "Step Functions: the sweep's DescribeExecution"
    HANGING = "Step Functions: open executions in an outage"
    NEW = "Lambda: invocations at once, at first"


class Use(NamedTuple):
    """What a job uses: one that is ``sent`` at once; or one that waits, when it is ``taken`` in, and ``later``."""

    sent: float
    taken: float
    later: float

    @property
    def waiting(self) -> float:
        return self.taken + self.later


class Limit(NamedTuple):
    """So many a second, or with ``is_level`` so many at once.

    ``sets`` is what the template sets, ``moves`` what moves the limit, ``needs`` what must be so for it to count.
    ``burst`` is what the token bucket holds, where the page says it.
    """

    most: float
    use: Use
    page: str
    sets: str = ""
    moves: str = ""
    needs: str = ""
    burst: float = 0
    is_level: bool = False

    def used(self, rate: float, waiting: float) -> float:
        """The part that so many jobs a second use, of which the part ``waiting`` waits for its departure."""
        return rate * ((1 - waiting) * self.use.sent + waiting * self.use.waiting) / self.most

    def used_by_crowd(self, intake: float, pace: float) -> float:
        """The part that is used while so many jobs a second are taken in and so many leave, all of which wait."""
        return (intake * self.use.taken + pace * self.use.later) / self.most

    @property
    def full_at(self) -> float:
        """Jobs a day, all of which wait."""
        return self.most / self.use.waiting * DAY


class Account(NamedTuple):
    """A tier of the API; ``burst`` is how many submits it takes within ten seconds."""

    name: str
    submits_per_minute: int
    reads_per_minute: int
    burst: int


class Settings(NamedTuple):
    """What decides how fast a stack is."""

    account: Account
    submits_per_second: float
    maximum_concurrency: int

    @property
    def pace(self) -> float:
        """Departures a second: between two lie whole milliseconds."""
        return 1000 / step_between(self.submits_per_second)

    @property
    def intake(self) -> float:
        """Drops that are taken in a second, when all of them wait for their departure."""
        return self.maximum_concurrency / OWN_SECONDS

    def waiting(self, rate: float) -> float:
        """The part of so many jobs a second that waits, when they come at random (M/D/1 queue)."""
        return min(1.0, rate / self.pace)


Limits: TypeAlias = Mapping[Name, Limit]

# ---- What the template sets, and the API's tiers (ToAPIs, async rate limits page) ------------------------------------


_TEMPLATE = load()


def _default(parameter: str) -> int:
    return int(_TEMPLATE["Parameters"][parameter]["Default"])


MEMORY = int(_TEMPLATE["Globals"]["Function"]["MemorySize"])
QUEUE_SECONDS, DEADLINE_SECONDS = _default("MaxQueueSeconds"), _default("DeadlineSeconds")
ACCOUNTS = Account("default", 300, 3_000, 50), Account("vip", 1_000, 10_000, 167), Account("svip", 2_000, 30_000, 334)
DEFAULT = Settings(ACCOUNTS[0], _default("SubmitsPerSecond"), _default("MaximumConcurrency"))
VIP = Settings(ACCOUNTS[1], 13, 13)
SVIP = Settings(ACCOUNTS[2], 33.4, 34)  # the whole tier: 30 ms between two departures

# ---- What a job takes -----------------------------------------------------------------------------------------------

_job, _look = usage()
# Counted on a whole core. A function has a part of one (Lambda Developer Guide, "Configure Lambda function memory").
_SLOWER = 1769 / MEMORY
OWN_SECONDS = _job[Meter.COMPUTE] * 1024 / MEMORY * _SLOWER / 2  # counted for submit and finalize together
LOOK_OWN_SECONDS = _look[Meter.COMPUTE] * 1024 / MEMORY * _SLOWER
# Assumed: until the API has answered a submit or a read, and until a picture is fetched and stored.
SUBMIT_SECONDS, READ_SECONDS, FETCH_SECONDS = 1.0, 0.5, 3.0
SENT_SECONDS = OWN_SECONDS + SUBMIT_SECONDS
LOOK_SECONDS = LOOK_OWN_SECONDS + READ_SECONDS
FINALIZE_SECONDS = OWN_SECONDS + READ_SECONDS + FETCH_SECONDS
TASK_SECONDS, LATENESS = 40 * math.exp(0.5**2 / 2), 9.0  # the mean of docs/waiting.md's tasks, and how late it is seen

# A write takes two units: from its intent on a row has between 1 and 2 KB.
ROW = 2
# Of the index: one when next_check is set or removed, two when it changes (DynamoDB Developer Guide, "Using global
# secondary indexes").
CREATED, MOVED, CLOSED = 1, 2, 1
DURATIONS_ROW = math.ceil(BUCKETS * 12 / 1024)  # a bucket is at most 12 bytes: its name and 12 digits
TRANSACTION_SECONDS = 0.015  # decision 12

_SWEEP_AFTER, _RAREST = _default("SweepAfterSeconds"), 3600  # domain.deadlines.next_check
_SWEEP_SECONDS, _SWEEP_EVERY = _TEMPLATE["Resources"]["SweepFunction"]["Properties"]["Timeout"] - _CLOSING_SECONDS, 300


def _checks() -> float:
    """How often the sweep looks after a job until DeadlineSeconds: at first as often as it is old, later hourly."""
    return math.log(_RAREST / _SWEEP_AFTER) + (DEADLINE_SECONDS - _RAREST) / _RAREST


def _counted(meter: Meter) -> float:
    return _job[meter] + LOOKS * _look[meter]


def _later(each: float) -> Use:
    """What is used from the departure on, or by a job that is sent at once."""
    return Use(each, 0, each)


def _both(taken: float, sent: float) -> Use:
    """What is used at the intake, and again when the job is sent."""
    return Use(sent, taken, sent)


_INVOCATIONS = _job[Meter.INVOCATIONS] + LOOKS * _look[Meter.INVOCATIONS]
_BUSY_SECONDS = SENT_SECONDS + LOOKS * LOOK_SECONDS + FINALIZE_SECONDS
_LIFE = TASK_SECONDS + LATENESS + LOOKS * LOOK_SECONDS + FINALIZE_SECONDS
_TRANSITIONS = _job[Meter.TRANSITIONS] + LOOKS * _look[Meter.TRANSITIONS]

_LAMBDA = "Lambda Developer Guide, Lambda quotas"
_STATES = "Step Functions Developer Guide, Service quotas"
_PARTITION = "DynamoDB Developer Guide, Designing partition keys"
_TIERS = "ToAPIs, async rate limits"
_S3 = "S3 User Guide, Performance guidelines"
_RULES = "EventBridge User Guide, Quotas"
_SNS = "AWS General Reference, Amazon SNS endpoints and quotas"
_MAIL = "SNS Developer Guide, Email subscription setup"
_LOGS = "CloudWatch Logs User Guide, CloudWatch Logs quotas"
_SECRETS = "Secrets Manager User Guide, Quotas"
_ON_DEMAND = "DynamoDB Developer Guide, On-demand capacity mode"
_REQUEST, _DESIGN = "a quota request", "a change of the design"
_ONE, _HANG = "one partition", "no task ends"

AWS: Limits = MappingProxyType(
    {
        Name.CONCURRENCY: Limit(
            1_000,
            _both(OWN_SECONDS, _BUSY_SECONDS),
            _LAMBDA,
            sets=f"{MEMORY} MB, nothing reserved",
            moves=_REQUEST,
            is_level=True,
        ),
        Name.INDEX: Limit(
            1_000, Use(CREATED + MOVED + CLOSED, CREATED + MOVED, MOVED + CLOSED), _PARTITION, _ONE, moves=_DESIGN
        ),
        Name.JOBS: Limit(
            4_000,
            _both(2 * ROW, (4 + LOOKS) * ROW),
            _ON_DEMAND,
            "on demand",
            moves="itself: it grows with use",
        ),
        Name.STARTS: Limit(300, Use(1, 1, 0), _STATES, "Standard workflow", moves=_REQUEST, burst=1_300),
        Name.TRANSITIONS: Limit(
            5_000,
            _both(3, _TRANSITIONS),
            _STATES,
            "Standard workflow",
            moves=f"`LatenessPrice`; {_REQUEST}",
            burst=5_000,
        ),
        Name.DURATIONS: Limit(1_000, _later(DURATIONS_ROW), _PARTITION, _ONE, moves=_DESIGN),
        Name.PUTS: Limit(3_500, _later(_counted(Meter.PUTS)), _S3, "one prefix", moves="itself: S3 divides the prefix"),
        Name.LOGS: Limit(5_000, _both(1, _INVOCATIONS), _LOGS, moves=_REQUEST),
        Name.SCHEDULE: Limit(1_000, Use(1, 1, 0), _PARTITION, _ONE, moves=_DESIGN),
        Name.GETS: Limit(5_500, _later(_counted(Meter.GETS)), _S3, "one prefix", moves="itself: S3 divides the prefix"),
        Name.REQUESTS: Limit(10_000, _both(1, _INVOCATIONS), _LAMBDA, moves="ten times the invocations at once"),
        Name.EVENTS: Limit(10_000, _later(_counted(Meter.EVENTS)), _RULES, moves=_REQUEST),
        Name.OPEN: Limit(1_000_000, Use(_LIFE, 0, _LIFE + SENT_SECONDS), _STATES, moves=_REQUEST, is_level=True),
        Name.DROPS: Limit(18_750, Use(1, 1, 0), _RULES, moves=f"{_REQUEST}; above it they come later"),
        Name.PUBLISHES: Limit(30_000, _later(_counted(Meter.PUBLISHES)), _SNS, moves=_REQUEST),
        Name.SECRETS: Limit(10_000, _later(_counted(Meter.SECRETS)), _SECRETS, "read every 5 minutes", moves=_DESIGN),
        Name.NEW: Limit(
            10, _both(OWN_SECONDS, _BUSY_SECONDS), "decision 18", "", _REQUEST, "a new AWS account", is_level=True
        ),
        Name.CHECKS: Limit(
            15 * _SWEEP_SECONDS / _SWEEP_EVERY,
            _later(_checks()),
            _STATES,
            f"{_SWEEP_SECONDS} s every 5 minutes",
            "`DeadlineSeconds`",
            _HANG,
        ),
        Name.HANGING: Limit(
            1_000_000, _later(DEADLINE_SECONDS), _STATES, "", f"`DeadlineSeconds`; {_REQUEST}", _HANG, is_level=True
        ),
        Name.MAILS: Limit(10, _later(1), _MAIL, "empty", "a queue as subscriber instead", "`NotificationEmail`"),
        Name.MONTH: Limit(
            1 / TRANSACTION_SECONDS, _later(2), "decision 12", "0: no budget", _DESIGN, "`MonthlyBudgetUsd`"
        ),
    }
)
ELSEWHERE: Limits = MappingProxyType(
    {
        **AWS,
        Name.STARTS: AWS[Name.STARTS]._replace(most=150, burst=800),
        Name.TRANSITIONS: AWS[Name.TRANSITIONS]._replace(most=800, burst=800),
        Name.CHECKS: AWS[Name.CHECKS]._replace(most=AWS[Name.CHECKS].most * 10 / 15),
    }
)


def limits(settings: Settings, aws: Limits = AWS) -> Limits:
    """All of them: the template's, the API's, and those of AWS."""
    account, pace, hands = settings.account, settings.submits_per_second, settings.maximum_concurrency
    return {
        Name.PACE: Limit(settings.pace, _later(1), "pace.md", f"{pace:g}", "itself, up to 50"),
        Name.INTAKE: Limit(
            hands, Use(SENT_SECONDS, OWN_SECONDS, 0), "pace.md", f"{hands}", "itself, up to 1,000", is_level=True
        ),
        Name.SUBMITS: Limit(
            account.submits_per_minute / 60, _later(1), _TIERS, moves="the account's tier", burst=account.burst
        ),
        Name.READS: Limit(
            account.reads_per_minute / 60, _later(LOOKS + 1), _TIERS, moves="the account's tier; `LatenessPrice`"
        ),
        **aws,
    }


def parts(found: Limits, used: Callable[[Limit], float], needs: str = "") -> dict[Name, float]:
    """The part that is used of each limit that counts, the largest first."""
    counting = {name: used(limit) for name, limit in found.items() if limit.needs in ("", needs)}
    return dict(sorted(counting.items(), key=lambda item: -item[1]))


def open_at_most(jobs: float, settings: Settings) -> float:
    """Executions that are open when so many jobs that were dropped at once are all taken in."""
    ahead = jobs * (1 - settings.pace / settings.intake)
    return min(jobs, ahead + settings.pace * AWS[Name.OPEN].use.later)
