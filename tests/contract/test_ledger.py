"""The jobs table: conditions that hold when everybody writes at once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters import ledger as adapter
from bucketbrush.domain.errors import JobBusy, Money, StepForbidden
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import STEPS, WRITE_ONCE, Actor, State
from tests.contract.aws import Repeating, at_once, client, held_by, jobs_table, name, scripted_client, seed, table
from tests.contract.scripted import Answer, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bucketbrush.adapters.ledger import Ledger

__all__ = ["table"]
CROWD = 20
SOURCE = ObjectVersion(bucket="b", key="inbox/猫 a+b%20.png", version_id="v", etag="e", size=7)
OTHER = ObjectVersion(bucket="b", key="inbox/other.png", version_id="w")
FAILED = Verdict(outcome=Outcome.FAILED, money=Money.NOT_MOVED, message="m")
UNKNOWN = Verdict(outcome=Outcome.UNKNOWN, money=Money.UNKNOWN, message="m")


@pytest.fixture
def ledger(table: str) -> Ledger:
    """The ledger in the hands of submit, which writes most of it."""
    return held_by(Actor.SUBMIT, table)


def job(**fields: Any) -> Job:
    return Job(**{"job_id": name("job"), "state": State.ACCEPTED, "created_at": 1000, **fields})


def stored(table: str, job_id: str) -> dict[str, Any]:
    """The item itself."""
    found: dict[str, Any] = client("dynamodb").get_item(TableName=table, Key={"job_id": {"S": job_id}})["Item"]
    return found


def forge(table: str, job_id: str, **values: Any) -> None:
    """Write past the ledger, without touching what a change asks for."""
    client("dynamodb").update_item(
        TableName=table,
        Key={"job_id": {"S": job_id}},
        UpdateExpression="SET " + ", ".join(f"#{field} = :{field}" for field in values),
        ExpressionAttributeNames={f"#{field}": field for field in values},
        ExpressionAttributeValues=adapter._to_item({f":{field}": value for field, value in values.items()}),
    )


# ---- Rows --------------------------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_was(ledger: Ledger, table: str) -> None:
    full = job(
        source=SOURCE,
        preset="poster",
        recipe={"model": "m", "prompt": "a ' \" 猫 \n prompt", "n": 2},
        references=(SOURCE, SOURCE),
        owner="me",
        lease_until=1065,
        plan=(20, 10),
        verdict=FAILED,
        again_of="job-0",
        attempt=2,
    )
    assert ledger.create(full) is None
    assert ledger.get(full.job_id) == full
    item = stored(table, full.job_id)
    assert item["expires_at"] == {"N": str(1000 + 400 * 86_400)}
    assert "task_id" not in item


def test_there_is_no_row_of_a_stranger(ledger: Ledger) -> None:
    assert ledger.get("nobody") is None


def test_of_many_creations_one_succeeds_and_the_others_see_it(ledger: Ledger) -> None:
    rows = [job(job_id="contended", owner=f"request-{number}", lease_until=1065) for number in range(CROWD)]
    found = at_once([lambda row=row: ledger.create(row) for row in rows])  # type: ignore[misc]
    winners = [row for row, seen in zip(rows, found, strict=True) if seen is None]
    assert len(winners) == 1
    assert [seen for seen in found if seen not in (None, winners[0])] == []


def test_of_many_claims_one_succeeds(ledger: Ledger, table: str) -> None:
    free = job()
    seed(table, free)
    claims = at_once([lambda n=n: ledger.change(free, owner=f"request-{n}", lease_until=1065) for n in range(CROWD)])
    won = [claim for claim in claims if isinstance(claim, Job)]
    assert len(won) == 1
    assert ledger.get(free.job_id) == won[0]
    assert sum(isinstance(claim, JobBusy) for claim in claims) == CROWD - 1


@pytest.mark.parametrize(
    "touched", [{"state": State.WAITING, "task_id": "tsk_0"}, {"owner": "other"}, {"lease_until": 2000}]
)
def test_a_change_demands_what_the_writer_has_seen(ledger: Ledger, touched: dict[str, Any], table: str) -> None:
    seen = job(state=State.SUBMITTING, owner="me", lease_until=1065)
    seed(table, seen)
    ledger.change(seen, **touched)
    with pytest.raises(JobBusy, match=seen.job_id):
        ledger.change(seen, hold_until=20)
    row = ledger.get(seen.job_id)
    assert row is not None
    assert row.hold_until is None


def test_a_change_of_no_row_is_refused(ledger: Ledger) -> None:
    nowhere = job()
    with pytest.raises(JobBusy):
        ledger.change(nowhere, hold_until=20)
    assert ledger.get(nowhere.job_id) is None


def test_a_change_writes_and_removes(ledger: Ledger, table: str) -> None:
    before = job(state=State.SUBMITTING, hold_until=7)
    seed(table, before)
    changed = ledger.change(before, state=State.WAITING, plan=(1, 2), references=(SOURCE,), hold_until=None)
    assert ledger.get(before.job_id) == changed
    assert (changed.state, changed.plan, changed.references, changed.hold_until) == (
        State.WAITING,
        (1, 2),
        (SOURCE,),
        None,
    )


def test_a_repeated_write_is_no_conflict_with_itself(table: str) -> None:
    ledger = held_by(Actor.SUBMIT, table, dynamodb=Repeating())
    mine = job(source=SOURCE, owner="me", lease_until=1065, next_check=2000)
    assert ledger.create(mine) is None
    recipe = {"model": "m", "prompt": "p", "n": 1}
    sent = ledger.change(mine, state=State.SUBMITTING, recipe=recipe, references=(SOURCE,), submitting_at=1001)
    done = ledger.change(sent, state=State.WAITING, task_id="tsk_1", plan=(20, 10), owner="", lease_until=0)
    assert ledger.get(mine.job_id) == done


# ---- The table of a job's life -------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", Actor)
def test_every_step_is_taken_by_whom_the_table_names_and_nobody_else(table: str, actor: Actor) -> None:
    mine = held_by(actor, table)
    allowed = {(step.before, step.after) for step in STEPS if actor in step.actors}
    for before, after in itertools.product(State, State):
        row = job(state=before)
        seed(table, row)
        if (before, after) in allowed:
            mine.change(row, state=after, hold_until=1)
        else:
            with pytest.raises(StepForbidden, match=f"the step {before} to {after} by {actor}"):
                mine.change(row, state=after, hold_until=1)
        found = mine.get(row.job_id)
        assert found == (
            row.model_copy(update={"state": after, "hold_until": 1}) if (before, after) in allowed else row
        )


ONCE: dict[str, tuple[Any, Any]] = {
    "source": (SOURCE, OTHER),
    "again_of": ("job-0", "job-1"),
    "recipe": ({"prompt": "a"}, {"prompt": "b"}),
    "task_id": ("tsk_1", "tsk_2"),
    "submitted_at": (1001, 1002),
    "made_at": (1001, 1002),
    "verdict": (FAILED, UNKNOWN),
    "ended_at": (1001, 1002),
}


def test_all_that_is_written_once_is_tried() -> None:
    assert set(ONCE) == set(WRITE_ONCE)


@pytest.mark.parametrize("field", ONCE)
def test_what_is_written_once_is_not_replaced(ledger: Ledger, field: str, table: str) -> None:
    first, second = ONCE[field]
    before = job(state=State.SUBMITTING, **{field: first})
    seed(table, before)
    for value in (second, None):
        with pytest.raises(StepForbidden, match=f"{field}: found a second value"):
            ledger.change(before, **{field: value})
    assert ledger.get(before.job_id) == before
    same = ledger.change(before, **{field: first}, hold_until=5)  # the same again is no second one
    assert ledger.get(before.job_id) == same


@pytest.mark.parametrize("field", ONCE)
def test_what_is_written_once_is_not_replaced_by_one_who_has_not_seen_it(
    ledger: Ledger, table: str, field: str
) -> None:
    """A row that was forged between read and write: no state, owner or lease says so."""
    first, second = ONCE[field]
    seen = job(state=State.SUBMITTING, owner="me", lease_until=1065)
    seed(table, seen)
    written = seen.model_copy(update={field: first})
    forge(table, seen.job_id, **{field: adapter._row(written)[field]})
    with pytest.raises(JobBusy, match=seen.job_id):
        ledger.change(seen, **{field: second}, hold_until=5)
    assert ledger.get(seen.job_id) == written


def test_of_many_task_ids_one_is_written(ledger: Ledger, table: str) -> None:
    sent = job(state=State.SUBMITTING)
    seed(table, sent)
    found = at_once([lambda n=n: ledger.change(sent, state=State.WAITING, task_id=f"tsk_{n}") for n in range(CROWD)])
    (won,) = [row for row in found if isinstance(row, Job)]
    assert ledger.get(sent.job_id) == won


# ---- Notes ---------------------------------------------------------------------------------------------------------


def test_notes_are_for_waiting_jobs(table: str) -> None:
    status, finalize = held_by(Actor.STATUS, table), held_by(Actor.FINALIZE, table)
    waiting = job(state=State.WAITING, progress=5, provider_status="queued", task_id="tsk_1", plan=(20,))
    seed(table, waiting)
    noted = status.note(waiting.job_id, polls=3, provider_status="in_progress", progress=None)
    assert noted == waiting.model_copy(update={"polls": 3, "provider_status": "in_progress", "progress": None})
    assert status.get(waiting.job_id) == noted
    ended = finalize.change(noted, state=State.ENDED)
    assert status.note(waiting.job_id, polls=4) is None
    assert status.get(waiting.job_id) == ended
    assert status.note("nobody", polls=1) is None
    assert status.get("nobody") is None


@pytest.mark.parametrize("state", [state for state in State if state is not State.WAITING])
def test_a_note_wakes_no_job_that_does_not_wait(table: str, state: State) -> None:
    row = job(state=state)
    seed(table, row)
    assert held_by(Actor.STATUS, table).note(row.job_id, polls=4) is None
    assert held_by(Actor.STATUS, table).get(row.job_id) == row


@pytest.mark.parametrize("actor", [Actor.SUBMIT, Actor.SWEEP])
def test_who_does_not_look_at_tasks_notes_nothing(table: str, actor: Actor) -> None:
    row = job(state=State.WAITING)
    seed(table, row)
    with pytest.raises(StepForbidden):
        held_by(actor, table).note(row.job_id, polls=4)
    assert held_by(actor, table).get(row.job_id) == row


def test_a_note_does_not_disturb_who_works_on_the_job(table: str) -> None:
    finalize = held_by(Actor.FINALIZE, table)
    seen = job(state=State.WAITING, polls=1)
    seed(table, seen)
    held_by(Actor.STATUS, table).note(seen.job_id, polls=2)
    finalize.change(seen, state=State.UNSTORED, made_at=1100)
    row = finalize.get(seen.job_id)
    assert row is not None
    assert (row.state, row.polls) == (State.UNSTORED, 2)


# ---- Open jobs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh() -> str:
    """A table in which no other test's jobs stand open."""
    return jobs_table()


