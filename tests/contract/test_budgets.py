"""The months' budgets: what all jobs take of one is written with the job that takes it, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters import ledger as adapter
from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.domain.errors import BudgetBusy, BudgetExceeded, JobBusy
from bucketbrush.domain.jobs import Job, Share
from bucketbrush.domain.life import Actor, State
from bucketbrush.domain.money import Budget
from tests.contract.aws import Repeating, Wire, at_once, client, held_by, limits, name, seed, table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["limits", "table"]
MONTH = "2026-11"
LIMIT = 60_000
PRICE = 20_000
CENT = 10_000
RESERVED: dict[str, Any] = {"state": State.SUBMITTING, "share": Share(month=MONTH, reserved=PRICE)}
_CODE = "com.amazonaws.dynamodb.v20120810#"


@pytest.fixture
def budgets(limits: str) -> Budgets:
    """The months as they stand."""
    return Budgets(client("dynamodb"), limits)


@pytest.fixture
def submit(table: str, limits: str) -> Ledger:
    """The ledger in the hands of the function that reserves."""
    return held_by(Actor.SUBMIT, table, limits)


@pytest.fixture
def finalize(table: str, limits: str) -> Ledger:
    """The ledger in the hands of the function that settles."""
    return held_by(Actor.FINALIZE, table, limits)


def seeded(table: str, **fields: Any) -> Job:
    """A job whose row stands in the table."""
    made = Job(**{"job_id": name("job"), "state": State.ACCEPTED, "created_at": 1000, **fields})
    seed(table, made)
    return made


def held(submit: Ledger, table: str, amount: int) -> Job:
    """A job that has reserved so much of the month."""
    share = Share(month=MONTH, reserved=amount)
    return submit.change(seeded(table), state=State.SUBMITTING, share=share)


def rows(limits: str) -> list[str]:
    """The names of all rows."""
    return [item["name"]["S"] for item in client("dynamodb").scan(TableName=limits)["Items"]]


# ---- Both or none ------------------------------------------------------------------------------------------------


def test_a_month_without_a_row_has_nothing_of_its_budget_taken(budgets: Budgets) -> None:
    assert budgets.read(MONTH) == Budget(month=MONTH)


def test_a_reservation_stands_in_both_rows(submit: Ledger, table: str, limits: str, budgets: Budgets) -> None:
    for number in (1, 2, 3):
        reserved = submit.change(seeded(table), limit=LIMIT, **RESERVED)
        assert reserved.share == Share(month=MONTH, reserved=PRICE)
        assert submit.get(reserved.job_id) == reserved
        assert budgets.read(MONTH) == Budget(month=MONTH, committed=number * PRICE)
    assert rows(limits) == [f"budget {MONTH}"]


def test_what_does_not_fit_is_refused_with_the_numbers_and_written_nowhere(
    submit: Ledger, finalize: Ledger, table: str, budgets: Budgets
) -> None:
    paid = finalize.change(held(submit, table, PRICE), state=State.WAITING, task_id="tsk_1")
    finalize.change(paid, state=State.ENDED, share=Share(month=MONTH, spent=PRICE))
    held(submit, table, 2 * PRICE - 1)
    before, row = budgets.read(MONTH), seeded(table)
    with pytest.raises(BudgetExceeded) as caught:
        submit.change(row, limit=LIMIT, **RESERVED)
    assert caught.value.message == (
        "budget 2026-11: found 0.02 USD spent and 0.039999 USD reserved, and this job needs 0.02 USD; allowed: "
        "MonthlyBudgetUsd, which is 0.06 USD."
    )
    assert (submit.get(row.job_id), budgets.read(MONTH)) == (row, before)
    assert submit.change(row, limit=LIMIT + PRICE - 1, **RESERVED).share, "to the limit itself it fits"


def test_a_job_above_the_limit_is_refused_by_a_month_that_has_no_row(submit: Ledger, table: str, limits: str) -> None:
    row = seeded(table)
    with pytest.raises(BudgetExceeded, match=r"found 0\.00 USD spent and 0\.00 USD reserved, and this job needs 0\.02"):
        submit.change(row, limit=PRICE - 1, **RESERVED)
    assert (submit.get(row.job_id), rows(limits)) == (row, [])


def test_without_a_limit_there_is_room_for_everything(submit: Ledger, table: str, budgets: Budgets) -> None:
    held(submit, table, 10**12)
    assert budgets.read(MONTH).committed == 10**12


def test_every_month_is_a_row_of_its_own(submit: Ledger, table: str, budgets: Budgets) -> None:
    submit.change(seeded(table), limit=PRICE, **RESERVED)
    share = Share(month="2026-12", reserved=PRICE)
    submit.change(seeded(table), limit=PRICE, state=State.SUBMITTING, share=share)
    assert [budgets.read(month).committed for month in (MONTH, "2026-12", "2027-01")] == [PRICE, PRICE, 0]


def test_of_a_crowd_as_many_reserve_as_there_is_room_for(submit: Ledger, table: str, budgets: Budgets) -> None:
    jobs = [seeded(table) for _ in range(40)]
    done = at_once([lambda job=job: submit.change(job, limit=10 * PRICE, **RESERVED) for job in jobs])  # type: ignore[misc]
    reserved = {job.job_id: job for job in done if isinstance(job, Job)}
    assert len(reserved) == 10
    assert sum(isinstance(problem, BudgetExceeded) for problem in done) == 30
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=10 * PRICE)
    assert [submit.get(job.job_id) for job in jobs] == [reserved.get(job.job_id, job) for job in jobs]


# ---- To the end --------------------------------------------------------------------------------------------------


def test_a_share_is_settled_once_and_again_when_the_bill_comes(
    submit: Ledger, finalize: Ledger, table: str, budgets: Budgets
) -> None:
    other = held(submit, table, CENT)
    waiting = submit.change(held(submit, table, PRICE), state=State.WAITING, task_id="tsk_1")
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=PRICE + CENT)
    ended = finalize.change(waiting, state=State.ENDED, share=Share(month=MONTH, spent=PRICE), next_check=900)
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=PRICE + CENT, spent=PRICE)
    for amount in (15_000, 25_000):  # less than was reserved, and more
        ended = finalize.change(ended, share=Share(month=MONTH, spent=amount), billed=amount)
        assert finalize.get(ended.job_id) == ended
        assert budgets.read(MONTH) == Budget(month=MONTH, committed=amount + CENT, spent=amount)
    assert finalize.get(other.job_id) == other


def test_a_share_is_released(submit: Ledger, finalize: Ledger, table: str, budgets: Budgets) -> None:
    kept = held(submit, table, CENT)
    refused = submit.change(held(submit, table, PRICE), state=State.DECIDED)
    assert budgets.read(MONTH).committed == PRICE + CENT, "until it is told"
    ended = finalize.change(refused, state=State.ENDED, share=None)
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=CENT)
    assert (finalize.get(ended.job_id), finalize.get(kept.job_id)) == (ended, kept)


def test_a_budget_that_was_lowered_refuses_no_end(
    submit: Ledger, finalize: Ledger, table: str, budgets: Budgets
) -> None:
    waiting = submit.change(held(submit, table, LIMIT), state=State.WAITING, task_id="tsk_1")
    row = seeded(table)
    with pytest.raises(BudgetExceeded, match=r"found 0\.00 USD spent and 0\.06 USD reserved"):
        submit.change(row, limit=PRICE, **RESERVED)
    finalize.change(waiting, state=State.ENDED, share=Share(month=MONTH, spent=LIMIT))
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=LIMIT, spent=LIMIT)


# ---- What is sent ------------------------------------------------------------------------------------------------


def test_only_a_change_of_the_share_is_a_transaction(table: str, limits: str, budgets: Budgets) -> None:
    wire = Wire()
    submit = held_by(Actor.SUBMIT, table, limits, wire.client)
    free = submit.change(seeded(table), owner="me", lease_until=1065)
    assert wire.sent == ["UpdateItem"]
    reserved = submit.change(free, limit=LIMIT, **RESERVED)
    assert wire.sent[1:] == ["TransactWriteItems"]
    busy = submit.change(reserved, limit=LIMIT, state=State.ACCEPTED, hold_until=2000)
    submit.change(busy, limit=LIMIT, **RESERVED)
    assert wire.sent[2:] == ["UpdateItem"] * 2, "what is reserved already is not reserved once more"
    assert budgets.read(MONTH).committed == PRICE


def test_without_a_share_there_need_be_no_limits_table(table: str) -> None:
    submit = held_by(Actor.SUBMIT, table, "no-such-table")
    sent = submit.change(seeded(table), limit=LIMIT, state=State.SUBMITTING)
    assert submit.get(sent.job_id) == sent
    with pytest.raises(ClientError, match="ResourceNotFound"):
        submit.change(seeded(table), limit=LIMIT, **RESERVED)


# ---- Others who write --------------------------------------------------------------------------------------------


def cancelled(row: str, month: str) -> dict[str, Any]:
    """A transaction that was cancelled, with why for each of its writes."""
    return {"__type": f"{_CODE}TransactionCanceledException", "CancellationReasons": [{"Code": row}, {"Code": month}]}


CONFLICTS = {
    "the month's row": cancelled("None", "TransactionConflict"),
    "the job's row": cancelled("TransactionConflict", "None"),
    "a write that is no transaction": {"__type": f"{_CODE}TransactionConflictException"},
    "the same transaction": {"__type": f"{_CODE}TransactionInProgressException"},
}


class Crowded:
    """A ledger whose transactions meet others for so many times, as AWS tells it and the engine never does."""

    def __init__(self, table: str, limits: str, conflict: dict[str, Any], times: int) -> None:
        self.left = times
        self.delays: list[float] = []
        self.wire = Wire(lambda _: self._meet(conflict))
        budgets = Budgets(self.wire.client, limits)
        self.ledger = Ledger(self.wire.client, table, 400, Actor.SUBMIT, budgets, self.delays.append)

    def _meet(self, conflict: dict[str, Any]) -> dict[str, Any] | None:
        self.left -= 1
        return conflict if self.left >= 0 else None


BOUNDS = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@pytest.mark.parametrize("times", [1, 3, len(BOUNDS)])
@pytest.mark.parametrize("conflict", CONFLICTS)
def test_who_meets_others_tries_again_a_little_later(
    table: str, limits: str, budgets: Budgets, conflict: str, times: int
) -> None:
    crowded = Crowded(table, limits, CONFLICTS[conflict], times)
    reserved = crowded.ledger.change(seeded(table), limit=LIMIT, **RESERVED)
    assert crowded.delays == BOUNDS[:times]
    assert crowded.wire.sent == ["TransactWriteItems"] * (times + 1)
    assert crowded.ledger.get(reserved.job_id) == reserved
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=PRICE)


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_who_meets_others_too_often_gives_up_and_has_written_nothing(
    submit: Ledger, table: str, limits: str, conflict: str
) -> None:
    row = seeded(table)
    crowded = Crowded(table, limits, CONFLICTS[conflict], adapter._TRANSACTIONS)
    with pytest.raises(BudgetBusy, match=f"job {row.job_id}: too many jobs change the budget of {MONTH}"):
        crowded.ledger.change(row, limit=LIMIT, **RESERVED)
    assert crowded.wire.sent == ["TransactWriteItems"] * 8
    assert crowded.delays[: len(BOUNDS)] == BOUNDS
    assert (submit.get(row.job_id), rows(limits)) == (row, [])


@pytest.mark.parametrize(
    "fault",
    [
        cancelled("None", "ValidationError"),
        cancelled("None", "ThrottlingError"),
        cancelled("ProvisionedThroughputExceeded", "None"),
        {"__type": f"{_CODE}ResourceNotFoundException"},
    ],
    ids=str,
)
def test_another_fault_is_itself(table: str, limits: str, fault: dict[str, Any]) -> None:
    crowded = Crowded(table, limits, fault, 1)
    with pytest.raises(ClientError, match=fault["__type"].removeprefix(_CODE)):
        crowded.ledger.change(seeded(table), limit=LIMIT, **RESERVED)
    assert (crowded.wire.sent, crowded.delays) == (["TransactWriteItems"], [])


def test_a_transaction_whose_answer_was_lost_counts_once(table: str, limits: str, budgets: Budgets) -> None:
    """It comes again and finds its own work done; a limit that has no room for it twice is none of its business."""
    submit = held_by(Actor.SUBMIT, table, limits, Repeating())
    reserved = submit.change(seeded(table), limit=PRICE, **RESERVED)
    assert submit.get(reserved.job_id) == reserved
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=PRICE)


def test_one_that_met_itself_counts_once(submit: Ledger, table: str, limits: str, budgets: Budgets) -> None:
    """The first was written after all, and its answer said that it was still in progress."""
    row = seeded(table)

    def meddle(_: str) -> dict[str, Any] | None:
        if len(wire.sent) > 1:
            return None
        submit.change(row, limit=PRICE, **RESERVED)
        return CONFLICTS["the same transaction"]

    wire = Wire(meddle)
    budgets_of = Budgets(wire.client, limits)
    ledger = Ledger(wire.client, table, 400, Actor.SUBMIT, budgets_of, lambda _: None)
    reserved = ledger.change(row, limit=PRICE, **RESERVED)
    assert wire.sent == ["TransactWriteItems"] * 2
    assert submit.get(row.job_id) == reserved
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=PRICE)


def test_a_bill_that_two_have_seen_is_counted_once(
    submit: Ledger, finalize: Ledger, table: str, budgets: Budgets
) -> None:
    """Lambda may run an asynchronous call twice, and both may have read the row before either writes."""
    share = Share(month=MONTH, spent=PRICE)
    reserved = submit.change(seeded(table), limit=PRICE, **RESERVED)
    waiting = submit.change(reserved, state=State.WAITING, task_id="tsk_1")
    seen = finalize.change(waiting, state=State.ENDED, share=share, ended_at=1000)
    bill = {"billed": 500, "share": Share(month=MONTH, spent=500), "next_check": None}
    first = finalize.change(seen, **bill)
    assert finalize.change(seen, **bill) == first
    with pytest.raises(JobBusy):
        finalize.change(seen, **{**bill, "share": Share(month=MONTH, spent=400)})
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=500, spent=500)


@pytest.mark.parametrize("limit", [LIMIT, PRICE - 1], ids=["there is room", "there is none"])
@pytest.mark.parametrize("touched", [{"owner": "other"}, {"state": State.DECIDED}], ids=str)
def test_a_job_that_another_has_changed_takes_nothing(
    submit: Ledger, table: str, limits: str, touched: dict[str, Any], limit: int
) -> None:
    seen = seeded(table)
    changed = submit.change(seen, **touched)
    with pytest.raises(JobBusy, match="another invocation has changed it meanwhile"):
        submit.change(seen, limit=limit, **RESERVED)
    assert (submit.get(seen.job_id), rows(limits)) == (changed, [])


def test_of_many_who_settle_one_job_one_does(submit: Ledger, finalize: Ledger, table: str, budgets: Budgets) -> None:
    waiting = submit.change(held(submit, table, PRICE), state=State.WAITING, task_id="tsk_1")

    def end(amount: int) -> Callable[[], Job]:
        return lambda: finalize.change(waiting, state=State.ENDED, share=Share(month=MONTH, spent=amount))

    done = at_once([end(amount) for amount in range(1, 21)])
    (ended,) = [job for job in done if isinstance(job, Job)]
    assert ended.share
    assert (finalize.get(waiting.job_id), sum(isinstance(problem, JobBusy) for problem in done)) == (ended, 19)
    assert budgets.read(MONTH) == Budget(month=MONTH, committed=ended.share.spent, spent=ended.share.spent)
