"""What can happen to a job is a table, and nothing else can."""

from __future__ import annotations

import re
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketbrush.domain.errors import Money, StepForbidden
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import STEPS, WRITE_ONCE, Actor, State, demand_once, demand_step
from tests.unit.fakes import FakeLedger

if TYPE_CHECKING:
    from collections.abc import Iterator

# The table once more, written by hand: who may take which step.
SENDING, FINALIZING, BOTH = {"submit"}, {"finalize"}, {"submit", "finalize"}
ALLOWED: dict[tuple[str | None, str], set[str]] = {
    (None, "accepted"): BOTH,
    ("accepted", "accepted"): SENDING,
    ("accepted", "submitting"): SENDING,
    ("accepted", "decided"): BOTH,
    ("submitting", "submitting"): SENDING,
    ("submitting", "accepted"): SENDING,
    ("submitting", "waiting"): BOTH,
    ("submitting", "decided"): BOTH,
    ("waiting", "waiting"): {"status"},
    ("waiting", "unstored"): FINALIZING,
    ("waiting", "ended"): FINALIZING,
    ("unstored", "ended"): FINALIZING,
    ("decided", "ended"): FINALIZING,
    ("ended", "ended"): FINALIZING,
}
OPEN = [state for state in State if state is not State.ENDED]
ONCE: dict[str, Any] = {
    "source": {"bucket": "in", "key": "inbox/cat.png"},
    "again_of": "cat-0",
    "recipe": {"model": "m", "prompt": "a secret plan"},
    "task_id": "tsk_1",
    "submitted_at": 1,
    "made_at": 2,
    "verdict": {"outcome": "lost", "money": "moved", "message": "m"},
    "ended_at": 3,
}


def reached(start: State | None) -> set[State]:
    """Every state that steps lead to."""
    seen: set[State] = set()
    todo = [start]
    while todo:
        before = todo.pop()
        new = {step.after for step in STEPS if step.before is before} - seen
        seen |= new
        todo += new
    return seen


def test_every_state_is_reached() -> None:
    assert reached(None) == set(State)


@pytest.mark.parametrize("state", OPEN)
def test_every_open_job_can_end(state: State) -> None:
    assert State.ENDED in reached(state)


def test_the_end_is_the_end() -> None:
    assert reached(State.ENDED) == {State.ENDED}


def test_only_submit_sends() -> None:
    assert {actor for step in STEPS if step.after is State.SUBMITTING for actor in step.actors} == {Actor.SUBMIT}


def test_only_submit_may_say_that_nothing_was_sent_after_all() -> None:
    back = [step for step in STEPS if (step.before, step.after) == (State.SUBMITTING, State.ACCEPTED)]
    assert [step.actors for step in back] == [(Actor.SUBMIT,)]


@pytest.mark.parametrize("state", [State.WAITING, State.UNSTORED, State.DECIDED, State.ENDED])
def test_nothing_leads_back_to_sending(state: State) -> None:
    assert not state.before_task
    assert reached(state).isdisjoint(state for state in State if state.before_task)


def test_submit_works_on_jobs_without_a_task() -> None:
    assert [state for state in State if state.before_task] == [State.ACCEPTED, State.SUBMITTING]


@pytest.mark.parametrize(
    ("after", "money"),
    [
        (State.ACCEPTED, Money.NOT_MOVED),
        (State.SUBMITTING, Money.UNKNOWN),
        (State.WAITING, Money.MOVED),
        (State.UNSTORED, Money.MOVED),
    ],
)
def test_an_open_state_means_one_thing_for_money(after: State, money: Money) -> None:
    assert {step.money for step in STEPS if step.after is after} == {money}


def test_a_task_stays_paid_for_the_table() -> None:
    held = (State.WAITING, State.UNSTORED)
    assert {step.money for step in STEPS if step.before in held} == {Money.MOVED}


