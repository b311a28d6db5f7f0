"""When a job's time is over. Times are whole seconds since 1970; every rule is told what time it is."""

from bucketbrush.domain.jobs import Job
from bucketbrush.domain.verdicts import LINK_SECONDS


def is_overdue(job: Job, now: int, deadline_seconds: int) -> bool:
    """Whether the task had its time, counted from its acceptance by the provider."""
    return now - (job.submitted_at or job.created_at) >= deadline_seconds


def is_late(job: Job, now: int, late_seconds: int) -> bool:
    """Whether it takes so long that somebody should hear of it, once."""
    return job.late_at is None and is_overdue(job, now, late_seconds)


def made_at(job: Job, completed_at: int | None, now: int) -> int:
    """Since when the result's links live: as the provider says, within what can be."""
    if job.made_at is not None:
        return job.made_at
    earliest = job.submitted_at or job.created_at
    return min(max(completed_at if completed_at is not None else now, earliest), now)


def are_links_dead(since: int, now: int) -> bool:
    """Whether result links that live since ``since`` have died (ToAPIs, image task status page: 24 hours)."""
    return now - since >= LINK_SECONDS


def next_check(job: Job, now: int, sweep_after_seconds: int) -> int:
    """When the sweep looks again after a job whose execution runs: ever more rarely, unless pictures are at stake."""
    age = 0 if job.made_at is not None else now - job.created_at
    return now + max(sweep_after_seconds, age)
