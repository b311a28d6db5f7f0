"""Finalize: store what the task made, write ``result.json`` once, tell it, close the row.

It needs no lease: pictures and ``result.json`` are written once, so of two that end the same job the second tells what
the first has written.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from bucketbrush.adapters.announcements import Announcements
from bucketbrush.adapters.answers import Task, TaskState
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import deadlines, layout, money, verdicts
from bucketbrush.domain.errors import (
    ApiKeyMissing,
    BucketbrushError,
    LinkDead,
    Money,
    PictureUnreadable,
    ResultUnstored,
    TaskUnfinished,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import UNHELD, Invocation, Job, Verdict
from bucketbrush.domain.life import STOPPED, State
from bucketbrush.domain.result import Announcement, Picture, Result, TaskFacts, announcement_of, make_result, verdict_of
from bucketbrush.observability import amount, count, logger, note_operator_problem
from bucketbrush.settings import FinalizeSettings

_RESULT = "result.json"
_MAX_RESULT_BYTES = 4 * 1024 * 1024
_CLOSING_SECONDS = 60  # of an invocation, kept for what comes after the downloads


@dataclass
class _Links:
    """The links of a task's pictures; once, when one of them is dead, all are read anew."""

    provider: ToApis
    task: Task
    prompt: str
    are_fresh: bool = False

    def refresh(self) -> bool:
        """Whether there may be others now."""
        if self.are_fresh:
            return False
        self.are_fresh = True
        with suppress(TaskUnreadable):
            fresh = self.provider.read(self.task.task_id, prompt=self.prompt).urls
            if len(fresh) >= len(self.task.urls):  # in a shorter list the pictures have other numbers
                self.task = replace(self.task, urls=fresh)
        return True


