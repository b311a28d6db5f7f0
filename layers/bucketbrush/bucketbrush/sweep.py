"""Sweep: look after every job that stands open, and have those ended that nobody works on any more.

It is fed by a schedule, which is enough, and by status changes of executions, which make it faster.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.departures import Departures
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.finalizer import Finalizer
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.domain import deadlines, money
from bucketbrush.domain.errors import SweepIncomplete
from bucketbrush.domain.jobs import Invocation, Job
from bucketbrush.domain.life import RUNNING, State
from bucketbrush.domain.redact import redact
from bucketbrush.observability import about, gauge, logger, percent, seconds
from bucketbrush.settings import SweepSettings

_CLOSING_SECONDS = 15  # of an invocation, kept for what comes after the jobs
_STUCK_SECONDS = 10_800  # how long after its deadline a running execution is still believed to end its job


@dataclass(frozen=True)
class Sweep:
    """The use case. ``now`` is in seconds since 1970."""

    settings: SweepSettings
    ledger: Ledger
    budgets: Budgets
    departures: Departures
    executions: Executions
    finalizer: Finalizer
    now: Callable[[], float]

    def __call__(self, invocation: Invocation) -> None:
        """Look after the jobs whose time has come, the oldest first, and emit how many of them stand badly.

        Raises SweepIncomplete when it could not look after some; the others are looked after.
        """
        now = int(self.now())
        overdue, failures, behind, unstored = 0, [], [], []
        for job_id in self.ledger.due(now):
            if self.now() > invocation.ends_at - _CLOSING_SECONDS:
                logger.warning("more jobs are due than one sweep can look after; the next one goes on")
                break
            about(job_id)
            try:
                job = self.ledger.get(job_id)
                if job is None or job.next_check is None or job.next_check > now:
                    continue
                behind.append(now - job.next_check)
                if job.state is State.UNSTORED:
                    unstored.append(now - (job.made_at or now))
                overdue += self._look_after(job)
            except Exception as problem:  # noqa: BLE001 - one job must not keep the sweep from the others
                error = type(problem).__name__
                logger.error("a job could not be looked after", error=error, reason=redact(str(problem)))
                failures.append(error)
        about()
        gauge("JobsOverdue", overdue + len(failures))
        seconds("OldestOverdueSeconds", max(behind, default=0))
        gauge("JobsUnstored", len(unstored))
        seconds("OldestUnstoredSeconds", max(unstored, default=0))
        gauge("DeparturesWaiting", self.departures.waiting(int(self.now() * 1000)))
        if self.settings.budget:
            committed = self.budgets.read(money.month_of(now)).committed
            percent("BudgetUsedPercent", 100 * committed // self.settings.budget)
        if failures:
            raise SweepIncomplete(f"sweep: could not look after {len(failures)} of the open jobs ({failures[0]}).")

    def execution_ended(self, job_id: str) -> None:
        """See to it that the job has ended as well; most have, because their execution ended with them."""
        about(job_id)
        job = self.ledger.get(job_id)
        if job is None:
            # A caller's execution that died before its document was read; one that was redriven since goes on.
            status = self.executions.status(job_id)
            if status != RUNNING:
                self.finalizer.start(job_id, status)
        elif job.state is not State.ENDED:
            self._look_after(job)

    def _look_after(self, job: Job) -> bool:
        """Whether nobody worked on the job any more, so that this had to be mended."""
        if job.state is State.ENDED:
            self._look_for_bill(job)
            return False
        now, status = int(self.now()), self.executions.status(job.job_id)
        if status == RUNNING and not self._is_stuck(job, now):
            self.ledger.postpone(job, deadlines.next_check(job, now, self.settings.sweep_after_seconds))
            return False
        # Also a claim: of two sweeps one goes on.
        if not self.ledger.postpone(job, now + self.settings.sweep_after_seconds):
            return False
        logger.warning("nobody works on the job", state=job.state.value, execution=status)
        if status is None and (job.source or job.request):
            self.executions.start(job.job_id)
        else:
            self.finalizer.start(job.job_id, status or "no execution")
        return True

    def _look_for_bill(self, job: Job) -> None:
        now = int(self.now())
        if self.ledger.postpone(job, deadlines.next_check(job, now, self.settings.sweep_after_seconds)):
            self.finalizer.look_for_bill(job.job_id)

    def _is_stuck(self, job: Job, now: int) -> bool:
        """Whether the execution runs and should have ended its job long ago: its looks fail in a way nobody foresaw."""
        patience = self.settings.deadline_seconds + _STUCK_SECONDS
        return job.submitted_at is not None and deadlines.is_overdue(job, now, patience)
