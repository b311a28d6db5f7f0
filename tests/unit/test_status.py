"""One look at a task; a failing look ends nothing, and time ends what nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.answers import TaskState
from bucketbrush.domain.errors import (
    AccountEmpty,
    AnnouncementFailed,
    ApiKeyMissing,
    KeyRefused,
    ProviderRefused,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.status import Look, Seen
from tests.unit.fakes import DEADLINE_SECONDS, STATUS_SETTINGS, emitted, provider_errors, task

if TYPE_CHECKING:
    from tests.unit.fakes import World

ACCEPTED_AT = 990
LATE_SECONDS = STATUS_SETTINGS.late_seconds
WAITING = Job(
    job_id="cat-1",
    state=State.WAITING,
    created_at=1,
    submitted_at=ACCEPTED_AT,
    preset="poster",
    task_id="tsk_1",
    provider_status="queued",
    progress=5,
)
PROBLEMS = [TaskUnreadable("status: HTTP 500."), ApiKeyMissing("secret: none.")]


def look(world: World, answer: Any, *, age: int = 10, polls: int = 3, **changes: Any) -> Look:
    """One look at a job's task, ``age`` seconds after the task was accepted."""
    world.ledger.put(WAITING.model_copy(update=changes))
    world.time = ACCEPTED_AT + age
    world.api.task = answer
    if isinstance(answer, ApiKeyMissing):
        world.no_key = answer
    return world.status("cat-1", "tsk_1", polls)


@pytest.mark.parametrize(
    ("state", "seen"),
    [(TaskState.WAITING, Seen.WAITING), (TaskState.DONE, Seen.ENDED), (TaskState.FAILED, Seen.ENDED)],
)
def test_what_was_seen_is_noted(world: World, state: TaskState, seen: Seen) -> None:
    assert look(world, task(state)).seen is seen
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (3, world.api.task.status, 50)
    assert row.state is State.WAITING


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_failing_look_is_as_if_there_had_been_none(world: World, problem: Exception) -> None:
    assert look(world, problem, polls=4).seen is Seen.UNREAD
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (4, "queued", 5)
    assert (row.looked_at, row.seen_at) == (None, None)


@pytest.mark.parametrize(
    ("answer", "looked_at", "seen_at"),
    [
        (TaskState.WAITING, ACCEPTED_AT + 10, None),
        (TaskState.DONE, 5, ACCEPTED_AT + 10),
        (TaskState.FAILED, 5, None),  # it may not be true
    ],
)
def test_when_it_was_seen_is_noted(world: World, answer: TaskState, looked_at: int | None, seen_at: int | None) -> None:
    look(world, task(answer), looked_at=5)
    row = world.ledger.rows["cat-1"]
    assert (row.looked_at, row.seen_at) == (looked_at, seen_at)


@pytest.mark.parametrize(
    ("age", "most"), [(0, DEADLINE_SECONDS), (10, DEADLINE_SECONDS - 10), (DEADLINE_SECONDS - 1, 1)]
)
def test_the_next_look_is_at_the_deadline_at_the_latest(world: World, age: int, most: int) -> None:
    assert look(world, task(TaskState.WAITING), age=age, late_at=1)[1:] == (0, most)


@pytest.mark.parametrize(
    ("age", "looked_at", "seconds"),
    [
        pytest.param(7, None, 2, id="at least two seconds"),
        pytest.param(400, ACCEPTED_AT + 360, 10, id="a quarter of the time since it was read"),
        pytest.param(400, None, 100, id="it was never read"),
        pytest.param(DEADLINE_SECONDS - 3, None, 3, id="but not behind the deadline"),
        pytest.param(400, ACCEPTED_AT + 9_000, 100, id="a clock that was ahead"),
    ],
)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_looks_that_fail_back_off(
    world: World, problem: Exception, age: int, looked_at: int | None, seconds: int
) -> None:
    found = look(world, problem, age=age, looked_at=looked_at, late_at=1)
    assert found == Look(Seen.UNREAD, seconds, seconds)


@pytest.mark.parametrize(("retry_after", "seconds"), [(1, 2), (77, 77), (3_590, 3_590), (None, 2)])
def test_the_provider_is_left_alone_as_long_as_it_asks(world: World, retry_after: int | None, seconds: int) -> None:
    problem = TaskUnreadable("status: HTTP 429.", None, retry_after)
    assert look(world, problem, age=10, late_at=1) == Look(Seen.UNREAD, seconds, seconds)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 100), (0.5, 112), (1.0, 125)])
def test_those_that_are_told_the_same_second_come_one_after_the_other(
    world: World, chance: float, seconds: int
) -> None:
    world.chance = chance
    problem = TaskUnreadable("status: HTTP 429.", None, 100)
    assert look(world, problem, age=10, late_at=1) == Look(Seen.UNREAD, seconds, seconds)


