"""Finalize: have the task's pictures stored, write ``result.json`` once, tell it, close the row.

It needs no lease: pictures and ``result.json`` are written once, so of two that end the same job the second tells what
the first has written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from bucketbrush.adapters.announcements import Announcements
from bucketbrush.adapters.answers import Task, TaskState
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects, Tags
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.display import Display
from bucketbrush.domain import deadlines, layout, money, verdicts
from bucketbrush.domain.errors import (
    ApiKeyMissing,
    BucketbrushError,
    Money,
    ResultUnstored,
    TaskUnfinished,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import UNHELD, Invocation, Job, Outcome, Verdict
from bucketbrush.domain.life import STOPPED, State
from bucketbrush.domain.result import Announcement, Picture, Result, TaskFacts, announcement_of, make_result, verdict_of
from bucketbrush.knowledge import Knowledge
from bucketbrush.observability import (
    about,
    amount,
    count,
    gauge,
    logger,
    note_accepted,
    note_provider_error,
    percent,
    seconds,
    size,
)
from bucketbrush.settings import FinalizeSettings
from bucketbrush.store import Links, Store

# What is neither the user's mistake nor the user's wish.
_ERRORS = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.EXPIRED, Outcome.LOST)
_RESULT = "result.json"
_MAX_RESULT_BYTES = 4 * 1024 * 1024
_CLOSING_SECONDS = 60  # of an invocation, kept for what comes after the downloads
_TELLING_SECONDS = 40  # of these, kept for what comes after the page


@dataclass(frozen=True)
class Finalize:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    settings: FinalizeSettings
    ledger: Ledger
    results: Objects
    store: Store
    display: Display
    announcements: Announcements
    knowledge: Knowledge
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, job_id: str, fault: str | None, invocation: Invocation) -> Announcement:
        """End the job and return what was announced; a repeated call tells the same again.

        ``fault`` is what ended the workflow before: the name of an error, or how its execution ended. Raises
        TaskUnfinished, TaskUnreadable or ResultUnstored while the task's pictures cannot be had yet, JobBusy while a
        submit is under way, AnnouncementFailed.
        """
        about(job_id)
        job = self._find(job_id, fault)
        about(job_id, job.task_id)
        key = layout.beside(job.pictures_at, _RESULT)
        # Looked for before anything else: what an earlier try has stored is not fetched, and what it told is told.
        there = self.results.keys(layout.beside(job.pictures_at, ""))
        result = self._read(key) if key in there else None
        if result is None:
            made = self._make(job, fault, there, invocation)
            result = self._write(job, made, key, there, invocation.ends_at - _TELLING_SECONDS)
        announcement = announcement_of(result, self.settings.results_bucket, key)
        self.announcements.tell(announcement)
        if job.state is not State.ENDED:
            verdict = verdict_of(result)
            # Before the row says so: an alarm that rings twice is better than one that never rings.
            count("Jobs", outcome=result.outcome.value)
            self._end(job, verdict, result)
            # After the row says so, so that a job is counted once; its outcome is told already.
            self.knowledge.learn(job, result)
            _note_end(job, result)
        return announcement

    def _write(self, job: Job, made: Result, key: str, there: frozenset[str], until: float) -> Result:
        """What ``result.json`` says: this, or what another has written meanwhile. The page says the same."""
        display, tags = self.display, _tags(job)
        made = made.model_copy(update={"page": display(made, job.pictures_at, there, tags, until)})
        if self.results.write_once(key, made.model_dump(mode="json"), tags):
            return made
        first = self._read(key)
        display(first, job.pictures_at, there, tags, until)
        return first

    def _end(self, job: Job, verdict: Verdict, result: Result) -> None:
        """Close the row, and settle or release what the job has reserved. A paid job's bill may still come."""
        billed = None if result.billed_usd is None else money.micros(Decimal(str(result.billed_usd)))
        is_paid = verdict.money is Money.MOVED
        self.ledger.change(
            job,
            state=State.ENDED,
            verdict=verdict,
            ended_at=result.ended_at,
            billed=billed,
            share=job.share and money.settled(job.share, verdict.money, billed),
            next_check=int(self.now()) + self.settings.sweep_after_seconds if is_paid and billed is None else None,
        )
        if verdict.money is not Money.NOT_MOVED and job.estimated is not None:
            amount("EstimatedUsd", job.estimated)
        if billed is not None:
            amount("BilledUsd", billed)

    def _find(self, job_id: str, fault: str | None) -> Job:
        """The row. One without a task after a last look is decided: from then on no submit can send it any more."""
        now = int(self.now())
        next_check = now + self.settings.sweep_after_seconds
        at = layout.results_at(self.settings.results_key, job_id, date=layout.date_of(now))
        new = Job(job_id=job_id, state=State.ACCEPTED, created_at=now, next_check=next_check, results_at=at)
        job = self.ledger.get(job_id) or self.ledger.create(new) or new
        if not job.state.before_task:
            return job
        job.demand_free(now)
        if job.state is State.SUBMITTING and (task := self._found(job, now, stopped=fault == STOPPED)):
            accepted = self.ledger.change(
                job,
                state=State.WAITING,
                task_id=task.task_id,
                submitted_at=job.submitting_at,
                next_check=next_check,
                **UNHELD,
            )
            note_accepted(accepted)
            return accepted
        verdict = verdicts.said_of(job, verdicts.without_task(job, fault))
        return self.ledger.change(job, state=State.DECIDED, verdict=verdict, next_check=next_check, **UNHELD)

    def _found(self, job: Job, now: int, *, stopped: bool) -> Task | None:
        """The task of a submit whose answer was lost, or None; raises TaskUnreadable while it may still be found."""
        looked_for = deadlines.looked_for(job, now)
        try:
            task = self.connect().find(job.job_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_provider_error(problem)
            if looked_for < deadlines.LINK_SECONDS:
                raise
            return None
        if task is None and not stopped and looked_for < self.settings.lookup_seconds:
            raise TaskUnreadable(f"status: {looked_for} s after the submit the provider knows no task {job.job_id}.")
        return task

    def _read(self, key: str) -> Result:
        text = self.results.read(key, _MAX_RESULT_BYTES)
        if text is None:
            raise ResultUnstored(f"{key}: it was there and is gone.")
        return Result.model_validate_json(text)

    def _make(self, job: Job, fault: str | None, there: Iterable[str], invocation: Invocation) -> Result:
        if job.verdict:
            return self._result(job, job.verdict)
        stopped = fault == STOPPED
        kept = self.store.kept(job, there)
        if len(kept) >= job.asked:
            return self._end_stored(job, kept, [], stopped=stopped)
        prompt = (job.recipe or {}).get("prompt", "")
        try:
            provider = self.connect()
            task = provider.read(str(job.task_id), prompt=prompt)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_provider_error(problem)
            return self._end_unseen(job, problem, deadlines.LINK_SECONDS, kept, stopped=stopped)
        seen = TaskFacts(
            model=task.model,
            created_at=task.created_at,
            completed_at=task.completed_at,
            seen_at=job.seen_at or int(self.now()),
            billed=task.bill and task.bill.amount,
        )
        if task.problem and job.made_at is None:
            note_provider_error(task.problem)
            verdict = verdicts.failed(task.problem, is_kept=bool(task.bill and task.bill.is_kept), stopped=stopped)
            return self._result(job, verdict, task=seen)
        if task.state is not TaskState.DONE:
            unfinished = TaskUnfinished(f"The last look found {task.task_id} {task.status}.")
            return self._end_unseen(job, unfinished, self.settings.deadline_seconds, kept, stopped=stopped)
        links, until = Links(provider, task, prompt), invocation.ends_at - _CLOSING_SECONDS
        stored = self.store.fetch(job, links, kept, _tags(job), until)
        now = int(self.now())
        made_at = deadlines.made_at(job, task.completed_at, now)
        if stored.later and len(stored.pictures) < job.asked and not deadlines.are_links_dead(made_at, now):
            self._mark_unstored(job, made_at, seen, len(task.urls))
            unstored = ResultUnstored(" ".join(stored.later))
            note_provider_error(unstored)
            raise unstored
        return self._end_stored(job, stored.pictures, [*stored.never, *stored.later], seen, stopped=stopped)

    def _end_stored(
        self,
        job: Job,
        pictures: dict[int, Picture],
        problems: list[str],
        task: TaskFacts | None = None,
        *,
        stopped: bool,
    ) -> Result:
        verdict = verdicts.stored(job, len(pictures), problems, stopped=stopped)
        in_order = tuple(picture for _, picture in sorted(pictures.items()))
        return self._result(job, verdict, in_order, task)

    def _end_unseen(
        self, job: Job, problem: BucketbrushError, patience: int, kept: dict[int, Picture], *, stopped: bool
    ) -> Result:
        """The end of a task whose end the last look did not show; raises ``problem`` while there is time."""
        now = int(self.now())
        if job.made_at is not None:
            if not deadlines.are_links_dead(job.made_at, now):
                raise ResultUnstored(problem.message)
            return self._end_stored(job, kept, [problem.message], stopped=stopped)
        if not (stopped and isinstance(problem, TaskUnfinished)) and not deadlines.is_overdue(job, now, patience):
            raise problem
        end = verdicts.cancelled(job, problem) if stopped else verdicts.expired(job, problem, patience)
        return self._result(job, end)

    def _result(
        self, job: Job, verdict: Verdict, pictures: tuple[Picture, ...] = (), task: TaskFacts | None = None
    ) -> Result:
        folder = layout.folder(job.source.key, self.settings.inbox_prefix) if job.source else None
        return make_result(job, verdicts.said_of(job, verdict), int(self.now()), pictures, task, folder or None)

    def _mark_unstored(self, job: Job, made_at: int, task: TaskFacts, links: int) -> None:
        if job.state is State.WAITING:
            next_check = int(self.now()) + self.settings.sweep_after_seconds
            self.ledger.change(
                job,
                state=State.UNSTORED,
                made_at=made_at,
                seen_at=task.seen_at,
                links=links,
                next_check=next_check,
            )


def _note_end(job: Job, result: Result) -> None:
    """What there is to know of a job that has ended, in a line and in metrics."""
    stored = sum(picture.bytes for picture in result.pictures)
    times = {
        "submit_seconds": _between(result.asked_at, result.submitted_at),
        "provider_seconds": _between(job.submitted_at, job.seen_at),
        "job_seconds": _between(result.asked_at, result.ended_at),
    }
    shown = {"outcome", "money", "preset", "model", "polls", "estimated_usd", "billed_usd", "lateness_seconds"}
    facts = {**result.model_dump(mode="json", include=shown), "error": result.reason, **times}
    logger.info("job ended", pictures=len(result.pictures), bytes=stored, **facts)
    percent("JobErrorPercent", 100 * (result.outcome in _ERRORS))
    gauge("Pictures", len(result.pictures))
    size("StoredBytes", stored)
    if result.task_id:
        gauge("Polls", result.polls)
    if result.lateness_seconds is not None:
        seconds("LatenessSeconds", result.lateness_seconds)
    if times["provider_seconds"] is not None:
        seconds("ProviderSeconds", times["provider_seconds"])
    if result.outcome.succeeded:
        seconds("JobSeconds", times["job_seconds"] or 0)


def _between(begin: int | None, end: int | None) -> int | None:
    """Clocks differ, so what came later may seem to have been before."""
    return None if begin is None or end is None else max(0, end - begin)


def _tags(job: Job) -> Tags:
    """What every object of the job says of itself."""
    return {"job": job.job_id, "model": (job.recipe or {}).get("model"), "preset": job.preset}
