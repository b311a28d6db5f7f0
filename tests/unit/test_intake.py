"""A drop gets its job and its execution; litter gets neither; a new attempt is deliberate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.errors import AgainRefused, JobBusy, Money, RateLimited
from bucketbrush.domain.jobs import Job, Outcome, Verdict
from bucketbrush.domain.life import State
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
        world.time += 1
    assert len(world.api.bodies) == len(set(world.executions.started)) == 2


def test_files_that_come_together_are_sent_one_after_the_other(world: World) -> None:
    for _ in range(2):
        world.intake(world.drop(), world.invocation())
    assert (len(world.api.bodies), len(set(world.executions.started))) == (1, 2)


def test_what_must_wait_waits_in_its_execution(world: World) -> None:
    world.api.submits = [RateLimited("429", 7)]
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
        ("presets/.default.json.swp", b"{}"),
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


# ---- Again -----------------------------------------------------------------------------------------------------------


def ended(world: World, outcome: Outcome, money: Money, **changes: Any) -> Job:
    """A dropped file's job that has ended."""
    verdict = Verdict(outcome=outcome, money=money, message="m")
    source = world.drop().source
    facts: dict[str, Any] = {"job_id": "cat-1", "state": State.ENDED, "created_at": 1, "source": source}
    job = Job(**{**facts, "verdict": verdict, **changes})
    world.ledger.put(job)
    return job


FREE = [Outcome.REJECTED, Outcome.FAILED, Outcome.EXPIRED, Outcome.CANCELLED]
PAID = [(outcome, Money.MOVED) for outcome in Outcome if outcome is not Outcome.UNKNOWN]
MAYBE = [(Outcome.UNKNOWN, Money.UNKNOWN), (Outcome.CANCELLED, Money.UNKNOWN)]


@pytest.mark.parametrize("attempt", [None, 2])
@pytest.mark.parametrize("outcome", FREE)
def test_what_was_not_paid_runs_again_freely(world: World, outcome: Outcome, attempt: int | None) -> None:
    first = ended(world, outcome, Money.NOT_MOVED)
    world.again("cat-1", attempt)
    second = world.ledger.rows["cat-1-2"]
    assert (second.state, second.again_of, second.attempt) == (State.WAITING, "cat-1", 2)
    assert second.source == first.source
    assert world.ledger.rows["cat-1"] == first
    assert world.executions.started == ["cat-1-2"]


@pytest.mark.parametrize(("outcome", "money"), [*PAID, *MAYBE])
def test_what_may_have_been_paid_runs_again_only_by_its_number(world: World, outcome: Outcome, money: Money) -> None:
    ended(world, outcome, money)
    for attempt, found in ((None, "found no attempt"), (3, "found attempt 3")):
        with pytest.raises(AgainRefused) as refused:
            world.again("cat-1", attempt)
        message = str(refused.value)
        words = [outcome.value, f"money {money.value}", found, 'allowed: "attempt": 2', "may pay again"]
        assert [word for word in words if word not in message] == []
    assert (world.api.bodies, world.executions.started) == ([], [])
    world.again("cat-1", 2)
    assert len(world.api.bodies) == 1


@pytest.mark.parametrize("attempt", [3, 99])
def test_a_number_that_does_not_follow_is_refused_even_when_nothing_was_paid(world: World, attempt: int) -> None:
    ended(world, Outcome.REJECTED, Money.NOT_MOVED)
    with pytest.raises(AgainRefused, match=f'found attempt {attempt}; allowed: "attempt": 2'):
        world.again("cat-1", attempt)
    assert world.api.bodies == []


@pytest.mark.parametrize(("money", "attempt"), [(Money.NOT_MOVED, None), (Money.MOVED, 2)])
def test_a_message_that_comes_twice_runs_it_once(world: World, money: Money, attempt: int | None) -> None:
    ended(world, Outcome.CANCELLED, money)
    for _ in range(3):
        world.again("cat-1", attempt)
    assert len(world.api.bodies) == 1
    assert set(world.ledger.rows) == {"cat-1", "cat-1-2"}
    assert set(world.executions.started) == {"cat-1-2"}


def test_an_attempt_at_an_attempt_has_the_next_number_of_the_first(world: World) -> None:
    ended(world, Outcome.LOST, Money.MOVED, job_id="cat-1-2", again_of="cat-1", attempt=2)
    with pytest.raises(AgainRefused, match='allowed: "attempt": 3'):
        world.again("cat-1-2", 2)
    world.again("cat-1-2", 3)
    third = world.ledger.rows["cat-1-3"]
    assert (third.again_of, third.attempt) == ("cat-1", 3)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (None, "job cat-1: found no such job."),
        ({"state": State.ACCEPTED, "verdict": None}, "found state accepted; allowed: a dropped file's job that has"),
        ({"state": State.SUBMITTING, "verdict": None}, "found state submitting"),
        ({"state": State.WAITING, "verdict": None}, "found state waiting"),
        ({"state": State.UNSTORED, "verdict": None}, "found state unstored"),
        ({"source": None}, "found a job without a file: ask for it anew under another id; allowed: a dropped file's"),
    ],
)
@pytest.mark.parametrize("attempt", [None, 2])
def test_what_cannot_run_again_is_refused_with_what_can(
    world: World, job: dict[str, Any] | None, words: str, attempt: int | None
) -> None:
    if job is not None:
        ended(world, Outcome.REJECTED, Money.NOT_MOVED, **job)
    with pytest.raises(AgainRefused) as refused:
        world.again("cat-1", attempt)
    assert words in str(refused.value)
    assert "This message sent nothing" in str(refused.value)
    assert (world.api.bodies, world.executions.started) == ([], [])


def test_an_attempt_whose_name_another_job_has_is_refused(world: World) -> None:
    ended(world, Outcome.REJECTED, Money.NOT_MOVED)
    taken = Job(job_id="cat-1-2", state=State.WAITING, created_at=1)
    world.ledger.put(taken)
    with pytest.raises(AgainRefused, match="no attempt at cat-1"):
        world.again("cat-1")
    assert (world.ledger.rows["cat-1-2"], world.executions.started) == (taken, [])


def test_an_attempt_at_a_file_that_is_gone_is_rejected_and_free_again(world: World) -> None:
    ended(world, Outcome.REJECTED, Money.NOT_MOVED)
    del world.inbox.versions["inbox/cat.png"]
    world.again("cat-1")
    verdict = world.ledger.rows["cat-1-2"].verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.money) == (Outcome.REJECTED, Money.NOT_MOVED)
