"""Whoever stops working on a job, it ends all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.answers import Bill, TaskState
from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.errors import Money, SweepIncomplete
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.money import Budget
from tests.unit.fakes import DEADLINE_SECONDS, PNG, SWEEP_AFTER_SECONDS, SWEEP_SETTINGS, emitted, task

if TYPE_CHECKING:
    import io

    from tests.unit.fakes import World

NOW = 1000
SOURCE = ObjectVersion(bucket="inbox-bucket", key="inbox/cat.png", version_id="0", size=9)
ENDS = ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"]
OPEN = [state for state in State if state is not State.ENDED]


def stands(world: World, execution: Any = None, job_id: str = "cat-1", **changes: Any) -> Job:
    """A job that is due, and how its execution stands."""
    facts: dict[str, Any] = {"state": State.WAITING, "created_at": NOW, "task_id": "tsk_1", "next_check": NOW}
    job = Job(job_id=job_id, **{**facts, **changes})
    world.ledger.put(job)
    world.executions.statuses[job_id] = execution
    return job


def check_of(world: World, job_id: str = "cat-1") -> int | None:
    return world.ledger.rows[job_id].next_check


def gauges(
    capsys: pytest.CaptureFixture[str], names: tuple[str, ...] = ("JobsOverdue", "JobsUnstored")
) -> dict[str, list[float]]:
    """The values of each gauge."""
    out = capsys.readouterr().out
    return {name: [line[name][0] for line in emitted(out, name)] for name in names}


def test_a_running_job_is_left_alone_ever_longer(world: World) -> None:
    stands(world, "RUNNING")
    waits = []
    for _ in range(5):
        world.time = float(check_of(world) or 0)
        world.sweep(world.invocation())
        waits.append(int((check_of(world) or 0) - world.time))
    assert waits == [900, 900, 1800, 3600, 3600]
    assert (world.executions.started, world.finalizer.started) == ([], [])


def test_pictures_at_stake_are_looked_after_at_the_same_pace(world: World) -> None:
    stands(world, "RUNNING", state=State.UNSTORED, made_at=NOW)
    for _ in range(5):
        world.time = float(check_of(world) or 0)
        world.sweep(world.invocation())
        assert check_of(world) == world.time + SWEEP_AFTER_SECONDS


def test_only_jobs_whose_time_has_come_are_asked_for_the_oldest_first(world: World) -> None:
    for job_id, next_check in {"new": NOW + 1, "younger": NOW, "older": NOW - 1, "ended": None}.items():
        stands(world, "RUNNING", job_id, next_check=next_check)
    world.sweep(world.invocation())
    assert world.executions.asked == ["older", "younger"]
    assert check_of(world, "new") == NOW + 1


@pytest.mark.parametrize("state", OPEN)
def test_a_drop_whose_execution_was_never_started_gets_it(world: World, state: State) -> None:
    stands(world, None, state=state, source=SOURCE)
    world.sweep(world.invocation())
    assert (world.executions.started, world.finalizer.started) == (["cat-1"], [])
    assert check_of(world) == NOW + SWEEP_AFTER_SECONDS


@pytest.mark.parametrize("state", OPEN)
def test_without_a_file_there_is_nothing_to_start(world: World, state: State) -> None:
    stands(world, None, state=state)
    world.sweep(world.invocation())
    assert (world.executions.started, world.finalizer.started) == ([], [("cat-1", "no execution")])


@pytest.mark.parametrize("source", [None, SOURCE])
@pytest.mark.parametrize("status", ENDS)
def test_a_job_whose_execution_has_ended_is_ended_for_that_reason(
    world: World, status: str, source: ObjectVersion | None
) -> None:
    stands(world, status, source=source)
    world.sweep(world.invocation())
    assert (world.executions.started, world.finalizer.started) == ([], [("cat-1", status)])
    assert check_of(world) == NOW + SWEEP_AFTER_SECONDS


def test_what_did_not_help_is_done_again_later(world: World) -> None:
    stands(world, "FAILED")
    for _ in range(3):
        world.sweep(world.invocation())
        world.sweep(world.invocation())  # its time has not come
        world.time += SWEEP_AFTER_SECONDS
    assert world.finalizer.started == [("cat-1", "FAILED")] * 3


@pytest.mark.parametrize(("source", "status"), [(SOURCE, None), (None, "FAILED")])
def test_of_two_sweeps_one_acts(world: World, source: ObjectVersion | None, status: str | None) -> None:
    stands(world, status, source=source)

    def another() -> None:
        world.executions.during_status = lambda: None
        world.sweep(world.invocation())

    world.executions.during_status = another
    world.sweep(world.invocation())
    assert len(world.executions.started) + len(world.finalizer.started) == 1


def test_a_job_that_ends_meanwhile_is_left_alone(world: World) -> None:
    stands(world, "SUCCEEDED")

    def ended() -> None:
        row = world.ledger.rows["cat-1"]
        world.ledger.rows["cat-1"] = row.model_copy(update={"state": State.ENDED, "next_check": None})

    world.executions.during_status = ended
    world.sweep(world.invocation())
    assert (world.finalizer.started, check_of(world)) == ([], None)


@pytest.mark.parametrize("changes", [None, {"next_check": None, "state": State.ENDED}, {"next_check": NOW + 1}])
def test_what_happens_to_a_job_before_its_turn_is_seen(world: World, changes: dict[str, Any] | None) -> None:
    stands(world, "RUNNING", "a")
    job = stands(world, "FAILED", "b")

    def before_its_turn() -> None:
        del world.ledger.rows["b"]
        if changes:
            world.ledger.put(job.model_copy(update=changes))

    world.executions.during_status = before_its_turn
    world.sweep(world.invocation())
    assert (world.executions.asked, world.finalizer.started) == (["a"], [])


def test_one_job_does_not_keep_the_others_waiting(
    world: World, capsys: pytest.CaptureFixture[str], logs: io.StringIO
) -> None:
    stands(world, RuntimeError("throttled"), "a")
    stands(world, "FAILED", "b")
    stands(world, OSError("down"), "c", state=State.UNSTORED, made_at=NOW)
    stands(world, "RUNNING", "d")
    with pytest.raises(SweepIncomplete, match=r"could not look after 2 of the open jobs .*RuntimeError"):
        world.sweep(world.invocation())
    assert world.finalizer.started == [("b", "FAILED")]
    assert check_of(world, "d") == NOW + SWEEP_AFTER_SECONDS
    assert (check_of(world, "a"), check_of(world, "c")) == (NOW, NOW)  # the next sweep looks after them
    assert gauges(capsys) == {"JobsOverdue": [3], "JobsUnstored": [1]}  # what it cannot look at stands badly too
    assert [word for word in ("RuntimeError", "OSError") if word not in logs.getvalue()] == []


def test_a_sweep_that_finds_nothing_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.sweep(world.invocation())
    assert gauges(capsys) == {"JobsOverdue": [0], "JobsUnstored": [0]}


def test_a_sweep_counts_what_stands_badly(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    stands(world, "RUNNING", "a")
    stands(world, "RUNNING", "b", state=State.UNSTORED)
    stands(world, "FAILED", "c", state=State.UNSTORED)
    stands(world, None, "d", source=SOURCE)
    world.sweep(world.invocation())
    assert gauges(capsys) == {"JobsOverdue": [2], "JobsUnstored": [2]}


def test_a_sweep_says_how_far_it_is_behind_and_how_old_the_oldest_pictures_are(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ages = ("OldestOverdueSeconds", "OldestUnstoredSeconds")
    world.sweep(world.invocation())
    assert gauges(capsys, ages) == {name: [0] for name in ages}
    stands(world, "RUNNING", "a", next_check=NOW - 70)
    stands(world, RuntimeError("throttled"), "b", next_check=NOW - 500)
    stands(world, "RUNNING", "c", state=State.UNSTORED, made_at=NOW - 3000)
    stands(world, "RUNNING", "d", state=State.UNSTORED, made_at=NOW - 80_000)
    with pytest.raises(SweepIncomplete):
        world.sweep(world.invocation())
    assert gauges(capsys, ages) == {"OldestOverdueSeconds": [500], "OldestUnstoredSeconds": [80_000]}


def test_a_sweep_says_how_many_jobs_wait_for_their_departure(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for ahead in (0, 3):
        for _ in range(ahead + 1):  # the first leaves at once
            world.departures.take(NOW * 1000, (NOW + 60) * 1000)
        world.sweep(world.invocation())
        world.departures.schedule = Schedule()
    assert gauges(capsys, ("DeparturesWaiting",)) == {"DeparturesWaiting": [0, 3]}


# ---- Money -----------------------------------------------------------------------------------------------------------


def awaits_its_bill(world: World, job_id: str = "cat-1", **changes: Any) -> Job:
    """A paid job that has ended, whatever became of its execution."""
    facts: dict[str, Any] = {"state": State.ENDED, "submitted_at": NOW, "made_at": NOW, "ended_at": NOW}
    return stands(world, RuntimeError("asked for"), job_id, **{**facts, **changes})


def test_the_bill_of_a_job_that_has_ended_is_looked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    job = awaits_its_bill(world)
    world.sweep(world.invocation())
    assert (world.finalizer.bills, world.finalizer.started) == (["cat-1"], [])
    assert (world.executions.asked, world.executions.started) == ([], [])
    assert world.ledger.rows["cat-1"] == job.model_copy(update={"next_check": NOW + SWEEP_AFTER_SECONDS})
    assert gauges(capsys) == {"JobsOverdue": [0], "JobsUnstored": [0]}


def test_a_bill_that_does_not_come_is_looked_for_ever_more_rarely(world: World) -> None:
    awaits_its_bill(world)
    waits = []
    for _ in range(5):
        world.time = float(check_of(world) or 0)
        world.sweep(world.invocation())
        world.sweep(world.invocation())  # its time has not come
        waits.append(int((check_of(world) or 0) - world.time))
    assert waits == [900, 900, 1800, 3600, 3600]
    assert world.finalizer.bills == ["cat-1"] * 5


def test_of_two_sweeps_one_looks_for_the_bill(world: World) -> None:
    stands(world, "RUNNING", "a", next_check=NOW - 1)
    awaits_its_bill(world, "b")

    def another() -> None:
        world.executions.during_status = lambda: None
        world.sweep(world.invocation())

    world.executions.during_status = another
    world.sweep(world.invocation())
    assert world.finalizer.bills == ["b"]


def test_a_bill_that_came_is_looked_for_no_more(world: World) -> None:
    awaits_its_bill(world)
    world.sweep(world.invocation())
    world.api.task = task(TaskState.DONE, bill=Bill("settled", 30_000))
    world.look_for_bill(*world.finalizer.bills)
    world.time += 10 * SWEEP_AFTER_SECONDS
    world.sweep(world.invocation())
    assert (world.finalizer.bills, check_of(world)) == (["cat-1"], None)
    assert world.ledger.rows["cat-1"].billed == 30_000


def test_the_end_of_its_execution_asks_for_no_bill(world: World) -> None:
    job = awaits_its_bill(world)
    world.sweep.execution_ended("cat-1")
    assert (world.ledger.rows["cat-1"], world.finalizer.bills, world.finalizer.started) == (job, [], [])


def used(world: World, capsys: pytest.CaptureFixture[str], usd: str) -> list[float]:
    """What a sweep says of a budget of so much: each value of the gauge."""
    world.sweep_settings = SWEEP_SETTINGS.model_copy(update={"monthly_budget_usd": Decimal(usd)})
    world.sweep(world.invocation())
    return [line["BudgetUsedPercent"][0] for line in emitted(capsys.readouterr().out, "BudgetUsedPercent")]


@pytest.mark.parametrize(
    ("committed", "percent"), [(None, 0), (0, 0), (399_999, 79), (400_000, 80), (500_000, 100), (600_000, 120)]
)
def test_a_sweep_says_how_much_of_the_months_budget_is_spent_and_reserved(
    world: World, committed: int | None, percent: int, capsys: pytest.CaptureFixture[str]
) -> None:
    world.ledger.budgets.months["1970-02"] = Budget(month="1970-02", committed=450_000)
    if committed is not None:
        world.ledger.budgets.months["1970-01"] = Budget(month="1970-01", committed=committed, spent=committed // 2)
    assert used(world, capsys, "0.5") == [percent]
    world.time = 31 * 86_400
    assert used(world, capsys, "0.5") == [90]


def test_without_a_budget_a_sweep_says_nothing_of_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.ledger.budgets.months["1970-01"] = Budget(month="1970-01", committed=450_000)
    assert used(world, capsys, "0") == []


def test_a_sweep_that_could_not_look_after_a_job_speaks_of_the_budget_too(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    stands(world, RuntimeError("throttled"))
    world.sweep_settings = SWEEP_SETTINGS.model_copy(update={"monthly_budget_usd": Decimal(1)})
    with pytest.raises(SweepIncomplete):
        world.sweep(world.invocation())
    assert len(emitted(capsys.readouterr().out, "BudgetUsedPercent")) == 1


# ---- An execution's end ----------------------------------------------------------------------------------------------


def test_the_end_of_an_execution_whose_job_has_ended_changes_nothing(world: World) -> None:
    job = stands(world, "FAILED", state=State.ENDED, next_check=None)
    world.sweep.execution_ended("cat-1")
    assert (world.ledger.rows["cat-1"], world.finalizer.started, world.executions.asked) == (job, [], [])


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
@pytest.mark.parametrize("state", OPEN)
def test_the_end_of_an_open_jobs_execution_ends_the_job_before_its_time(
    world: World, state: State, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stands(world, status, state=state, next_check=NOW + 500)
    world.sweep.execution_ended("cat-1")
    assert world.finalizer.started == [("cat-1", status)]
    assert check_of(world) == NOW + SWEEP_AFTER_SECONDS
    assert gauges(capsys) == {"JobsOverdue": [], "JobsUnstored": []}  # the sweep's alone


def test_the_end_of_an_execution_that_was_redriven_since_is_no_end(world: World) -> None:
    stands(world, "RUNNING")
    world.sweep.execution_ended("cat-1")
    assert world.finalizer.started == []


def test_an_unknown_execution_that_was_redriven_since_goes_on(world: World) -> None:
    world.executions.statuses["direct-1"] = "RUNNING"
    world.sweep.execution_ended("direct-1")
    assert world.finalizer.started == []


def test_the_end_of_an_unknown_execution_is_told_as_a_job(world: World) -> None:
    world.executions.statuses["direct-1"] = "TIMED_OUT"
    world.sweep.execution_ended("direct-1")
    assert (world.finalizer.started, world.ledger.rows) == ([("direct-1", "TIMED_OUT")], {})
    told = world.finalize(*world.finalizer.started[0], world.invocation(900))
    assert (told.outcome, told.money) == (Outcome.REJECTED, Money.NOT_MOVED)


def test_a_fault_of_an_executions_end_is_not_hidden(world: World) -> None:
    stands(world, RuntimeError("throttled"))
    with pytest.raises(RuntimeError):
        world.sweep.execution_ended("cat-1")


# ---- Sweep and finalize together -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "outcome", "is_paid"),
    [
        (State.ACCEPTED, Outcome.CANCELLED, False),
        (State.SUBMITTING, Outcome.CANCELLED, False),
        (State.WAITING, Outcome.CANCELLED, True),
        (State.UNSTORED, Outcome.CANCELLED, True),
        (State.DECIDED, Outcome.FAILED, False),
    ],
)
def test_a_stopped_execution_ends_its_job_wherever_it_stood(
    world: World, state: State, outcome: Outcome, is_paid: bool
) -> None:
    verdict = Verdict(outcome=Outcome.FAILED, money=Money.NOT_MOVED, message="m")
    known = {} if state.before_task or state is State.DECIDED else {"task_id": "tsk_1", "submitted_at": NOW}
    facts: dict[str, Any] = {"task_id": None, "verdict": verdict if state is State.DECIDED else None, **known}
    stands(world, "ABORTED", state=state, submitting_at=NOW, **facts)
    world.api.pictures = {"https://files/1": PNG}
    world.api.task = task(TaskState.DONE, "https://files/1")
    world.sweep.execution_ended("cat-1")
    told = world.finalize(*world.finalizer.started[0], world.invocation(900))
    assert told.outcome is outcome
    awaited = NOW + SWEEP_AFTER_SECONDS if is_paid else None  # only the bill of what is paid
    assert (world.ledger.rows["cat-1"].state, check_of(world)) == (State.ENDED, awaited)


def test_a_running_execution_is_not_believed_for_ever(world: World) -> None:
    """Its looks fail in a way that nobody foresaw: a made picture must not wait for the execution's own end."""
    stands(world, "RUNNING", submitted_at=NOW)
    world.time = NOW + DEADLINE_SECONDS + 3 * 3600
    world.sweep(world.invocation())
    assert world.finalizer.started == [("cat-1", "RUNNING")]


def test_a_row_without_a_check_is_looked_after_when_its_execution_ends(world: World) -> None:
    stands(world, "FAILED", next_check=None)
    world.sweep.execution_ended("cat-1")
    assert world.finalizer.started == [("cat-1", "FAILED")]
    assert check_of(world) == NOW + SWEEP_AFTER_SECONDS


def test_a_sweep_ends_before_its_invocation_does(world: World) -> None:
    for name in ("a", "b"):
        stands(world, "FAILED", name)
    world.sweep(world.invocation(seconds=10))
    assert world.finalizer.started == []