@dataclass(frozen=True)
class Finalize:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    settings: FinalizeSettings
    ledger: Ledger
    results: Objects
    announcements: Announcements
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, job_id: str, fault: str | None, invocation: Invocation) -> Announcement:
        """End the job and return what was announced; a repeated call tells the same again.

        ``fault`` is what ended the workflow before: the name of an error, or how its execution ended. Raises
        TaskUnfinished, TaskUnreadable or ResultUnstored while the task's pictures cannot be had yet, JobBusy while a
        submit is under way, AnnouncementFailed.
        """
        job = self._find(job_id, fault)
        key = layout.result_key(job_id, _RESULT)
        # Looked for before anything else: what an earlier try has stored is not fetched, and what it told is told.
        there = self.results.keys(layout.result_key(job_id, ""))
        result = self._read(key) if key in there else None
        if result is None:
            made = self._make(job, fault, there, invocation)
            result = made if self.results.write_once(key, made.model_dump(mode="json")) else self._read(key)
        announcement = announcement_of(result, self.settings.results_bucket, key)
        self.announcements.tell(announcement)
        if job.state is not State.ENDED:
            verdict = verdict_of(result)
            # Before the row says so: an alarm that rings twice is better than one that never rings.
            count("Jobs", outcome=result.outcome.value)
            self._end(job, verdict, result)
            logger.info("job ended", job_id=job_id, outcome=result.outcome.value, pictures=len(result.pictures))
        return announcement

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
        new = Job(job_id=job_id, state=State.ACCEPTED, created_at=now, next_check=next_check)
        job = self.ledger.get(job_id) or self.ledger.create(new) or new
        if not job.state.before_task:
            return job
        job.demand_free(now)
        if job.state is State.SUBMITTING and (task := self._found(job, now, stopped=fault == STOPPED)):
            return self.ledger.change(
                job,
                state=State.WAITING,
                task_id=task.task_id,
                submitted_at=job.submitting_at,
                next_check=next_check,
                **UNHELD,
            )
        verdict = verdicts.without_task(job, fault)
        return self.ledger.change(job, state=State.DECIDED, verdict=verdict, next_check=next_check, **UNHELD)

    def _found(self, job: Job, now: int, *, stopped: bool) -> Task | None:
        """The task of a submit whose answer was lost, or None; raises TaskUnreadable while it may still be found."""
        looked_for = deadlines.looked_for(job, now)
        try:
            task = self.connect().find(job.job_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_operator_problem(problem)
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
            return make_result(job, job.verdict, int(self.now()))
        stopped = fault == STOPPED
        kept = self._kept(job.job_id, there)
        if len(kept) >= job.asked:
            return self._end_stored(job, kept, [], stopped=stopped)
        prompt = (job.recipe or {}).get("prompt", "")
        try:
            provider = self.connect()
            task = provider.read(str(job.task_id), prompt=prompt)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_operator_problem(problem)
            return self._end_unseen(job, problem, deadlines.LINK_SECONDS, kept, stopped=stopped)
        seen = TaskFacts(
            created_at=task.created_at, completed_at=task.completed_at, billed=task.bill and task.bill.amount
        )
        if task.problem and job.made_at is None:
            verdict = verdicts.failed(task.problem, is_kept=bool(task.bill and task.bill.is_kept), stopped=stopped)
            return make_result(job, verdict, int(self.now()), task=seen)
        if task.state is not TaskState.DONE:
            unfinished = TaskUnfinished(f"The last look found {task.task_id} {task.status}.")
            return self._end_unseen(job, unfinished, self.settings.deadline_seconds, kept, stopped=stopped)
        pictures, never, later = self._store(job, _Links(provider, task, prompt), kept, invocation)
        now = int(self.now())
        made_at = deadlines.made_at(job, task.completed_at, now)
        if later and len(pictures) < job.asked and not deadlines.are_links_dead(made_at, now):
            self._mark_unstored(job, made_at, len(task.urls), now)
            raise ResultUnstored(" ".join(later))
        return self._end_stored(job, pictures, [*never, *later], seen, stopped=stopped)

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
        return make_result(job, verdict, int(self.now()), in_order, task)

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
        return make_result(job, end, now)

    def _mark_unstored(self, job: Job, made_at: int, links: int, now: int) -> None:
        logger.warning("pictures are made and not stored yet", job_id=job.job_id, task_id=job.task_id)
        if job.state is State.WAITING:
            next_check = now + self.settings.sweep_after_seconds
            self.ledger.change(job, state=State.UNSTORED, made_at=made_at, links=links, next_check=next_check)

    def _kept(self, job_id: str, there: Iterable[str]) -> dict[int, Picture]:
        """The pictures that an earlier try has stored, by their number."""
        numbers = {key: layout.picture_number(job_id, key) for key in there}
        return {number: self.results.picture(key) for key, number in numbers.items() if number is not None}

    def _store(
        self, job: Job, links: _Links, kept: dict[int, Picture], invocation: Invocation
    ) -> tuple[dict[int, Picture], list[str], list[str]]:
        """Store each picture by itself: all that are stored, why some never will be, and why some are not yet."""
        pictures = dict(kept)
        total = len(links.task.urls)
        if kept and total < (job.links or 0):
            # Pictures are numbered by their links: in a shorter list the numbers are others.
            return pictures, [], [f"Task {links.task.task_id} lists {total} links now, and {job.links} before."]
        never: list[str] = []
        later: list[str] = [] if total else [f"Task {links.task.task_id} completed without a single link."]
        for number in range(1, total + 1):
            if number in pictures:
                continue
            share = (invocation.ends_at - _CLOSING_SECONDS - self.now()) / (total + 1 - number)
            stem = layout.result_key(job.job_id, str(number))
            try:
                pictures[number] = self._fetch_twice(stem, links, number, self.now() + share)
            except PictureUnreadable as problem:
                never.append(f"Picture {number}: {problem.message}")
            except ResultUnstored as problem:
                later.append(f"Picture {number}: {problem.message}")
        return pictures, never, later

    def _fetch_twice(self, stem: str, links: _Links, number: int, until: float) -> Picture:
        """A picture, with a second try when the first leaves time: by a new link when the old one is dead."""
        try:
            return self._fetch(stem, links, number, until)
        except ResultUnstored as problem:
            if self.now() > until or (isinstance(problem, LinkDead) and not links.refresh()):
                raise
        return self._fetch(stem, links, number, until)

    def _fetch(self, stem: str, links: _Links, number: int, until: float) -> Picture:
        with links.provider.download(links.task.urls[number - 1]) as (chunks, announced):
            return self.results.store_picture(stem, self._within(chunks, until), announced)

    def _within(self, chunks: Iterator[bytes], until: float) -> Iterator[bytes]:
        """The chunks, as long as there is time: a host that drips must not hold up the other pictures."""
        for chunk in chunks:
            if self.now() > until:
                raise ResultUnstored("result link: the download took longer than its share of the time.")
            yield chunk