def indexed(table: str) -> set[str]:
    """The job ids in the index."""
    found = client("dynamodb").scan(TableName=table, IndexName=adapter._OPEN_INDEX)["Items"]
    return {item["job_id"]["S"] for item in found}


def test_due_are_the_oldest_open_jobs_whose_time_has_come(fresh: str) -> None:
    sweep = held_by(Actor.SWEEP, fresh)
    checks = [130, 110, 150, 100, 120, 140, None]
    rows = {check: job(next_check=check, recipe={"prompt": "p"}) for check in checks}
    for row in rows.values():
        seed(fresh, row)
    ids = {check: row.job_id for check, row in rows.items()}
    assert list(sweep.due(130)) == [ids[check] for check in (100, 110, 120, 130)]
    assert (list(sweep.due(99)), list(sweep.due(100))) == ([], [ids[100]])


def test_only_open_jobs_stand_in_the_index(fresh: str) -> None:
    finalize = held_by(Actor.FINALIZE, fresh)
    for state in State:
        seed(fresh, job(job_id=state.value, state=state, next_check=None if state is State.ENDED else 100))
    assert indexed(fresh) == {state.value for state in State if state is not State.ENDED}
    for state in (State.WAITING, State.UNSTORED, State.DECIDED):
        row = finalize.get(state.value)
        assert row is not None
        finalize.change(row, state=State.ENDED, next_check=None)
        assert not {"open", "next_check"} & set(stored(fresh, row.job_id))
    assert indexed(fresh) == {"accepted", "submitting"}


