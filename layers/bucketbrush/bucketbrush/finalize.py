"""Finalize: store what the task made, write ``result.json`` once, tell it, close the row."""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.announcements import Announcements
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.toapis import Task, TaskState, ToApis
from bucketbrush.domain import layout, verdicts
from bucketbrush.domain.errors import PictureUnreadable, ResultUnstored, TaskUnfinished
from bucketbrush.domain.jobs import Job, State, Verdict
from bucketbrush.domain.result import Announcement, Picture, Result, announce, make_result
from bucketbrush.observability import count, logger
from bucketbrush.settings import FinalizeSettings

_MAX_RESULT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Finalize:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    settings: FinalizeSettings
    ledger: Ledger
    results: Objects
    announcements: Announcements
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, job_id: str, fault: str | None) -> Announcement:
        """End the job and return what was announced; a repeated call tells the same again.

        ``fault`` is the name of the error that ended an earlier state of the workflow, if one did. Raises
        TaskUnfinished, TaskUnreadable or ResultUnstored while the task's pictures cannot be had yet, JobBusy while a
        submit is under way, ResultUntold.
        """
        job = self._find(job_id, fault)
        key = layout.result_key(job_id, "result.json")
        result = self._stored(key)
        if result is None:
            made = self._make(job)
            result = made if self.results.write_once(key, made.model_dump(mode="json")) else self._stored(key)
            if result is None:
                raise ResultUnstored(f"job {job_id}: its result.json was there and is gone.")
        announcement = announce(result, self.settings.results_bucket, key)
        self.announcements.tell(announcement)
        if job.state is not State.ENDED:
            verdict = Verdict(outcome=result.outcome, message=result.message)
            self.ledger.change(job, state=State.ENDED, verdict=verdict, ended_at=result.ended_at)
            count("Jobs", outcome=result.outcome.value)
            logger.info("job ended", job_id=job_id, outcome=result.outcome.value, pictures=len(result.pictures))
        return announcement

    def _find(self, job_id: str, fault: str | None) -> Job:
        """The row. One without a task after a last look is decided: from then on no submit can send it any more."""
        now = int(self.now())
        new = Job(job_id=job_id, state=State.ACCEPTED, created_at=now)
        job = self.ledger.get(job_id) or self.ledger.create(new) or new
        if not job.state.before_task:
            return job
        job.demand_free(now)
        if job.state is State.SUBMITTING and (task := self.connect().find(job_id)):
            return self.ledger.change(job, state=State.WAITING, task_id=task.task_id, submitted_at=job.submitting_at)
        return self.ledger.change(job, state=State.DECIDED, verdict=verdicts.without_task(job, fault))

    def _stored(self, key: str) -> Result | None:
        text = self.results.read(key, _MAX_RESULT_BYTES)
        return Result.model_validate_json(text) if text is not None else None

    def _make(self, job: Job) -> Result:
        if job.verdict:
            return make_result(job, job.verdict, int(self.now()))
        provider = self.connect()
        task = provider.read(str(job.task_id), prompt=(job.recipe or {}).get("prompt", ""))
        times = (task.created_at, task.completed_at)
        if task.state is TaskState.WAITING:
            raise TaskUnfinished(f"task {task.task_id}: found status {task.status}; allowed: completed or failed.")
        if task.state is TaskState.FAILED:
            return make_result(job, verdicts.failed(task.error), int(self.now()), task_times=times)
        pictures, problems = self._store(job, task, provider)
        verdict = verdicts.stored(job, len(pictures), problems)
        return make_result(job, verdict, int(self.now()), tuple(pictures), times)

    def _store(self, job: Job, task: Task, provider: ToApis) -> tuple[list[Picture], list[str]]:
        """Store each picture by itself. What may work at the next try is tried after the others are safe."""
        pictures: list[Picture] = []
        problems: list[str] = []
        unstored: ResultUnstored | None = None
        for index, url in enumerate(task.urls, 1):
            try:
                with provider.download(url) as (chunks, announced):
                    stem = layout.result_key(job.job_id, str(index))
                    pictures.append(self.results.store_picture(stem, chunks, announced))
            except PictureUnreadable as problem:
                problems.append(f"picture {index}: {problem.message}")
            except ResultUnstored as problem:
                unstored = problem
        if unstored:
            raise unstored
        if not pictures:
            raise ResultUnstored(" ".join(problems) or f"task {task.task_id}: completed without a single link.")
        return pictures, problems
