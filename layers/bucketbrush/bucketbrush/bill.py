"""Bill: what a job that has ended did cost, when its bill had not come by then."""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import deadlines, money
from bucketbrush.domain.errors import ApiKeyMissing, Money, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.observability import about, amount, logger, note_provider_error


@dataclass(frozen=True)
class LookForBill:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    ledger: Ledger
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, job_id: str) -> None:
        """One look; for a day the bill may still come.

        Raises JobBusy or BudgetBusy when somebody else writes at this moment: the sweep comes again.
        """
        job = self.ledger.get(job_id)
        if job is None or job.state is not State.ENDED or job.next_check is None:
            return
        about(job_id, job.task_id)
        try:
            bill = self.connect().read(str(job.task_id)).bill
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_provider_error(problem)
            is_to_come, billed = True, None
        else:
            is_to_come, billed = bool(bill and bill.is_pending), bill.amount if bill else None
        if billed is not None:
            self._note(job, billed)
        elif not is_to_come or deadlines.are_links_dead(job.ended_at or 0, int(self.now())):
            logger.warning("no bill has come")
            self.ledger.change(job, next_check=None)

    def _note(self, job: Job, billed: int) -> None:
        """It replaces what was assumed in the job's row and, under a budget, in the month's."""
        share = job.share and money.settled(job.share, Money.MOVED, billed)
        self.ledger.change(job, billed=billed, share=share, next_check=None)
        amount("BilledUsd", billed)