def test_a_change_moves_the_job_in_the_index(fresh: str) -> None:
    submit = held_by(Actor.SUBMIT, fresh)
    row = job(next_check=100)
    seed(fresh, row)
    held = submit.change(row, hold_until=50, next_check=250)
    assert (list(submit.due(249)), list(submit.due(250))) == ([], [row.job_id])
    submit.change(held, state=State.SUBMITTING)
    assert list(submit.due(250)) == [row.job_id], "a change that says nothing of it leaves it where it is"


def test_of_many_sweeps_one_wins(fresh: str) -> None:
    sweep = held_by(Actor.SWEEP, fresh)
    row = job(next_check=100)
    seed(fresh, row)
    won = at_once([lambda n=n: sweep.postpone(row, 1000 + n) for n in range(CROWD)])
    assert (won.count(True), won.count(False)) == (1, CROWD - 1)
    found = sweep.get(row.job_id)
    assert found == row.model_copy(update={"next_check": 1000 + won.index(True)})


def test_a_sweep_brings_no_job_back(fresh: str) -> None:
    finalize, sweep = held_by(Actor.FINALIZE, fresh), held_by(Actor.SWEEP, fresh)
    row, gone = job(state=State.WAITING, next_check=100), job(next_check=100)
    seed(fresh, row)
    ended = finalize.change(row, state=State.ENDED, next_check=None)
    assert [sweep.postpone(known, 900) for known in (row, ended, gone)] == [False, False, False]
    assert (sweep.get(row.job_id), sweep.get(gone.job_id)) == (ended, None)
    assert indexed(fresh) == set()


