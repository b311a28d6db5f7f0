"""``result.json`` and the announcement made from it.

``result.json`` is the truth about how a job ended: it is written once, and every announcement is derived from it, so
that telling twice tells the same.
"""

from typing import Any

from pydantic import ConfigDict

from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Frozen, Job, Line, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.money import usd
from bucketbrush.domain.pictures import PictureFormat, Pixels

SCHEMA_VERSION = 1
# So that an announcement fits the 262,144 bytes of SNS and EventBridge, whatever its texts are; result.json has all.
_MOST_CHARACTERS = 10_000
_MOST_PICTURES = 16


class Picture(Frozen):
    """A stored result. ``bytes`` is its size, ``sha256`` its lower-case hex digest.

    ``pixels`` is None when its first bytes do not say it.
    """

    key: str
    bytes: int
    format: PictureFormat
    pixels: Pixels | None = None
    sha256: str


class TaskFacts(Frozen):
    """What the provider said of a job's task, and when it was first seen done. Times are in seconds since 1970.

    ``billed`` is in millionths of a US dollar, None when there was no bill yet.
    """

    model: str | None = None
    created_at: int | None = None
    completed_at: int | None = None
    seen_at: int | None = None
    billed: int | None = None

    @property
    def lateness_seconds(self) -> int | None:
        """How long after its completion the task was seen done; clocks differ, so it may seem to be before."""
        if self.seen_at is None or self.completed_at is None:
            return None
        return max(0, self.seen_at - self.completed_at)


class Result(Frozen):
    """How a job ended, and everything it was made of. Times are whole seconds since 1970.

    It holds the recipe, prompt included, and no links. ``folder`` is the one that the file was dropped into, and
    ``source`` that file: of a batch when the job is its ``line``. ``model`` was asked, and ``model_answered`` is the
    one that the task names. ``page`` is the key of the page to look at. ``billed_usd`` is None when the bill had not
    come when the job ended.
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
    folder: str | None = None
    preset: str | None
    preset_version: ObjectVersion | None = None
    source: ObjectVersion | None
    batch: str | None = None
    line: Line | None = None
    sidecar: ObjectVersion | None = None
    recipe: dict[str, Any] | None
    references: tuple[ObjectVersion, ...]
    mask: ObjectVersion | None = None
    model: str | None = None
    model_answered: str | None = None
    task_id: str | None
    resends: int = 0
    pictures: tuple[Picture, ...]
    page: str | None = None
    polls: int
    requested_at: int | None = None
    created_at: int
    submitting_at: int | None = None
    submitted_at: int | None
    task_created_at: int | None
    task_completed_at: int | None
    lateness_seconds: int | None = None
    ended_at: int
    estimated_usd: float | None = None
    billed_usd: float | None = None

    @property
    def asked_at(self) -> int:
        """When somebody asked for the job: the drop of its file, or the request."""
        return self.requested_at or self.created_at


class StoredObject(Frozen):
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Announcement(Frozen):
    """The message of SNS, the detail of EventBridge and the output of the execution. No prompt, no links.

    A very long message is cut, and at most 16 pictures are named.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    job_id: str
    outcome: Outcome
    reason: str | None = None
    money: Money
    message: str
    folder: str | None = None
    preset: str | None
    model: str | None
    source: ObjectVersion | None
    batch: str | None = None
    line: int | None = None
    estimated_usd: float | None = None
    billed_usd: float | None = None
    result: StoredObject
    page: StoredObject | None = None
    pictures: tuple[StoredObject, ...]


class SubmittedNotice(Frozen):
    """The detail of the event that a job's task exists. ``submitted_at`` is in seconds since 1970."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    task_id: str
    preset: str | None
    model: str | None
    source: ObjectVersion | None
    batch: str | None = None
    line: int | None = None
    submitted_at: int
    estimated_usd: float | None = None


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
    folder: str | None = None,
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
        folder=folder,
        preset=job.preset,
        preset_version=job.preset_version,
        source=job.source and job.source.model_copy(update={"checksum": job.source.checksum or job.checksum}),
        batch=job.batch,
        line=job.line,
        sidecar=job.sidecar,
        recipe=job.recipe,
        references=job.references,
        mask=job.mask,
        model=(job.recipe or {}).get("model"),
        model_answered=task.model,
        task_id=job.task_id,
        resends=job.resends,
        pictures=pictures,
        polls=job.polls,
        requested_at=job.requested_at,
        created_at=job.created_at,
        submitting_at=job.submitting_at,
        submitted_at=job.submitted_at,
        task_created_at=task.created_at,
        task_completed_at=task.completed_at,
        lateness_seconds=task.lateness_seconds,
        ended_at=now,
        estimated_usd=usd(job.estimated),
        billed_usd=usd(task.billed),
    )


def submitted_notice(job: Job) -> SubmittedNotice:
    """The notice of a job whose task exists."""
    return SubmittedNotice(
        job_id=job.job_id,
        task_id=str(job.task_id),
        preset=job.preset,
        model=(job.recipe or {}).get("model"),
        source=job.source,
        batch=job.batch,
        line=job.line and job.line.number,
        submitted_at=job.submitted_at or job.created_at,
        estimated_usd=usd(job.estimated),
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
        message=result.message[:_MOST_CHARACTERS],
        folder=result.folder,
        preset=result.preset,
        model=result.model,
        source=result.source,
        batch=result.batch,
        line=result.line and result.line.number,
        estimated_usd=result.estimated_usd,
        billed_usd=result.billed_usd,
        result=StoredObject(bucket=bucket, key=key),
        page=StoredObject(bucket=bucket, key=result.page) if result.page else None,
        pictures=tuple(StoredObject(bucket=bucket, key=one.key) for one in result.pictures[:_MOST_PICTURES]),
    )
