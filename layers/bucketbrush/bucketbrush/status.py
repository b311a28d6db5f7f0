"""Status: one look at a task."""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.toapis import TaskState, ToApis
from bucketbrush.domain.errors import ApiKeyMissing, TaskUnreadable
from bucketbrush.observability import logger


@dataclass(frozen=True)
class Status:
    """The use case. ``connect`` reads the API key and gives a client."""

    ledger: Ledger
    connect: Callable[[], ToApis]

    def __call__(self, job_id: str, task_id: str, polls: int) -> TaskState:
        """Read the task once and note in the row what was seen. A failing look never ends a task: it goes on there."""
        try:
            task = self.connect().read(task_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            logger.warning("status is not readable", job_id=job_id, reason=str(problem))
            self.ledger.note(job_id, polls=polls)
            return TaskState.WAITING
        self.ledger.note(job_id, polls=polls, provider_status=task.status, progress=task.progress)
        return task.state
