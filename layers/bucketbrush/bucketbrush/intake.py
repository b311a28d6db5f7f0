"""Intake: from a message of the submit queue to a job with a running execution."""

from dataclasses import dataclass

from bucketbrush.adapters.executions import Executions
from bucketbrush.domain import layout
from bucketbrush.domain.errors import AgainRefused, Money
from bucketbrush.domain.jobs import Invocation, ObjectVersion, attempt_job_id, dropped_job_id
from bucketbrush.domain.life import State
from bucketbrush.observability import count, logger
from bucketbrush.submit import Order, Submit


@dataclass(frozen=True)
class Drop:
    """One file dropped into the inbox: the object version and S3's ``sequencer`` of the event."""

    source: ObjectVersion
    sequencer: str


@dataclass(frozen=True)
class Again:
    """A job that is to run anew. ``attempt`` is needed when it may have been paid."""

    job_id: str
    attempt: int | None = None


@dataclass(frozen=True)
class Intake:
    """The use case."""

    submit: Submit
    executions: Executions

    def __call__(self, message: Drop | Again, invocation: Invocation) -> None:
        """Submit the message's job and start its execution, which takes it from there.

        Raises JobBusy, and AgainRefused for a job that may not run again like this.
        """
        order = self._again(message) if isinstance(message, Again) else self._drop(message)
        if order is None:
            count("DropsIgnored")
            return
        job = self.submit(order, invocation)
        logger.info("job taken in", job_id=job.job_id, state=job.state.value)
        self.executions.start(job.job_id)

    def _drop(self, drop: Drop) -> Order | None:
        key = drop.source.key
        if not key.startswith(layout.INBOX_PREFIX) or layout.is_ignored(key, drop.source.size or 0):
            return None
        return Order(dropped_job_id(drop.source, drop.sequencer), source=drop.source)

    def _again(self, again: Again) -> Order:
        """The next attempt, which is always the same one: a message that comes twice runs it once."""
        job = self.submit.ledger.get(again.job_id)
        name = f"again: job {again.job_id}"
        if job is None:
            raise AgainRefused(f"{name}: found no such job.")
        if job.state is not State.ENDED or job.verdict is None or job.source is None:
            found = f"state {job.state}" if job.source else "an execution without a file: start another one"
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
        return Order(attempt_job_id(job), job.source, again_of=job.again_of or job.job_id, attempt=following)
