"""``result.json`` and the announcement made from it.

``result.json`` is the truth about how a job ended: it is written once, and every announcement is derived from it, so
that telling twice tells the same.
"""

from typing import Any

from pydantic import ConfigDict

from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Frozen, Job, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.money import usd
from bucketbrush.domain.pictures import PictureFormat

SCHEMA_VERSION = 1


class Picture(Frozen):
    """A stored result. ``bytes`` is its size, ``sha256`` its lower-case hex digest."""

    key: str
    bytes: int
    format: PictureFormat
    sha256: str


class TaskFacts(Frozen):
    """What the provider said of a job's task. Times are in seconds since 1970.

    ``billed`` is in millionths of a US dollar, None when there was no bill yet.
    """

    created_at: int | None = None
    completed_at: int | None = None
    billed: int | None = None


class Result(Frozen):
    """How a job ended. Times are whole seconds since 1970. It holds the recipe, prompt included, and no links.

    ``billed_usd`` is None when the bill had not come when the job ended.
    """

    # One that another version has written is told all the same.
    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA_VERSION
    job_id: str
    attempt: int = 1
    again_of: str | None = None
    outcome: Outcome
    reason: str | None = None
    money: Money = Money.UNKNOWN
    message: str
    preset: str | None
    source: ObjectVersion | None
    recipe: dict[str, Any] | None
    references: tuple[ObjectVersion, ...]
    mask: ObjectVersion | None = None
    task_id: str | None
    pictures: tuple[Picture, ...]
    polls: int
    created_at: int
    submitted_at: int | None
    task_created_at: int | None
    task_completed_at: int | None
    estimated_usd: float | None = None
    billed_usd: float | None = None
    ended_at: int


class StoredObject(Frozen):
    bucket: str
    key: str


class Announcement(Frozen):
    """The message of SNS, the detail of EventBridge and the output of the execution. No prompt, no links."""

    schema_version: int = SCHEMA_VERSION
    id: str
    job_id: str
    outcome: Outcome
    reason: str | None = None
    money: Money
    message: str
    preset: str | None
    model: str | None
    source: ObjectVersion | None
    estimated_usd: float | None = None
    billed_usd: float | None = None
    result: StoredObject
    pictures: tuple[StoredObject, ...]


class LateNotice(Frozen):
    """The detail of the event that a job takes long; it goes on. ``submitted_at`` is in seconds since 1970."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    task_id: str | None
    preset: str | None
    submitted_at: int | None
    message: str


def make_result(
    job: Job,
    verdict: Verdict,
    now: int,
    pictures: tuple[Picture, ...] = (),
    task: TaskFacts | None = None,
) -> Result:
    task = task or TaskFacts()
    return Result(
        job_id=job.job_id,
        attempt=job.attempt,
        again_of=job.again_of,
        outcome=verdict.outcome,
        reason=verdict.reason,
        money=verdict.money,
        message=verdict.message,
        preset=job.preset,
        source=job.source,
        recipe=job.recipe,
        references=job.references,
        mask=job.mask,
        task_id=job.task_id,
        pictures=pictures,
        polls=job.polls,
        created_at=job.created_at,
        submitted_at=job.submitted_at,
        task_created_at=task.created_at,
        task_completed_at=task.completed_at,
        estimated_usd=usd(job.estimated),
        billed_usd=usd(task.billed),
        ended_at=now,
    )


def verdict_of(result: Result) -> Verdict:
    return Verdict(outcome=result.outcome, reason=result.reason, money=result.money, message=result.message)


def announcement_of(result: Result, bucket: str, key: str) -> Announcement:
    """The announcement of a result that is stored at ``key``: one id per job, whatever is told twice."""
    return Announcement(
        id=result.job_id,
        job_id=result.job_id,
        outcome=result.outcome,
        reason=result.reason,
        money=result.money,
        message=result.message,
        preset=result.preset,
        model=(result.recipe or {}).get("model"),
        source=result.source,
        estimated_usd=result.estimated_usd,
        billed_usd=result.billed_usd,
        result=StoredObject(bucket=bucket, key=key),
        pictures=tuple(StoredObject(bucket=bucket, key=picture.key) for picture in result.pictures),
    )
