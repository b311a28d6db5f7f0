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
from bucketbrush.status import Seen
from tests.unit.fakes import DEADLINE_SECONDS, STATUS_SETTINGS, emitted, task

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


def look(world: World, answer: Any, *, age: int = 10, polls: int = 3, **changes: Any) -> Seen:
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
    assert look(world, task(state)) is seen
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (3, world.api.task.status, 50)
    assert row.state is State.WAITING


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_failing_look_is_waiting(world: World, problem: Exception) -> None:
    assert look(world, problem, polls=4) is Seen.WAITING
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (4, "queued", 5)


@pytest.mark.parametrize(
    ("refused_as", "names"),
    [(KeyRefused, ["KeyRefused"]), (AccountEmpty, ["AccountEmpty"]), (ProviderRefused, []), (None, [])],
)
def test_a_refused_look_is_counted_for_the_operator(
    world: World, refused_as: type[ProviderRefused] | None, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(world, TaskUnreadable("status: HTTP 401.", refused_as)) is Seen.WAITING
    out = capsys.readouterr().out
    assert [name for name in ("KeyRefused", "AccountEmpty") if emitted(out, name)] == names


@pytest.mark.parametrize("answer", [task(TaskState.WAITING), *PROBLEMS])
@pytest.mark.parametrize(
    ("age", "seen"),
    [(DEADLINE_SECONDS - 1, Seen.WAITING), (DEADLINE_SECONDS, Seen.OVERDUE), (10 * DEADLINE_SECONDS, Seen.OVERDUE)],
)
def test_a_task_is_overdue_whatever_the_look_says(world: World, answer: Any, age: int, seen: Seen) -> None:
    assert look(world, answer, age=age, late_at=1) is seen


@pytest.mark.parametrize("state", [TaskState.DONE, TaskState.FAILED])
def test_what_has_ended_is_neither_overdue_nor_late(world: World, state: TaskState) -> None:
    assert look(world, task(state), age=10 * DEADLINE_SECONDS) is Seen.ENDED
    assert world.bus.late == []


@pytest.mark.parametrize("answer", [task(TaskState.WAITING), *PROBLEMS])
@pytest.mark.parametrize("state", [State.UNSTORED, State.ENDED])
def test_a_job_that_waits_no_more_has_ended(world: World, state: State, answer: Any) -> None:
    assert look(world, answer, age=DEADLINE_SECONDS, state=state) is Seen.ENDED
    assert world.ledger.rows["cat-1"].polls == 0
    assert world.bus.late == []


def test_a_job_that_is_gone_has_ended(world: World) -> None:
    world.api.task = task(TaskState.WAITING)
    assert world.status("cat-1", "tsk_1", 1) is Seen.ENDED
    assert world.ledger.rows == {}


def test_a_late_job_is_told_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(world, task(TaskState.WAITING), age=LATE_SECONDS - 1) is Seen.WAITING
    assert world.bus.late == []
    for more in range(3):
        assert look(world, task(TaskState.WAITING), age=LATE_SECONDS + more) is Seen.WAITING
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
    assert look(world, problem, age=LATE_SECONDS) is Seen.WAITING
    assert len(world.bus.late) == 1


def test_a_job_whose_time_is_over_is_not_late_any_more(world: World) -> None:
    assert look(world, task(TaskState.WAITING), age=DEADLINE_SECONDS) is Seen.OVERDUE
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
