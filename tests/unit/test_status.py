"""One look at a task; a failing look ends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bucketbrush.adapters.toapis import TaskState
from bucketbrush.domain.errors import ApiKeyMissing, TaskUnreadable
from bucketbrush.domain.jobs import Job, State
from tests.unit.fakes import task

if TYPE_CHECKING:
    from tests.unit.fakes import World

WAITING = Job(job_id="cat-1", state=State.WAITING, created_at=1, task_id="tsk_1", provider_status="queued", progress=5)


@pytest.mark.parametrize("state", TaskState)
def test_what_was_seen_is_noted(world: World, state: TaskState) -> None:
    world.ledger.create(WAITING)
    world.api.task = task(state)
    assert world.status("cat-1", "tsk_1", 3) is state
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (3, world.api.task.status, 50)
    assert row.state is State.WAITING


@pytest.mark.parametrize("problem", [TaskUnreadable("status: HTTP 500."), ApiKeyMissing("secret: none.")])
def test_a_failing_look_is_waiting(world: World, problem: Exception) -> None:
    world.ledger.create(WAITING)
    world.api.task = problem
    if isinstance(problem, ApiKeyMissing):
        world.no_key = problem
    assert world.status("cat-1", "tsk_1", 4) is TaskState.WAITING
    row = world.ledger.rows["cat-1"]
    assert (row.polls, row.provider_status, row.progress) == (4, "queued", 5)


def test_a_fault_of_ours_is_not_hidden(world: World) -> None:
    world.api.task = RuntimeError("a mistake")
    with pytest.raises(RuntimeError):
        world.status("cat-1", "tsk_1", 1)
