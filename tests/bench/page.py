"""The tables of docs/cost.md: what AWS takes for 1,000 jobs and by the month.

`python -m tests.bench.page` counts on the engine what a job asks of AWS, and writes the tables anew.
Those of docs/scale.md use the same counts: `make bench SECTION=scale` writes them.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from local.engine.controller import ROOT
from tests.bench.calls import measure
from tests.bench.prices import PRICES, Meter, Price
from tests.template.emitted import metrics
from tests.template.stack import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE = ROOT / "docs" / "cost.md"
COUNTED = ROOT / "tests" / "bench" / "counted.json"  # what a job uses besides its looks, and what a look does
JOBS = 1_000  # of which the bill is
_COUNTED = 20  # jobs
LOOKS = 2.3  # of a job whose task takes 40 s in the median (docs/waiting.md)
_SERVICES: Mapping[str, tuple[Meter, ...]] = MappingProxyType(
    {
        "Step Functions": (Meter.TRANSITIONS,),
        "S3": (Meter.PUTS, Meter.GETS),
        "DynamoDB": (Meter.WRITES, Meter.READS),
        "Lambda": (Meter.INVOCATIONS, Meter.COMPUTE),
        "CloudWatch Logs": (Meter.LOGS,),
        "EventBridge": (Meter.EVENTS,),
        "SQS": (Meter.MESSAGES,),
        "Secrets Manager": (Meter.SECRETS,),
        "SNS": (Meter.PUBLISHES,),
    }
)
_POLLERS, _POLL_SECONDS, _MONTH = 5, 20, 30 * 86_400  # Lambda Developer Guide, "Using Lambda with Amazon SQS"
_SWEEP_GB_SECONDS = 0.25  # half a second with 512 MB
_SWEEP_SECONDS = 300
_TRANSFER = Price(0.09, 1, "ec2/pricing/on-demand")  # a GB that leaves AWS
_STORED = Price(0.023, 1, "s3/pricing")  # a GB for a month
_ROWS = Price(0.25 + 0.20, 1, "dynamodb/pricing/on-demand")  # a GB for a month, and its backup
_TRACE = Price(5, 1e6, "xray/pricing")
_KEY, _KEY_REQUESTS = Price(1, 1, "kms/pricing"), Price(0.03, 10_000, "kms/pricing")
# Each of these can be a request for the key. DynamoDB and Step Functions keep theirs for some minutes.
_ENCRYPTED = (Meter.PUTS, Meter.GETS, Meter.MESSAGES, Meter.PUBLISHES, Meter.SECRETS)
_PRICES = re.compile(r"^\| (0\.05|0\.2|1) \| ([\d.]+) \|", re.MULTILINE)  # of looks, in docs/waiting.md
HELD = {Meter.TRANSITIONS: 3, Meter.INVOCATIONS: 1}  # a wait for a departure: Hold, Submit, Known
_BUDGETED = {Meter.WRITES: 8}  # two transactions of four units


class Monthly(NamedTuple):
    """What is paid by the month, however many jobs there are: of each kind a price, and how many the template has."""

    name: str
    count: float
    price: Price

    @property
    def usd(self) -> float:
        return self.price.of(self.count)


def usage() -> tuple[dict[Meter, float], dict[Meter, float]]:
    """What a job uses besides its looks, and what a look does."""
    job, look = (json.loads(COUNTED.read_bytes())[name] for name in ("a job besides", "a look"))
    return tuple({Meter(meter): amount for meter, amount in each.items()} for each in (job, look))  # type: ignore[return-value]


def cost(amounts: Mapping[Meter, float]) -> float:
    """US dollars for 1,000 times that."""
    return sum(PRICES[meter].of(JOBS * amount) for meter, amount in amounts.items())


def for_jobs(looks: float = LOOKS) -> float:
    """US dollars for 1,000 jobs with so many looks each."""
    job, look = usage()
    return cost(job) + looks * cost(look)


def services() -> Iterator[str]:
    """The table of services, dearest first."""
    job, look = usage()
    sums = {name: cost({m: job[m] + LOOKS * look[m] for m in meters}) for name, meters in _SERVICES.items()}
    yield f"| service | a job besides its looks | a look | {JOBS:,} jobs, USD |"
    yield "| --- | --- | --- | ---: |"
    for name, usd in sorted(sums.items(), key=lambda item: -item[1]):
        cells = [
            ", ".join(f"{each[m]:,.4g} {m.value}" for m in _SERVICES[name] if each[m]) or "-" for each in (job, look)
        ]
        yield f"| {name} | {cells[0]} | {cells[1]} | {usd:.4f} |"
    yield f"| **together** | | | **{sum(sums.values()):.2f}** |"


def monthly(template: Mapping[str, Any]) -> list[Monthly]:
    """What a stack pays by the month, without its storage."""
    kinds = Counter(resource["Type"] for resource in template["Resources"].values())
    alarms = [item["Properties"] for item in template["Resources"].values() if item["Type"] == "AWS::CloudWatch::Alarm"]
    watched = sum(sum("MetricStat" in query for query in alarm.get("Metrics", [])) or 1 for alarm in alarms)
    queues = sum(
        event["Type"] == "SQS"
        for resource in template["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
    )
    sweeps = _MONTH / _SWEEP_SECONDS
    swept = PRICES[Meter.INVOCATIONS].of(sweeps) + PRICES[Meter.COMPUTE].of(sweeps * _SWEEP_GB_SECONDS)
    return [
        Monthly("custom metrics without a further dimension", _plain(), Price(0.30, 1, "cloudwatch/pricing")),
        Monthly("dashboards", kinds["AWS::CloudWatch::Dashboard"], Price(3, 1, "cloudwatch/pricing")),
        Monthly("metrics of alarms", watched, Price(0.10, 1, "cloudwatch/pricing")),
        Monthly("looks into empty queues", queues * _POLLERS * _MONTH / _POLL_SECONDS, PRICES[Meter.MESSAGES]),
        Monthly("secrets", kinds["AWS::SecretsManager::Secret"], Price(0.40, 1, "secrets-manager/pricing")),
        Monthly("sweeps", sweeps, Price(swept, sweeps, "lambda/pricing")),
    ]


def _plain() -> int:
    return sum(not metric.dimensions for metric in metrics().values())


def by_month(template: Mapping[str, Any]) -> Iterator[str]:
    """The table of what is paid by the month."""
    rows = monthly(template)
    yield "| by the month | how many | USD |"
    yield "| --- | ---: | ---: |"
    for row in sorted(rows, key=lambda row: -row.usd):
        yield f"| {row.name} | {row.count:,.0f} | {row.usd:.2f} |"
    yield f"| **together, at most** | | **{sum(row.usd for row in rows):.2f}** |"


def by_volume(template: Mapping[str, Any]) -> Iterator[str]:
    """What so many jobs of a picture each cost in a month at AWS, beside two prices of the API."""
    fixed = sum(row.usd for row in monthly(template))
    yield "| jobs a month | AWS, USD | the API at 0.0019 a picture | at 0.05 a picture |"
    yield "| ---: | ---: | ---: | ---: |"
    for jobs in (0, 1_000, 10_000, 100_000):
        yield f"| {jobs:,} | {fixed + for_jobs() * jobs / JOBS:,.2f} | {jobs * 0.0019:,.2f} | {jobs * 0.05:,.2f} |"


def by_parameter() -> Iterator[str]:
    """Which parameter moves the bill, and how far."""
    job, _ = usage()
    looks = _PRICES.findall((ROOT / "docs" / "waiting.md").read_text())
    moved = ", ".join(f"{for_jobs(float(count)):.2f} at {price}" for price, count in looks)
    asked = JOBS * sum(job[meter] for meter in _ENCRYPTED)
    yield f"| parameter | what it does to {JOBS:,} jobs at AWS, USD |"
    yield "| --- | --- |"
    yield f"| `LatenessPrice` | {moved} |"
    yield f"| `SubmitsPerSecond` | {cost(HELD):.2f} more where each job waits once for its departure |"
    copy, both = (f"{cost({Meter.PUTS: count}):.3f} less" for count in (1, 2))
    yield f"| `ResultPage` | {copy} `without-references`, {both} with `none` |"
    yield f"| `MonthlyBudgetUsd` | {cost(_BUDGETED):.3f} more where there is a budget |"
    yield (
        f"| `TraceSamplingRate` | {_TRACE.of(0.05 * JOBS):.4f} at 0.05, {_TRACE.of(JOBS):.3f} at 1, for executions; "
        "above 0 Lambda traces one call a second and a twentieth of the others besides |"
    )
    requests = f"at most {_KEY_REQUESTS.of(asked):.2f} more"
    yield f"| `KmsKey` | with `create` {_KEY.of(1):.2f} a month for the key; {requests} |"
    yield f"| `InboxDays`, `ResultsDays` | {_STORED.of(1):.3f} a month for each GB that is kept |"
    yield f"| `KeepDays` | {_ROWS.of(1):.2f} a month for each GB of rows; a job's has a few KB |"
    yield f"| none | {_TRANSFER.of(1):.2f} for each GB of references that the API fetches, and of results that you do |"


def tables() -> Iterator[list[str]]:
    """All of them, as lines."""
    template = load()
    yield from map(list, (services(), by_month(template), by_volume(template), by_parameter()))


def written(text: str, found: Iterable[list[str]]) -> str:
    """The page with these tables; a table is found by its first line."""
    for first, *others in found:
        table = re.compile(rf"^{re.escape(first)}\n(\|.*\n)+", re.MULTILINE)
        if not table.search(text):
            raise ValueError(f"page: found no table that begins with {first}")
        text = table.sub(lambda _, lines=(first, *others): "".join(f"{line}\n" for line in lines), text)
    return text


def main() -> None:
    """Count, keep what was counted, and write the page."""
    shares = zip(
        ("a job besides", "a look"), measure(_COUNTED, lambda step: sys.stderr.write(f"{step}\n")), strict=True
    )
    counted = {name: {meter: round(share.each.get(meter, 0), 4) for meter in Meter} for name, share in shares}
    COUNTED.write_text(json.dumps(counted, indent=2) + "\n")
    PAGE.write_text(written(PAGE.read_text(), tables()))


if __name__ == "__main__":
    main()
