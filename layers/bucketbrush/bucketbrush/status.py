"""Status: one look at a task."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bucketbrush.adapters.announcements import Bus
from bucketbrush.adapters.answers import TaskState
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import deadlines
from bucketbrush.domain.errors import ApiKeyMissing, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.result import LateNotice
from bucketbrush.observability import count, logger, note_operator_problem
from bucketbrush.settings import StatusSettings


class Seen(StrEnum):
    """What a look tells the workflow."""

    WAITING = "waiting"  # look again
    ENDED = "ended"  # the task has ended, or the job has without it
    OVERDUE = "overdue"  # the task had its time


@dataclass(frozen=True)
class Status:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    settings: StatusSettings
    ledger: Ledger
    bus: Bus
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, job_id: str, task_id: str, polls: int) -> Seen:
        """Read the task once and note in the row what was seen. A failing look never ends a task: it goes on there.

        Raises AnnouncementFailed when a job takes long and nobody could be told.
        """
        facts: dict[str, Any] = {"polls": polls}
        ended = False
        try:
            task = self.connect().read(task_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_operator_problem(problem)
            logger.warning("status is not readable", job_id=job_id, reason=str(problem))
        else:
            facts |= {"provider_status": task.status, "progress": task.progress}
            ended = task.state is not TaskState.WAITING
        job = self.ledger.note(job_id, **facts)
        if ended or job is None:
            return Seen.ENDED
        now = int(self.now())
        if deadlines.is_overdue(job, now, self.settings.deadline_seconds):
            return Seen.OVERDUE
        if deadlines.is_late(job, now, self.settings.late_seconds):
            self._tell_late(job, now)
        return Seen.WAITING

    def _tell_late(self, job: Job, now: int) -> None:
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
