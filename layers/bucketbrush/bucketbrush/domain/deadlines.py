"""When a job's time is over. Times are whole seconds since 1970; every rule is told what time it is."""

from bucketbrush.domain.jobs import Job

_RAREST_SECONDS = 3600
_LEAST_BACK_OFF, _LONGEST_BACK_OFF = 2, 900
LINK_SECONDS = 86_400  # how long result links live (ToAPIs, image task status page)


def ever_longer(least: int, age: int) -> int:
    """How many seconds to wait for what has lasted ``age`` seconds so far: a tenth of that.

    An execution, and the job with it, ends at 25,000 events (Step Functions Developer Guide, "Service quotas").
    """
    return max(least, age // 10)


def is_overdue(job: Job, now: int, deadline_seconds: int) -> bool:
    """Whether the task had its time, counted from its acceptance by the provider."""
    return _waited(job, now) >= deadline_seconds


def back_off(job: Job, now: int) -> int:
    """How many seconds to wait after a look that failed, 2 to 900: a quarter of the time since one that did not."""
    times = (job.created_at, job.submitted_at, job.looked_at)
    # A time that is still to come was written by a clock that was ahead.
    last = max((time for time in times if time is not None and time <= now), default=now)
    return min(_LONGEST_BACK_OFF, max(_LEAST_BACK_OFF, (now - last) // 4))


def seconds_left(job: Job, now: int, deadline_seconds: int, late_seconds: int) -> int:
    """In how many seconds somebody should look at the latest: when it is late, so that this is told, or overdue."""
    due = deadline_seconds if job.late_at else min(deadline_seconds, late_seconds)
    return max(1, due - _waited(job, now))


def looked_for(job: Job, now: int) -> int:
    """For how many seconds the task of a submit that was not answered has been looked for."""
    return now - (job.submitting_at or job.created_at)


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
    """When the sweep looks after a job again: more rarely with its age, unless pictures are at stake."""
    age = 0 if job.made_at is not None and job.ended_at is None else now - job.created_at
    return now + max(sweep_after_seconds, min(age, _RAREST_SECONDS))


def _waited(job: Job, now: int) -> int:
    """For how many seconds its task has been waited for."""
    return now - (job.submitted_at or job.created_at)