def test_what_was_sent_is_never_called_unpaid_but_by_who_sent_it() -> None:
    unpaid = [step for step in STEPS if step.before is State.SUBMITTING and step.money is Money.NOT_MOVED]
    assert {actor for step in unpaid for actor in step.actors} == {Actor.SUBMIT}


def test_each_step_stands_once_and_says_why() -> None:
    steps = [(step.before, step.after, actor) for step in STEPS for actor in step.actors]
    assert len(steps) == len(set(steps))
    assert len({(step.before, step.after) for step in STEPS if step.before}) == sum(bool(step.before) for step in STEPS)
    assert len({step.why for step in STEPS}) == len(STEPS)


@pytest.mark.parametrize(("before", "after"), [*product([None, *State], State)])
def test_a_step_is_for_those_in_the_table_only(before: State | None, after: State) -> None:
    refused = set()
    for actor in Actor:
        try:
            demand_step(before, after, actor)
        except StepForbidden:
            refused.add(actor.value)
    assert refused == {actor.value for actor in Actor} - ALLOWED.get((before and before.value, after.value), set())


@pytest.mark.parametrize(
    ("before", "after", "actor", "message"),
    [
        (
            State.WAITING,
            State.ACCEPTED,
            Actor.SUBMIT,
            "to accepted by submit; allowed: waiting by status, unstored by finalize, ended by finalize.",
        ),
        (
            State.DECIDED,
            State.ENDED,
            Actor.SWEEP,
            "found the step decided to ended by sweep; allowed: ended by finalize.",
        ),
        (None, State.WAITING, Actor.SUBMIT, "waiting by submit; allowed: accepted by submit, accepted by finalize."),
        (State.ENDED, State.ENDED, Actor.SWEEP, "found the step ended to ended by sweep; allowed: ended by finalize."),
    ],
)
def test_a_refusal_names_what_was_found_and_what_is_allowed(
    before: State | None, after: State, actor: Actor, message: str
) -> None:
    with pytest.raises(StepForbidden, match=re.escape(message)):
        demand_step(before, after, actor)


def test_every_field_that_is_written_once_is_a_field_and_tested() -> None:
    assert set(WRITE_ONCE) == set(ONCE)
    assert set(WRITE_ONCE) <= set(Job.model_fields)


@pytest.mark.parametrize("name", WRITE_ONCE)
def test_what_is_written_once_is_written_once(name: str) -> None:
    first: dict[str, Any] = {name: ONCE[name]}
    demand_once({}, {})
    demand_once({}, first)
    demand_once(first, dict(first))
    for second in ({name: "another"}, {name: None}, {}):
        with pytest.raises(StepForbidden, match=f"ledger: {name}: found a second value; allowed: the first one") as no:
            demand_once(first, second)
        assert "a secret plan" not in str(no.value)


def test_everything_else_changes_freely() -> None:
    demand_once({"polls": 1, "owner": "me"}, {"polls": 2, "owner": ""})


def walk(choices: list[tuple[Actor, State]]) -> Iterator[Job]:
    """A job to which everybody does what comes to their mind, as far as the ledger lets them."""
    ledger = FakeLedger()
    job = Job(job_id="cat-1", state=State.ACCEPTED, created_at=1)
    ledger.create(job)
    yield job
    for actor, after in choices:
        before = ledger.rows["cat-1"]
        try:
            ledger.of(actor).change(before, state=after)
        except StepForbidden:
            assert ledger.rows["cat-1"] == before
        yield ledger.rows["cat-1"]


@settings(deadline=None)
@given(choices=st.lists(st.tuples(st.sampled_from(Actor), st.sampled_from(State)), min_size=5, max_size=60))
def test_whatever_anybody_tries_a_task_is_never_forgotten_and_an_end_never_undone(
    choices: list[tuple[Actor, State]],
) -> None:
    for before, after in pairwise(job.state for job in walk(choices)):
        assert before.before_task or not after.before_task
        assert before is not State.ENDED or after is State.ENDED
        assert before is not State.UNSTORED or after in (State.UNSTORED, State.ENDED)
        assert after is before or (before, after) in ALLOWED