@pytest.mark.parametrize(("late_at", "most"), [(None, 30), (1, DEADLINE_SECONDS - LATE_SECONDS + 30)])
def test_somebody_looks_when_a_job_becomes_late(world: World, late_at: int | None, most: int) -> None:
    assert look(world, task(TaskState.WAITING), age=LATE_SECONDS - 30, late_at=late_at).most == most


def test_a_job_that_has_become_late_is_waited_for_as_long_as_the_others(world: World) -> None:
    assert look(world, task(TaskState.WAITING), age=LATE_SECONDS).most == DEADLINE_SECONDS - LATE_SECONDS


def test_no_provider_puts_the_last_look_off(world: World) -> None:
    problem = TaskUnreadable("status: HTTP 429.", None, 3_600)
    assert look(world, problem, age=DEADLINE_SECONDS - 70, late_at=1) == Look(Seen.UNREAD, 70, 70)


@pytest.mark.parametrize(
    ("refused_as", "error"),
    [
        (KeyRefused, "KeyRefused"),
        (AccountEmpty, "AccountEmpty"),
        (ProviderRefused, "ProviderRefused"),
        (None, "TaskUnreadable"),
    ],
)
def test_a_refused_look_is_counted_for_the_operator(
    world: World, refused_as: type[ProviderRefused] | None, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(world, TaskUnreadable("status: HTTP 401.", refused_as)).seen is Seen.UNREAD
    assert provider_errors(capsys.readouterr().out) == [error]


@pytest.mark.parametrize("answer", [task(TaskState.WAITING), *PROBLEMS])
@pytest.mark.parametrize(
    ("age", "is_over"), [(DEADLINE_SECONDS - 1, False), (DEADLINE_SECONDS, True), (10 * DEADLINE_SECONDS, True)]
)
def test_a_task_is_overdue_whatever_the_look_says(world: World, answer: Any, age: int, is_over: bool) -> None:
    assert (look(world, answer, age=age, late_at=1).seen is Seen.OVERDUE) is is_over


@pytest.mark.parametrize("state", [TaskState.DONE, TaskState.FAILED])
def test_what_has_ended_is_neither_overdue_nor_late(world: World, state: TaskState) -> None:
    assert look(world, task(state), age=10 * DEADLINE_SECONDS).seen is Seen.ENDED
    assert world.bus.late == []


@pytest.mark.parametrize("answer", [task(TaskState.WAITING), *PROBLEMS])
@pytest.mark.parametrize("state", [State.UNSTORED, State.ENDED])
def test_a_job_that_waits_no_more_has_ended(world: World, state: State, answer: Any) -> None:
    assert look(world, answer, age=DEADLINE_SECONDS, state=state).seen is Seen.ENDED
    assert world.ledger.rows["cat-1"].polls == 0
    assert world.bus.late == []


def test_a_job_that_is_gone_has_ended(world: World) -> None:
    world.api.task = task(TaskState.WAITING)
    assert world.status("cat-1", "tsk_1", 1).seen is Seen.ENDED
    assert world.ledger.rows == {}


def test_a_late_job_is_told_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(world, task(TaskState.WAITING), age=LATE_SECONDS - 1).seen is Seen.WAITING
    assert world.bus.late == []
    for more in range(3):
        assert look(world, task(TaskState.WAITING), age=LATE_SECONDS + more).seen is Seen.WAITING
    (notice,) = world.bus.late
    assert (notice.job_id, notice.task_id, notice.preset, notice.submitted_at) == (
        "cat-1",
        "tsk_1",
        "poster",
        ACCEPTED_AT,
    )
    assert "600 s (LateSeconds)" in notice.message
    assert world.ledger.rows["cat-1"].late_at == ACCEPTED_AT + LATE_SECONDS
    assert len(emitted(capsys.readouterr().out, "JobsLate")) == 1


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_job_is_late_even_when_nobody_can_look(world: World, problem: Exception) -> None:
    assert look(world, problem, age=LATE_SECONDS).seen is Seen.UNREAD
    assert len(world.bus.late) == 1


def test_a_job_whose_time_is_over_is_not_late_any_more(world: World) -> None:
    assert look(world, task(TaskState.WAITING), age=DEADLINE_SECONDS).seen is Seen.OVERDUE
    assert world.bus.late == []


def test_what_could_not_be_told_is_told_at_the_next_look(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.bus.problem = AnnouncementFailed("event bus: ThrottlingException.")
    with pytest.raises(AnnouncementFailed):
        look(world, task(TaskState.WAITING), age=LATE_SECONDS)
    assert (world.ledger.rows["cat-1"].late_at, emitted(capsys.readouterr().out, "JobsLate")) == (None, [])
    world.bus.problem = None
    look(world, task(TaskState.WAITING), age=LATE_SECONDS + 1)
    assert len(world.bus.late) == 1


def test_a_fault_of_ours_is_not_hidden(world: World) -> None:
    with pytest.raises(RuntimeError):
        look(world, RuntimeError("a mistake"))
