"""Intake: from a message of the submit queue, or a caller's request, to a job with a running execution."""

from dataclasses import dataclass
from typing import TypeAlias

from bucketbrush.adapters.announcements import Bus
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.queues import Queue
from bucketbrush.domain import layout
from bucketbrush.domain.errors import AgainRefused, EventUnreadable, Money
from bucketbrush.domain.jobs import (
    Invocation,
    Job,
    Line,
    ObjectVersion,
    attempt_job_id,
    dropped_job_id,
    line_job_id,
    request_job_id,
)
from bucketbrush.domain.life import State
from bucketbrush.domain.redact import redact
from bucketbrush.domain.result import submitted_notice
from bucketbrush.observability import count, logger
from bucketbrush.submit import Order, Submit


@dataclass(frozen=True)
class Drop:
    """One file dropped into the inbox: the object version, S3's ``sequencer`` and the time of the event (seconds since
    1970).
    """

    source: ObjectVersion
    sequencer: str
    at: int


@dataclass(frozen=True)
class Again:
    """A job that is to run anew. ``attempt`` is needed when it may have been paid."""

    job_id: str
    attempt: int | None = None


@dataclass(frozen=True)
class BatchLine:
    """A line of the batch in ``source``; ``at`` is when that was dropped."""

    source: ObjectVersion
    line: Line
    batch: str
    at: int


@dataclass(frozen=True)
class Request:
    """A caller's job ``document``, as JSON. The same id of the same caller is the same job, whichever way it comes."""

    caller: str
    request_id: str
    document: str


Message: TypeAlias = Drop | Again | BatchLine | Request


@dataclass(frozen=True)
class Intake:
    """The use case. ``batches`` is the queue of batches that are to be expanded."""

    submit: Submit
    executions: Executions
    batches: Queue
    bus: Bus

    def __call__(self, message: Message, invocation: Invocation) -> None:
        """Submit the message's job and start its execution, which takes it from there.

        Some messages are no job. Raises JobBusy, AgainRefused for a job that may not run again like this,
        RequestConflict, and EventUnreadable for a file of another bucket, or a batch that lies in another place.
        """
        if order := self._order(message):
            self._start(order, invocation)

    def request(self, request: Request, invocation: Invocation) -> tuple[Job, str]:
        """The row of the job that is asked for, and its execution's ARN. Raises JobBusy and RequestConflict."""
        return self._start(_requested(request), invocation)

    def step(self, order: Order, invocation: Invocation) -> Job:
        """The job's row, when its execution has it submitted. Raises JobBusy."""
        job = self.submit(order, invocation)
        self._tell_submitted(job)
        return job

    def _start(self, order: Order, invocation: Invocation) -> tuple[Job, str]:
        job = self.submit(order, invocation)
        logger.info("job taken in", state=job.state.value)
        arn = self.executions.start(job.job_id)
        self._tell_submitted(job)
        return job, arn

    def _tell_submitted(self, job: Job) -> None:
        """Also of a job that was found submitted, because whoever submitted it may have died before telling."""
        if job.state is not State.WAITING:
            return
        try:
            self.bus.tell_submitted(submitted_notice(job))
        except Exception as problem:  # noqa: BLE001 - a paid job must not wait for who listens
            logger.warning("nobody was told of the submit", reason=redact(repr(problem)))

    def _order(self, message: Message) -> Order | None:
        match message:
            case Again():
                return self._again(message)
            case Request():
                return _requested(message)
            case BatchLine(source, line, batch, at):
                self._demand_ours(source)
                self._demand_dropped(source)
                job_id = line_job_id(source, batch, line.number)
                return Order(job_id, source=source, line=line, batch=batch, requested_at=at)
            case Drop():
                self._demand_ours(message.source)
                return self._drop(message)

    def _demand_ours(self, source: ObjectVersion) -> None:
        bucket = self.submit.settings.inbox_bucket
        if source.bucket != bucket:
            raise EventUnreadable(f"bucket: found {source.bucket}; allowed: {bucket}.")

    def _demand_dropped(self, source: ObjectVersion) -> None:
        drops = self.submit.settings.inbox.drops
        if not source.key.startswith(drops):
            raise EventUnreadable(f"key: found {source.key}; allowed: one below {drops}.")

    def _drop(self, drop: Drop) -> Order | None:
        source, inbox = drop.source, self.submit.settings.inbox
        is_preset = inbox.is_among_presets(source.key, source.size or 0)
        if is_preset and not self.submit.prepare.documents.preset_problem(source):
            logger.info("preset is sound", key=source.key)
            return None
        if not is_preset and inbox.is_ignored(source.key, source.size or 0):
            count("DropsIgnored")
            return None
        if layout.is_batch(source.key) and not is_preset:
            batch = {"source": source.model_dump(), "sequencer": drop.sequencer, "requested_at": drop.at}
            self.batches.send({"batch": batch})
            return None
        return Order(dropped_job_id(source, drop.sequencer), source=source, requested_at=drop.at)

    def _again(self, again: Again) -> Order:
        """The next attempt, which is always the same one: a message that comes twice runs it once."""
        job = self.submit.ledger.get(again.job_id)
        name = f"again: job {again.job_id}"
        if job is None:
            raise AgainRefused(f"{name}: found no such job.")
        if job.state is not State.ENDED or job.verdict is None or job.source is None:
            found = f"state {job.state}" if job.source else "a job without a file: ask for it anew under another id"
            raise AgainRefused(f"{name}: found {found}; allowed: a dropped file's job that has ended.")
        following = job.attempt + 1
        if again.attempt != following and (again.attempt or job.verdict.money is not Money.NOT_MOVED):
            given = f"attempt {again.attempt}" if again.attempt else "no attempt"
            if self.submit.ledger.get(attempt_job_id(job)):
                raise AgainRefused(f"{name}: found that it ran again; allowed: its last attempt.")
            raise AgainRefused(
                f"{name}: its outcome is {job.verdict.outcome} (money {job.verdict.money}); found {given}; allowed: "
                f'"attempt": {following}, which may pay again.'
            )
        return Order(
            attempt_job_id(job),
            source=job.source,
            line=job.line,
            requested_at=job.requested_at,
            again_of=job.again_of or job.job_id,
            attempt=following,
            mask=job.mask,
            sidecar=job.sidecar,
        )


def _requested(request: Request) -> Order:
    return Order(request_job_id(request.caller, request.request_id), request=request.document)
