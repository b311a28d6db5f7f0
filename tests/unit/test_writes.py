"""How often a job writes its row and the index of open jobs: docs/scale.md counts with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.answers import Bill, TaskState
from bucketbrush.domain.life import State
from bucketbrush.submit import Order
from tests.bench.page import LOOKS
from tests.bench.quotas import AWS, CLOSED, CREATED, MOVED, ROW, Name
from tests.unit.fakes import PNG, FakeLedger, task

if TYPE_CHECKING:
    from bucketbrush.domain.jobs import Job
    from tests.unit.fakes import World

_TEXT = {"model": "gpt-image-2-vip", "prompt": "a boat"}


@pytest.fixture
def written(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What ``next_check`` was after each write, of which each takes a second."""
    checks: list[int | None] = []
    create, change = FakeLedger.create, FakeLedger.change

    def note(job: Job) -> None:
        world.time += 1
        checks.append(job.next_check)

    def created(ledger: FakeLedger, job: Job) -> Job | None:
        found = create(ledger, job)
        if found is None:
            note(job)
        return found

    def changed(ledger: FakeLedger, job: Job, **changes: Any) -> Job:
        job = change(ledger, job, **changes)
        note(job)
        return job

    monkeypatch.setattr(FakeLedger, "create", created)
    monkeypatch.setattr(FakeLedger, "change", changed)
    return checks


def end(world: World) -> None:
    """A job from its drop to its end, however often it waits; the API says at once what it billed."""
    while (job := world.submit(Order("boat", document=_TEXT), world.invocation())).state is State.ACCEPTED:
        world.time = float(job.hold_until or 0)
    world.api.pictures = {"https://files/1": PNG}
    world.api.task = task(TaskState.DONE, "https://files/1", bill=Bill("settled", 1_900))
    world.finalize("boat", None, world.invocation(900))


def index_units(checks: list[int | None]) -> int:
    """DynamoDB Developer Guide, "Using global secondary indexes": a new key is one write, another key two."""
    pairs = zip([None, *checks], checks, strict=False)
    return sum(
        0 if before == after else CREATED if before is None else CLOSED if after is None else MOVED
        for before, after in pairs
    )


def row_units(writes: int) -> float:
    return ROW * (writes + LOOKS)


def test_a_job_that_is_sent_at_once(world: World, written: list[int | None]) -> None:
    end(world)
    assert written[-1] is None
    assert (row_units(len(written)), index_units(written)) == (AWS[Name.JOBS].use.sent, AWS[Name.INDEX].use.sent)


def test_a_job_that_waits(world: World, written: list[int | None]) -> None:
    world.departures.schedule = world.departures.schedule.model_copy(update={"next_departure": 1_060_000})
    end(world)
    assert written[-1] is None
    uses = AWS[Name.JOBS].use.waiting, AWS[Name.INDEX].use.waiting
    assert (row_units(len(written)), index_units(written)) == pytest.approx(uses)
