"""The jobs table: conditions that hold when everybody writes at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.ledger import Ledger
from bucketbrush.domain.errors import JobBusy
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, State, Verdict
from tests.contract.aws import client, name, table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["table"]
CROWD = 20
SOURCE = ObjectVersion(bucket="b", key="inbox/猫 a+b%20.png", version_id="v", etag="e", size=7)


@pytest.fixture
def ledger(table: str) -> Ledger:
    return Ledger(client("dynamodb"), table, keep_days=400)


def job(**fields: Any) -> Job:
    return Job(**{"job_id": name("job"), "state": State.ACCEPTED, "created_at": 1000, **fields})


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call gives or raises."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except JobBusy as busy:
            return busy

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_row_comes_back_as_it_was(ledger: Ledger, table: str) -> None:
    full = job(
        source=SOURCE,
        preset="poster",
        recipe={"model": "m", "prompt": "a ' \" 猫 \n prompt", "n": 2},
        references=(SOURCE, SOURCE),
        owner="me",
        lease_until=1065,
        plan=(20, 10),
        verdict=Verdict(outcome=Outcome.FAILED, message="m"),
    )
    assert ledger.create(full) is None
    assert ledger.get(full.job_id) == full
    stored = client("dynamodb").get_item(TableName=table, Key={"job_id": {"S": full.job_id}})["Item"]
    assert stored["expires_at"] == {"N": str(1000 + 400 * 86_400)}
    assert "task_id" not in stored


def test_there_is_no_row_of_a_stranger(ledger: Ledger) -> None:
    assert ledger.get("nobody") is None


def test_of_many_creations_one_succeeds_and_the_others_see_it(ledger: Ledger) -> None:
    rows = [job(job_id="contended", owner=f"request-{number}", lease_until=1065) for number in range(CROWD)]
    found = at_once([lambda row=row: ledger.create(row) for row in rows])  # type: ignore[misc]
    winners = [row for row, seen in zip(rows, found, strict=True) if seen is None]
    assert len(winners) == 1
    assert [seen for seen in found if seen not in (None, winners[0])] == []


def test_of_many_claims_one_succeeds(ledger: Ledger) -> None:
    free = job()
    ledger.create(free)
    claims = at_once([lambda n=n: ledger.change(free, owner=f"request-{n}", lease_until=1065) for n in range(CROWD)])
    won = [claim for claim in claims if isinstance(claim, Job)]
    assert len(won) == 1
    assert ledger.get(free.job_id) == won[0]
    assert sum(isinstance(claim, JobBusy) for claim in claims) == CROWD - 1


@pytest.mark.parametrize("touched", [{"state": State.WAITING}, {"owner": "other"}, {"lease_until": 2000}])
def test_a_change_demands_what_the_writer_has_seen(ledger: Ledger, touched: dict[str, Any]) -> None:
    seen = job(owner="me", lease_until=1065)
    ledger.create(seen)
    ledger.change(seen, **touched)
    with pytest.raises(JobBusy, match=seen.job_id):
        ledger.change(seen, task_id="tsk_1")
    row = ledger.get(seen.job_id)
    assert row is not None
    assert row.task_id is None


def test_a_change_of_no_row_is_refused(ledger: Ledger, table: str) -> None:
    with pytest.raises(JobBusy):
        ledger.change(job(), task_id="tsk_1")


def test_a_change_writes_and_removes(ledger: Ledger) -> None:
    before = job(hold_seconds=7)
    ledger.create(before)
    changed = ledger.change(before, state=State.WAITING, plan=(1, 2), references=(SOURCE,), hold_seconds=None)
    assert ledger.get(before.job_id) == changed
    assert (changed.state, changed.plan, changed.references, changed.hold_seconds) == (
        State.WAITING,
        (1, 2),
        (SOURCE,),
        None,
    )


class Repeating:
    """A client whose every write is sent twice, as boto3 does when the first answer is lost."""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        send = getattr(client("dynamodb"), method)

        def twice(**request: Any) -> Any:
            if method != "get_item":
                send(**request)
            return send(**request)

        return twice


def test_a_repeated_write_is_no_conflict_with_itself(table: str) -> None:
    ledger = Ledger(Repeating(), table, keep_days=400)  # type: ignore[arg-type]
    mine = job(source=SOURCE, owner="me", lease_until=1065)
    assert ledger.create(mine) is None
    recipe = {"model": "m", "prompt": "p", "n": 1}
    sent = ledger.change(mine, state=State.SUBMITTING, recipe=recipe, references=(SOURCE,), submitting_at=1001)
    done = ledger.change(sent, state=State.WAITING, task_id="tsk_1", plan=(20, 10), owner="", lease_until=0)
    assert ledger.get(mine.job_id) == done


def test_notes_are_for_waiting_jobs(ledger: Ledger) -> None:
    waiting = job(state=State.WAITING, progress=5, provider_status="queued")
    ledger.create(waiting)
    ledger.note(waiting.job_id, polls=3, provider_status="in_progress", progress=None)
    noted = ledger.get(waiting.job_id)
    assert noted is not None
    assert (noted.polls, noted.provider_status, noted.progress) == (3, "in_progress", None)
    ended = ledger.change(noted, state=State.ENDED)
    ledger.note(waiting.job_id, polls=4)
    assert ledger.get(waiting.job_id) == ended
    ledger.note("nobody", polls=1)
    assert ledger.get("nobody") is None


def test_another_fault_is_not_taken_for_a_refusal(table: str) -> None:
    elsewhere = Ledger(client("dynamodb"), "no-such-table", keep_days=400)
    missing = client("dynamodb").exceptions.ResourceNotFoundException
    for call in (lambda: elsewhere.create(job()), lambda: elsewhere.change(job(), polls=1)):
        with pytest.raises(missing):
            call()
    with pytest.raises(missing):
        elsewhere.note("x", polls=1)
