"""Each job leaves when it is its turn: at once when nobody is before it, later when somebody is, not while paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bucketbrush.domain.errors import KeyReplaced, ProviderBusy, ProviderUnreachable, RateLimited, SubmitUnanswered
from bucketbrush.domain.jobs import Departure, Outcome
from bucketbrush.domain.life import State
from bucketbrush.settings import UnknownPolicy
from bucketbrush.submit import Order
from tests.unit.fakes import World

if TYPE_CHECKING:
    from bucketbrush.domain.jobs import Job


@pytest.fixture
def world() -> World:
    made = World()
    made.preset()
    return made


def submit(world: World, name: str) -> Job:
    """A caller's job without pictures, once through the submit function."""
    order = Order(name, document={"model": "gpt-image-2-vip", "prompt": "a boat"})
    return world.submit(order, world.invocation())


def sent(world: World) -> list[str]:
    return [body["client_business_id"] for body in world.api.bodies]


def pause(world: World, *, is_paused: bool = True) -> None:
    paused_at = int(world.time) * 1000 if is_paused else None
    world.departures.schedule = world.departures.schedule.model_copy(update={"paused_at": paused_at})


def walk(world: World, *names: str) -> list[str]:
    """What the executions of these jobs do until all are sent: wait, submit again. The order in which they were."""
    jobs = {name: submit(world, name) for name in names}
    while waiting := [job for job in jobs.values() if job.state is State.ACCEPTED]:
        job = min(waiting, key=lambda job: job.hold_until or 0)
        world.time = max(world.time, job.hold_until or 0)
        jobs[job.job_id] = submit(world, job.job_id)
    return sent(world)


def test_an_idle_stack_adds_no_wait_and_one_request(world: World) -> None:
    began = world.time
    job = submit(world, "a")
    assert (job.state, world.time, world.departures.asked) == (State.WAITING, began, 1)


def test_behind_others_a_job_gets_its_departure_and_nothing_is_sent(world: World) -> None:
    submit(world, "a")
    job = submit(world, "b")
    assert (job.state, job.departure, job.hold_reason) == (State.ACCEPTED, Departure(at=1_000_250), "DepartureAhead")
    assert (job.hold_until, job.recipe and job.recipe["n"], job.owner) == (1000, 1, "")
    assert sent(world) == ["a"]


def test_it_leaves_at_its_departure_to_the_millisecond(world: World) -> None:
    submit(world, "a")
    held = submit(world, "b")
    world.time = held.hold_until or 0
    assert submit(world, "b").state is State.WAITING
    assert world.time == 1000.25


def test_one_that_is_woken_too_early_waits_on(world: World) -> None:
    world.departures.schedule = world.departures.schedule.model_copy(update={"next_departure": 1_010_000})
    held = submit(world, "a")
    assert held.hold_until == 1010
    world.time = 1008.9
    again = submit(world, "a")
    assert (again.hold_until, again.departure, sent(world)) == (1010, held.departure, [])
    world.time = 1009.5
    assert submit(world, "a").state is State.WAITING
    assert world.time == 1010


def test_many_leave_in_the_order_in_which_they_came(world: World) -> None:
    names = [f"job-{number}" for number in range(20)]
    assert walk(world, *names) == names
    assert world.time == 1000 + 19 / 4


@pytest.mark.parametrize(("asked", "kept_back"), [(None, 10), (7, 7), (299, 299), (3600, 300)])
def test_a_429_keeps_everybody_back_and_the_refused_one_leaves_first(
    world: World, asked: int | None, kept_back: int
) -> None:
    held = [submit(world, name) for name in ("a", "b", "c")][1:]
    world.time = 1000.25
    world.api.submits = [RateLimited("submit: HTTP 429.", asked), "tsk_2"]
    refused = submit(world, "b")
    assert (refused.state, refused.departure, refused.hold_reason) == (State.ACCEPTED, None, "RateLimited")
    assert world.held(refused) == asked or 10
    world.time = held[1].hold_until or 0
    later = submit(world, "c")
    assert later.hold_until == int(1000.25 + kept_back + 0.25)
    assert sent(world) == ["a", "b"]
    world.time = refused.hold_until or 0
    assert submit(world, "b").state is State.WAITING
    world.time = max(world.time, later.hold_until or 0)
    while (job := submit(world, "c")).state is State.ACCEPTED:
        world.time = job.hold_until or 0
    assert sent(world) == ["a", "b", "b", "c"]


@pytest.mark.parametrize(
    ("problem", "inserted"),
    [
        (ProviderBusy("submit: HTTP 503."), 0),
        (ProviderUnreachable("submit: no connection."), 250),
        (KeyReplaced("submit: HTTP 401."), 250),
    ],
)
def test_what_concerns_one_job_keeps_nobody_else_back(world: World, problem: Exception, inserted: int) -> None:
    world.api.submits = [problem, "tsk_2"]
    refused = submit(world, "a")
    before = world.departures.schedule
    assert (refused.departure, before.shift) == (None, 0)
    assert walk(world, "b") == ["a", "b"]
    world.time = refused.hold_until or 0
    assert submit(world, "a").state is State.WAITING
    assert world.departures.schedule.inserted == inserted  # a departure for this as well, in front or behind