def test_a_job_that_has_ended_stands_open_while_its_bill_is_awaited(fresh: str) -> None:
    finalize, sweep = held_by(Actor.FINALIZE, fresh), held_by(Actor.SWEEP, fresh)
    row = job(state=State.WAITING, next_check=100)
    seed(fresh, row)
    ended = finalize.change(row, state=State.ENDED, next_check=900, ended_at=850)
    assert list(sweep.due(900)) == [row.job_id]
    assert sweep.postpone(ended, 1800)
    assert sweep.postpone(ended, 1800) is False, "another sweep was here first"
    assert (list(sweep.due(1799)), list(sweep.due(1800))) == ([], [row.job_id])
    billed = finalize.change(ended, billed=15_000, next_check=None)
    assert (finalize.get(row.job_id), indexed(fresh)) == (billed, set())


def test_a_sweep_does_not_disturb_who_works_on_the_job(fresh: str) -> None:
    submit, sweep = held_by(Actor.SUBMIT, fresh), held_by(Actor.SWEEP, fresh)
    seen = job(state=State.SUBMITTING, owner="me", lease_until=1065, next_check=100)
    seed(fresh, seen)
    assert sweep.postpone(seen, 900)
    submit.change(seen, state=State.WAITING, task_id="tsk_1", next_check=500)
    row = submit.get(seen.job_id)
    assert row is not None
    assert (row.state, row.task_id, row.next_check) == (State.WAITING, "tsk_1", 500)


# ---- Other answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", Actor)
@pytest.mark.parametrize("state", State)
def test_a_job_begins_accepted_by_those_who_may(table: str, actor: Actor, state: State) -> None:
    row = job(state=state)
    if (None, state) in {(step.before, step.after) for step in STEPS if actor in step.actors}:
        assert held_by(actor, table).create(row) is None
    else:
        with pytest.raises(StepForbidden, match=f"the step None to {state} by {actor}"):
            held_by(actor, table).create(row)
        assert held_by(actor, table).get(row.job_id) is None


def calls(ledger: Ledger, row: Job) -> dict[str, Callable[[], Any]]:
    """Every way to write."""
    return {
        "create": lambda: held_by(Actor.SUBMIT, "jobs", dynamodb=ledger._client).create(ACCEPTED),
        "change": lambda: ledger.change(row, polls=1),
        "note": lambda: ledger.note(row.job_id, polls=1),
        "postpone": lambda: ledger.postpone(row, 900),
    }


ACCEPTED = Job(job_id="held", state=State.ACCEPTED, created_at=1000)
WAITING = Job(job_id="held", state=State.WAITING, created_at=1000, next_check=100)


@pytest.mark.parametrize("call", ["create", "change", "note", "postpone"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TransactionConflictException", JobBusy),
        ("ProvisionedThroughputExceededException", ClientError),
        ("ResourceNotFoundException", ClientError),
    ],
)
def test_a_conflict_of_transactions_is_a_busy_job_and_other_faults_are_themselves(
    script: Scripted, call: str, code: str, kind: type[Exception]
) -> None:
    """DynamoDB API reference, "PutItem" and "UpdateItem": a transaction that holds the item refuses the write."""
    script.answer = Answer(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"})
    ledger = held_by(Actor.STATUS, "jobs", dynamodb=scripted_client("dynamodb", script.url))
    with pytest.raises(kind, match="a transaction holds its row" if kind is JobBusy else code):
        calls(ledger, WAITING)[call]()
    (asked,) = script.asked
    assert asked.headers["x-amz-target"].endswith(".PutItem" if call == "create" else ".UpdateItem")


def test_a_fault_of_the_index_is_not_taken_for_no_jobs() -> None:
    missing = client("dynamodb").exceptions.ResourceNotFoundException
    with pytest.raises(missing):
        list(held_by(Actor.SWEEP, "no-such-table").due(100))
