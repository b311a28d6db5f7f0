"""Whatever is reserved, settled, released, repeated and cut short in any order, the budget holds and adds up.

The real use cases run on the ledger's conditions, in the hands of a provider that answers anything; an invocation may
end before or after any of its writes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bucketbrush.adapters.answers import Bill, TaskState
from bucketbrush.domain.errors import (
    BucketbrushError,
    Money,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    SubmitUnanswered,
)
from bucketbrush.domain.jobs import Job, Share
from bucketbrush.domain.life import State
from bucketbrush.domain.money import Budget
from bucketbrush.settings import UnknownPolicy
from bucketbrush.submit import Order
from tests.properties import EXAMPLES, PROPERTIES
from tests.unit.fakes import PNG, SUBMIT_SETTINGS, FakeLedger, World, task

PRICE = 20_000  # of a picture, as the settings assume
JOBS = [f"job-{number}" for number in range(12)]
LINK = "https://files.toapis.com/1.png"


class Cut(Exception):
    """The invocation ends here."""


class MortalLedger(FakeLedger):
    """An invocation that uses it ends before or after its change number ``cut_at``, as if killed there."""

    cut_at: int | None = None
    is_cut_after = False

    def of(self, actor: Any) -> FakeLedger:
        made = MortalLedger(actor, self.rows, self.budgets)
        made.cut_at, made.is_cut_after = self.cut_at, self.is_cut_after
        return made

    def change(self, job: Job, *, limit: int | None = None, **changes: Any) -> Job:
        is_cut = self.cut_at == 0
        self.cut_at = None if self.cut_at is None else self.cut_at - 1
        if is_cut and not self.is_cut_after:
            raise Cut
        changed = super().change(job, limit=limit, **changes)
        if is_cut:
            raise Cut
        return changed


class Jobs(RuleBasedStateMachine):
    """Some jobs of one to four pictures, under a budget that has no room for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MortalLedger()
        self.world = World(ledger=self.ledger)
        self.made: list[str] = []  # the jobs of the tasks that the provider has made
        self.limit = 0

    @initialize(pictures=st.sampled_from([0, 8, 16, 64]), policy=st.sampled_from(UnknownPolicy))
    def begin(self, pictures: int, policy: UnknownPolicy) -> None:
        self.limit = max(1, pictures * PRICE)
        budget = Decimal(self.limit) / 1_000_000
        facts = {"monthly_budget_usd": budget, "unknown_policy": policy, "lookup_seconds": 60}
        self.world.submit_settings = SUBMIT_SETTINGS.model_copy(update=facts)

    @rule(
        name=st.sampled_from(JOBS),
        answer=st.sampled_from(["made", "made", "made and lost", "lost", "busy", "limited", "refused"]),
        is_found=st.booleans(),
        conflicts=st.sampled_from([0, 0, 0, 1]),
        cut_at=st.one_of(st.none(), st.integers(0, 3)),
        after=st.booleans(),
    )
    def submit(self, name: str, answer: str, is_found: bool, conflicts: int, cut_at: int | None, after: bool) -> None:
        """A message, a workflow's step, or one of these once more."""
        world, api = self.world, self.world.api
        api.submits = [
            {
                "made": f"tsk_{name}",
                "busy": ProviderBusy("submit: HTTP 503."),
                "limited": RateLimited("submit: HTTP 429.", 1),
                "refused": ProviderRefused("submit: HTTP 400."),
            }.get(answer, SubmitUnanswered("submit: the connection ended."))
        ]
        api.during_submit = lambda: self.made.append(name) if answer.startswith("made") else None
        api.found = task(TaskState.WAITING) if is_found and name in self.made else None
        self.ledger.budgets.conflicts = conflicts
        self._until(cut_at, after, lambda: world.submit(self._order(name), world.invocation()))

    @precondition(lambda self: self._sent())
    @rule(
        number=st.integers(0, len(JOBS)),
        state=st.sampled_from([TaskState.DONE, *TaskState]),
        is_found=st.booleans(),
        fault=st.sampled_from([None, None, "ABORTED"]),
        billed=st.integers(0, 4),
        is_repeated=st.booleans(),
        status=st.sampled_from(["settled", "settled", "pending", "pending", "refunded", None]),
        cut_at=st.one_of(st.none(), st.integers(0, 2)),
        after=st.booleans(),
    )
    def finalize(
        self,
        number: int,
        state: TaskState,
        is_found: bool,
        fault: str | None,
        billed: int,
        is_repeated: bool,
        status: str | None,
        cut_at: int | None,
        after: bool,
    ) -> None:
        """A workflow's last step, or the sweep's, or the look for a bill."""
        world, sent = self.world, self._sent()
        job = sent[number % len(sent)]
        name = job.job_id
        amount = {"settled": min(billed, job.asked) * PRICE, "refunded": 0}.get(status or "")
        world.api.task = task(state, LINK, bill=Bill(status, amount) if status else None)
        world.api.found = task(TaskState.WAITING) if is_found and name in self.made else None
        world.api.pictures = {LINK: PNG}
        if job.state is State.ENDED:
            if is_repeated:  # two looks at once: both have read the row before either writes
                world.api.during_read = lambda: self._until(None, False, lambda: world.look_for_bill(name))
            self._until(cut_at, after, lambda: world.look_for_bill(name))
            world.api.during_read = lambda: None
        else:
            self._until(cut_at, after, self._finalizing(name, fault))

    @precondition(lambda self: self._reserved())
    @rule(number=st.integers(0, len(JOBS)), fault=st.sampled_from(["Sandbox.Timedout", "ABORTED"]), found=st.booleans())
    def die(self, number: int, fault: str, found: bool) -> None:
        """The execution of a job that has reserved money ends, wherever the job stands."""
        reserved = self._reserved()
        name = reserved[number % len(reserved)].job_id
        self.world.api.task = task(TaskState.WAITING)
        self.world.api.found = task(TaskState.WAITING) if found and name in self.made else None
        self._until(None, False, self._finalizing(name, fault))

    @rule(seconds=st.sampled_from([1, 1, 61, 61, 61, 3600, 40 * 86_400]))
    def wait(self, seconds: int) -> None:
        self.world.time += seconds

    @invariant()
    def the_budget_is_the_sum_over_the_jobs(self) -> None:
        shares = [row.share for row in self.ledger.rows.values() if row.share]
        for month in {share.month for share in shares} | set(self.ledger.budgets.months):
            ours = [share for share in shares if share.month == month]
            committed, spent = sum(share.committed for share in ours), sum(share.spent for share in ours)
            assert self.ledger.budgets.read(month) == Budget(month=month, committed=committed, spent=spent)

    @invariant()
    def the_budget_is_never_exceeded(self) -> None:
        assert all(
            0 <= budget.spent <= budget.committed <= self.limit for budget in self.ledger.budgets.months.values()
        )

    @invariant()
    def what_may_be_paid_is_covered(self) -> None:
        for name in set(self.made):
            row = self.ledger.rows[name]
            known = row.verdict is not None and row.verdict.money is Money.NOT_MOVED  # the provider refunded it
            assert known or row.share, f"{name} may be paid, and has no share"
            if row.share and row.share.reserved:
                assert row.share.reserved >= row.asked * PRICE * self.made.count(name)

    @invariant()
    def nothing_is_reserved_twice(self) -> None:
        rows = [row for row in self.ledger.rows.values() if row.share]
        assert all(row.share is None or row.share.committed <= row.asked * PRICE * (1 + row.resends) for row in rows)

    @invariant()
    def a_bill_replaces_what_was_assumed(self) -> None:
        ended = [row for row in self.ledger.rows.values() if row.state is State.ENDED and row.share]
        for row in ended:
            is_known = row.billed is not None and row.verdict and row.verdict.money is Money.MOVED
            assert not is_known or (row.share and row.share.spent == row.billed)

    @invariant()
    def an_end_settles_once_and_for_all(self) -> None:
        for row in self.ledger.rows.values():
            if row.state is State.ENDED and row.verdict and row.share:
                assert row.verdict.money is not Money.NOT_MOVED
                assert row.verdict.money is Money.UNKNOWN or row.share == Share(
                    month=row.share.month, spent=row.share.committed
                )

    def _sent(self) -> list[Job]:
        """What finalize may be called for: most of the time jobs for which there is something to do."""
        rows = [row for row in self.ledger.rows.values() if not row.state.before_task]
        return [row for row in rows if row.next_check is not None] or rows

    def _reserved(self) -> list[Job]:
        return [row for row in self.ledger.rows.values() if row.share and row.share.reserved]

    def _order(self, name: str) -> Order:
        number = JOBS.index(name)
        return Order(name, document={"model": "gpt-image-2-vip", "prompt": "a boat", "n": 1 + number % 4})

    def _finalizing(self, name: str, fault: str | None) -> Any:
        return lambda: self.world.finalize(name, fault, self.world.invocation())

    def _until(self, cut_at: int | None, after: bool, run: Any) -> None:
        """Run to the end or to the cut; the lease of what was killed ends some time later."""
        self.ledger.cut_at, self.ledger.is_cut_after = cut_at, after
        try:
            run()
        except Cut:
            self.world.time += 66
        except BucketbrushError:
            self.world.time += 1
        finally:
            self.ledger.cut_at = None


@pytest.mark.properties
def test_whatever_happens_the_budget_holds_and_adds_up() -> None:
    examples = max(100, EXAMPLES // 10)
    run_state_machine_as_test(Jobs, settings=settings(PROPERTIES, max_examples=examples, stateful_step_count=80))
