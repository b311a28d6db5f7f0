"""What the rows of jobs and budgets must say of each other: the sums that the tests do by themselves.

Amounts are millionths of a US dollar.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.template.stack import Json


def wrong_costs(job: Json, result: Json) -> Iterator[str]:
    """What is wrong about the costs of a job that has ended, in its plain row and its result.json.

    It holds as much of the budget as its verdict says of its money. A bill may come when result.json is written.
    """
    estimated, billed = job.get("estimated"), job.get("billed")
    if _micros(result["estimated_usd"]) != estimated:
        yield f"estimated: found {result['estimated_usd']} USD in result.json; allowed: {estimated}, as in the row"
    if _micros(result["billed_usd"]) not in (None, billed):
        yield f"billed: found {result['billed_usd']} USD in result.json; allowed: {billed}, as in the row"
    money, share, held = job["verdict"]["money"], job.get("share"), (estimated or 0) * (1 + job["resends"])
    found = (share["reserved"], share["spent"]) if share else None
    allowed = {"moved": (0, held if billed is None else billed), "unknown": (held, 0)}.get(money)
    if found != allowed:
        yield f"money {money}: found {found} reserved and spent; allowed: {allowed}"


def wrong_budgets(jobs: Iterable[Json], budgets: Mapping[str, Json], limit: int) -> Iterator[str]:
    """What is wrong about the budget rows, by month: each is the sum of the jobs' shares, and within the limit."""
    reserved, spent = sums(jobs)
    for month in sorted({*budgets, *reserved, *spent}):
        row = budgets.get(month, {})
        found = (row.get("committed", 0), row.get("spent", 0))
        expected = (reserved[month] + spent[month], spent[month])
        if found != expected:
            yield f"budget {month}: found {found} committed and spent; allowed: {expected}, the jobs' sums"
        if found[0] > limit:
            yield f"budget {month}: found {found[0]} committed; allowed: {limit}"


def sums(jobs: Iterable[Json]) -> tuple[Counter[str], Counter[str]]:
    """What the jobs have reserved and spent, by month."""
    reserved, spent = Counter[str](), Counter[str]()
    for share in (job["share"] for job in jobs if "share" in job):
        reserved[share["month"]] += share["reserved"]
        spent[share["month"]] += share["spent"]
    return reserved, spent


def _micros(usd: float | None) -> int | None:
    return None if usd is None else round(usd * 1_000_000)
