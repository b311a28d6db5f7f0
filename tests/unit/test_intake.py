"""A drop gets its job and its execution; litter gets neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bucketbrush.domain.errors import JobBusy, ProviderBusy
from bucketbrush.domain.jobs import State
from tests.unit.fakes import PNG

if TYPE_CHECKING:
    from tests.unit.fakes import World


@pytest.mark.parametrize("key", ["inbox/cat.png", "inbox/a b+c%20/猫 é.JPEG", "inbox/notes.txt"])
def test_a_drop_starts_the_execution_of_its_job(world: World, key: str) -> None:
    world.preset("a b+c%20")
    drop = world.drop(key)
    world.intake(drop, world.invocation())
    assert world.executions.started == [world.row(drop).job_id]
    assert world.row(drop).state is (State.DECIDED if key.endswith("txt") else State.WAITING)


def test_five_deliveries_make_one_task_and_one_name(world: World) -> None:
    drop = world.drop()
    for _ in range(5):
        world.intake(drop, world.invocation())
    assert len(world.api.bodies) == 1
    assert set(world.executions.started) == {world.row(drop).job_id}


def test_an_overwritten_file_is_another_job(world: World) -> None:
    for _ in range(2):
        world.intake(world.drop(), world.invocation())
    assert len(world.api.bodies) == len(set(world.executions.started)) == 2


def test_what_must_wait_waits_in_its_execution(world: World) -> None:
    world.api.submits = [ProviderBusy("429", 7)]
    drop = world.drop()
    world.intake(drop, world.invocation())
    assert world.executions.started == [world.row(drop).job_id]


def test_a_busy_job_is_delivered_again(world: World) -> None:
    drop = world.drop()

    def delivered_again() -> None:
        with pytest.raises(JobBusy):
            world.intake(drop, world.invocation())

    world.api.during_submit = delivered_again
    world.intake(drop, world.invocation())
    assert len(world.executions.started) == len(world.api.bodies) == 1


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("inbox/poster/", b""),
        ("inbox/.DS_Store", b"x"),
        ("inbox/Thumbs.db", b"x"),
        ("results/cat-1/1.png", PNG),  # were both buckets one, this would be an endless and paid loop
        ("presets/default.json", b"{}"),
        ("references/style.png", PNG),
        ("inboxes/cat.png", PNG),
    ],
)
def test_litter_is_counted_and_leaves_no_trace(
    world: World, key: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    world.intake(world.drop(key, content), world.invocation())
    assert (world.ledger.rows, world.executions.started, world.api.bodies) == ({}, [], [])
    assert capsys.readouterr().out.count('"DropsIgnored"') > 0
