"""Status: one look at a task."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from bucketbrush.adapters.announcements import Bus
from bucketbrush.adapters.answers import TaskState
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import deadlines
from bucketbrush.domain.errors import ApiKeyMissing, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.result import LateNotice
from bucketbrush.observability import about, count, logger, note_provider_error
from bucketbrush.settings import StatusSettings


class Seen(StrEnum):
    """What a look tells the workflow."""

    WAITING = "waiting"  # look again
    UNREAD = "unread"  # look again, as if there had been no look
    ENDED = "ended"  # the task has ended, or the job has without it
    OVERDUE = "overdue"  # the task had its time


class Look(NamedTuple):
    """``least`` and ``most`` are the seconds until the next look, which the plan's wait is kept within."""

    seen: Seen
    least: int = 0
    most: int = 0


@dataclass(frozen=True)
class Status:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970; ``jitter``
    gives random numbers from 0 to 1.
    """

    settings: StatusSettings
    ledger: Ledger
    bus: Bus
    connect: Callable[[], ToApis]
    now: Callable[[], float]
    jitter: Callable[[], float]

    def __call__(self, job_id: str, task_id: str, polls: int) -> Look:
        """Read the task once and note in the row what was seen. A failing look never ends a task: it goes on there.

        Raises AnnouncementFailed when a job takes long and nobody could be told.
        """
        about(job_id, task_id)
        facts: dict[str, Any] = {"polls": polls}
        state, unread = TaskState.WAITING, None
        try:
            task = self.connect().read(task_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_provider_error(problem)
            unread = problem
        else:
            state = task.state
            facts |= {"provider_status": task.status, "progress": task.progress, **self._seen(state)}
            logger.info("task looked at", polls=polls, provider_status=task.status, progress=task.progress)
        job = self.ledger.note(job_id, **facts)
        if state is not TaskState.WAITING or job is None:
            return Look(Seen.ENDED)
        now = int(self.now())
        if deadlines.is_overdue(job, now, self.settings.deadline_seconds):
            return Look(Seen.OVERDUE)
        if deadlines.is_late(job, now, self.settings.late_seconds):
            job = self._tell_late(job, now)
        left = deadlines.seconds_left(job, now, self.settings.deadline_seconds, self.settings.late_seconds)
        if unread is None:
            return Look(Seen.WAITING, most=left)
        # So that those that were told the same second do not meet again.
        asked = (getattr(unread, "retry_after", None) or 0) * (1 + self.jitter() / 4)
        wait = min(left, max(round(asked), deadlines.back_off(job, now)))
        return Look(Seen.UNREAD, least=wait, most=wait)

    def _seen(self, state: TaskState) -> dict[str, int]:
        """When it was seen so. One that has failed may still go on: finalize looks itself."""
        names = {TaskState.WAITING: "looked_at", TaskState.DONE: "seen_at"}
        return {names[state]: int(self.now())} if state in names else {}

    def _tell_late(self, job: Job, now: int) -> Job:
        message = f"The task is not done after {self.settings.late_seconds:,} s (LateSeconds); it is waited for."
        self.bus.tell_late(
            LateNotice(
                job_id=job.job_id,
                task_id=job.task_id,
                preset=job.preset,
                submitted_at=job.submitted_at,
                message=message,
            )
        )
        self.ledger.note(job.job_id, late_at=now)
        count("JobsLate")
        return job.model_copy(update={"late_at": now})
