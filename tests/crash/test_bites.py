"""The proof bites: with a fault of each kind in the package, it fails."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters import departures
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects, Tags
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.errors import SubmitUnanswered
from bucketbrush.domain.life import State
from bucketbrush.intake import Intake
from tests.crash import points as points_module
from tests.crash.points import Points, some
from tests.crash.scenarios import BEHIND_OTHERS, DROP, LOST_ANSWER, PAUSED

if TYPE_CHECKING:
    from bucketbrush.domain.jobs import Job
    from bucketbrush.domain.money import Budget
    from tests.crash.rig import Rig

UNSENT = {"state": State.ACCEPTED, "recipe": None, "references": (), "estimated": None, "share": None}


def test_a_post_before_the_intent_is_written_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    change = Ledger.change

    def forget(ledger: Ledger, job: Job, **changes: Any) -> Job:
        if changes.get("state") is State.SUBMITTING and job.state is State.ACCEPTED:
            return job.model_copy(update={name: value for name, value in changes.items() if name != "limit"})
        if changes.get("state") is State.WAITING:
            intent = {"state": State.SUBMITTING, **{name: getattr(job, name) for name in UNSENT if name != "state"}}
            job = change(ledger, job.model_copy(update=UNSENT), **intent)
        return change(ledger, job, **changes)

    monkeypatch.setattr(Ledger, "change", forget)
    points = Points(rig, DROP)
    with pytest.raises(AssertionError, match="is paid 2 times"):
        points.prove(points.crashes(points.every()))


def test_a_post_that_is_repeated_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ToApis.submit

    def insist(provider: ToApis, body: dict[str, Any]) -> str:
        try:
            return submit(provider, body)
        except SubmitUnanswered:
            return submit(provider, body)

    monkeypatch.setattr(ToApis, "submit", insist)
    with pytest.raises(AssertionError, match="is paid 2 times"):
        Points(rig, LOST_ANSWER)


def test_a_ledger_without_conditions_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    statement = Ledger._statement

    def blind(ledger: Ledger, job_id: str, values: dict[str, Any], *_: Any, **__: Any) -> Any:
        return statement(ledger, job_id, values, {"job_id": job_id}, ())

    monkeypatch.setattr(Ledger, "_statement", blind)
    monkeypatch.setattr(points_module, "_MOST", 1)  # a story without end is a long one
    points = Points(rig, DROP)
    with pytest.raises(AssertionError, match=r"written after its end|does not end|is paid 2 times"):
        points.prove(some(points.frozen(), 4))


def test_a_share_that_is_written_before_its_budget_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_both(ledger: Ledger, job_id: str, statement: Any, budget: Budget, limit: int | None) -> None:
        for part in (statement, ledger._budgets.statement(budget, limit)):
            ledger._client.update_item(**part)

    monkeypatch.setattr(Ledger, "_transact", write_both)
    points = Points(rig, DROP)
    with pytest.raises(AssertionError, match="the jobs' sums"):
        points.prove(points.crashes(points.every()))


def test_a_departure_that_is_not_waited_for_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "leaves_at", lambda *_: 0)
    with pytest.raises(AssertionError, match="before its departure"):
        Points(rig, BEHIND_OTHERS)


def test_a_pause_that_nobody_heeds_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = departures._schedule
    monkeypatch.setattr(departures, "_schedule", lambda item: seen(item).model_copy(update={"paused_at": None}))
    with pytest.raises(AssertionError, match="sent while the intake is paused"):
        Points(rig, PAUSED)


def test_an_object_that_is_overwritten_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    write_once = Objects.write_once

    def overwrite(results: Objects, key: str, document: dict[str, Any], tags: Tags) -> bool:
        return write_once(results, key, document, tags) or _put(results, key)

    def _put(results: Objects, key: str) -> bool:
        results._client.put_object(Bucket=results._bucket, Key=key, Body=b"{}")
        return True

    monkeypatch.setattr(Objects, "write_once", overwrite)
    points = Points(rig, DROP)
    with pytest.raises(AssertionError, match="written twice"):
        points.prove(points.twins())


def test_a_swallowed_kill_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Executions.start

    def survive(executions: Executions, job_id: str) -> None:
        with suppress(BaseException):
            start(executions, job_id)

    monkeypatch.setattr(Executions, "start", survive)
    # It comes behind, and would die of the same kill.
    monkeypatch.setattr(Intake, "_tell_submitted", lambda *_: None)
    points = Points(rig, DROP)
    places = [(effect, how) for effect, how in points.every() if effect.what == "states StartExecution"]
    with pytest.raises(AssertionError, match="swallowed Killed"):
        points.prove(points.crashes(places))