def test_when_paused_nothing_is_sent_and_a_resume_keeps_the_order(world: World) -> None:
    names = [f"job-{number}" for number in range(8)]
    jobs = {name: submit(world, name) for name in names[:4]}
    pause(world)
    jobs |= {name: submit(world, name) for name in names[4:]}
    for _ in range(60):
        job = min((job for job in jobs.values() if job.state is State.ACCEPTED), key=lambda job: job.hold_until or 0)
        world.time = max(world.time, job.hold_until or 0)
        jobs[job.job_id] = submit(world, job.job_id)
        assert jobs[job.job_id].hold_reason == "IntakePaused"
    assert sent(world) == names[:1]
    pause(world, is_paused=False)
    began = world.time
    assert walk(world, *names[1:]) == names
    assert world.time - began < 300 + 7 / 4 + 1


def test_a_pause_that_begins_while_a_job_waits_is_seen_before_it_leaves(world: World) -> None:
    submit(world, "a")
    held = submit(world, "b")
    pause(world)
    world.time = held.hold_until or 0
    assert submit(world, "b").hold_reason == "IntakePaused"
    assert sent(world) == ["a"]


def test_a_long_pause_is_looked_at_more_and_more_rarely(world: World) -> None:
    pause(world)
    holds = []
    while world.time < 1000 + 20_000:
        job = submit(world, "a")
        holds.append(world.held(job))
        world.time = job.hold_until or 0
    assert (holds[0], holds[-1]) == (10, 300)
    assert len(holds) < 120


def test_a_paused_intake_ends_what_it_keeps_for_longer_than_a_job_may_wait(world: World) -> None:
    pause(world)
    submit(world, "a")
    world.time += 86_400
    verdict = submit(world, "a").verdict
    assert verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.EXPIRED, "IntakePaused")


def test_when_all_departures_of_a_day_are_taken_a_job_ends_at_once(world: World) -> None:
    world.departures.schedule = world.departures.schedule.model_copy(update={"next_departure": 87_400_001})
    job = submit(world, "a")
    assert job.verdict
    assert (job.state, job.verdict.outcome, job.verdict.reason) == (State.DECIDED, Outcome.EXPIRED, "DeparturesFull")
    assert world.departures.schedule.next_departure == 87_400_001  # it took none
    assert sent(world) == []


@pytest.mark.parametrize("document", [{"model": "gpt-image-2-vip"}, {"prompt": "a boat"}])
def test_what_is_rejected_takes_no_departure(world: World, document: dict[str, str]) -> None:
    job = world.submit(Order("a", document=document), world.invocation())
    assert (job.state, world.departures.asked) == (State.DECIDED, 0)


def test_stops_that_cannot_be_written_do_no_harm(world: World) -> None:
    world.api.submits = [RateLimited("submit: HTTP 429.", 5)]
    world.departures.is_crowded = True
    job = submit(world, "a")
    assert (job.state, world.held(job)) == (State.ACCEPTED, 5)


def test_a_new_pace_acts_on_every_job_without_a_departure(world: World) -> None:
    submit(world, "a")
    first = submit(world, "b")
    world.departures.step = 1000
    second, third = submit(world, "c"), submit(world, "d")
    assert [job.departure and job.departure.at for job in (first, second, third)] == [1_000_250, 1_000_500, 1_001_500]


def test_a_second_sending_waits_for_the_end_of_a_pause(world: World) -> None:
    world.submit_settings = world.submit_settings.model_copy(update={"unknown_policy": UnknownPolicy.RESEND})
    world.api.submits = [SubmitUnanswered("submit: the connection ended."), "tsk_2"]
    submit(world, "a")
    pause(world)
    world.time += 300
    held = submit(world, "a")
    assert (held.state, held.hold_reason, sent(world)) == (State.SUBMITTING, "IntakePaused", ["a"])
    pause(world, is_paused=False)
    world.time = held.hold_until or 0
    assert submit(world, "a").state is State.WAITING
    assert sent(world) == ["a", "a"]


def test_who_misses_the_departure_gets_another_in_front(world: World) -> None:
    submit(world, "a")
    held = [submit(world, name) for name in ("b", "c")]
    world.time = 1060
    for job in held:
        assert submit(world, job.job_id).state is State.WAITING
    assert sent(world) == ["a", "b", "c"]
    assert world.time == 1060.25


def test_a_pause_that_was_typed_wrong_is_looked_at_rarely(world: World) -> None:
    pause(world)
    schedule = world.departures.schedule
    world.departures.schedule = schedule.model_copy(update={"paused_at": 1000 * (schedule.paused_at or 0)})
    assert world.held(submit(world, "a")) == 100  # as if it had lasted since the beginning of time
