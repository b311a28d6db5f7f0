"""Every job ends in one result.json and one story, told again word for word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.toapis import TaskState
from bucketbrush.domain.errors import (
    ApiKeyMissing,
    JobBusy,
    PictureUnreadable,
    ResultUnstored,
    TaskUnfinished,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Job, Outcome, State, Verdict
from tests.unit.fakes import PNG, PROMPT, task

if TYPE_CHECKING:
    import io

    from tests.unit.fakes import World

ROW = Job(
    job_id="cat-1",
    state=State.WAITING,
    created_at=900,
    task_id="tsk_1",
    recipe={"model": "gpt-image-2-vip", "prompt": PROMPT, "n": 2},
    polls=3,
)
RESULT = "results/cat-1/result.json"
HTML = PictureUnreadable("result: found markup; allowed: PNG or JPEG.")
BROKEN = ResultUnstored("result: found 1 of 2 announced bytes.")


def waiting(world: World, *pictures: Any, **changes: Any) -> None:
    """A job whose task is done and gives these pictures, or errors."""
    world.ledger.create(ROW.model_copy(update=changes))
    world.api.pictures = {f"https://files/{index}": picture for index, picture in enumerate(pictures, 1)}
    world.api.task = task(TaskState.DONE, *world.api.pictures)


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The outcomes in the metrics that were emitted."""
    lines = [line for line in capsys.readouterr().out.splitlines() if '"Jobs"' in line]
    return [json.loads(line)["outcome"] for line in lines]


@pytest.mark.parametrize(
    ("pictures", "outcome", "stored", "words"),
    [
        ([PNG, PNG], "completed", [1, 2], "2 of 2"),
        ([PNG], "partial", [1], "delivered no more"),
        ([HTML, PNG], "partial", [2], "picture 1: result: found markup"),
    ],
)
def test_pictures_are_stored_and_told(
    world: World, pictures: list[Any], outcome: str, stored: list[int], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(world, *pictures)
    told = world.finalize("cat-1", None)
    keys = [f"results/cat-1/{index}.png" for index in stored]
    assert world.results.writes == [*keys, RESULT]  # result.json last
    assert (told.outcome, [picture.key for picture in told.pictures]) == (outcome, keys)
    assert words in told.message
    written = json.loads(world.results.versions[RESULT][0])
    assert (written["outcome"], written["recipe"], written["ended_at"]) == (outcome, ROW.recipe, 1000)
    assert (written["task_created_at"], written["task_completed_at"]) == (110, 190)
    row = world.ledger.rows["cat-1"]
    assert (row.state, row.ended_at, row.verdict) == (
        State.ENDED,
        1000,
        Verdict(outcome=told.outcome, message=told.message),
    )
    assert counted(capsys) == [outcome]


def test_a_failed_task_is_told_with_its_reason_and_asked_for_without_its_prompt(world: World) -> None:
    waiting(world)
    world.api.task = task(TaskState.FAILED, error="generation_failed: boom")
    told = world.finalize("cat-1", None)
    assert (told.outcome, told.pictures) == (Outcome.FAILED, ())
    assert "generation_failed: boom" in told.message
    assert world.api.reads == [("tsk_1", PROMPT)]  # so that the adapter can take it out of the reason
    assert PROMPT not in world.announcements.told[0]


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.UNKNOWN, Outcome.FAILED])
def test_what_was_decided_before_is_told_without_asking_the_provider(world: World, outcome: Outcome) -> None:
    verdict = Verdict(outcome=outcome, message="as decided")
    waiting(world, state=State.DECIDED, task_id=None, verdict=verdict)
    world.api.task = AssertionError("asked")
    told = world.finalize("cat-1", None)
    assert (told.outcome, told.message) == (outcome, "as decided")
    assert world.results.writes == [RESULT]


@pytest.mark.parametrize(
    ("row", "outcome", "words"),
    [
        (None, Outcome.REJECTED, "Nothing was sent"),
        (ROW.model_copy(update={"state": State.ACCEPTED}), Outcome.REJECTED, "Nothing was sent"),
        (ROW.model_copy(update={"state": State.SUBMITTING}), Outcome.UNKNOWN, "may have been paid"),
    ],
)
def test_a_fault_before_there_is_a_task(world: World, row: Job | None, outcome: Outcome, words: str) -> None:
    if row:
        world.ledger.create(row)
    told = world.finalize("cat-1", "Lambda.Unknown")
    assert told.outcome is outcome
    assert "Lambda.Unknown" in told.message
    assert words in told.message
    assert world.ledger.rows["cat-1"].state is State.ENDED


def test_a_lost_submit_gets_a_last_look_before_it_is_unknown(world: World) -> None:
    world.ledger.create(ROW.model_copy(update={"state": State.SUBMITTING, "task_id": None, "submitting_at": 990}))
    world.api.found = task()
    world.api.task = task(TaskState.FAILED)
    told = world.finalize("cat-1", "Lambda.Unknown")
    assert (told.outcome, world.api.finds) == (Outcome.FAILED, ["cat-1"])
    assert world.ledger.rows["cat-1"].task_id == "tsk_1"


@pytest.mark.parametrize("problem", [TaskUnreadable("status: HTTP 500."), ApiKeyMissing("secret: none.")])
def test_not_being_able_to_look_is_not_unknown(world: World, problem: Exception) -> None:
    row = ROW.model_copy(update={"state": State.SUBMITTING, "task_id": None})
    world.ledger.create(row)
    world.api.found = problem
    with pytest.raises(type(problem)):
        world.finalize("cat-1", "Lambda.Unknown")
    assert (world.ledger.rows["cat-1"], world.results.writes) == (row, [])


def test_a_fault_of_the_status_loop_does_not_lose_the_task(world: World) -> None:
    waiting(world, PNG, PNG)
    assert world.finalize("cat-1", "States.Timeout").outcome is Outcome.COMPLETED


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SUBMITTING])
def test_a_submit_under_way_is_not_overruled(world: World, state: State) -> None:
    world.ledger.create(ROW.model_copy(update={"state": state, "owner": "submit", "lease_until": 1007}))
    with pytest.raises(JobBusy, match="7 s more"):
        world.finalize("cat-1", "States.Timeout")
    assert (world.results.writes, world.announcements.told) == ([], [])
    assert world.ledger.rows["cat-1"].state is state


def test_repeated_it_tells_the_same_bytes_and_counts_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(world, PNG, PNG)
    for _ in range(3):
        world.finalize("cat-1", None)
        world.time += 60
        world.api.task = task(TaskState.FAILED)
    assert len(world.announcements.told) == 3
    assert len(set(world.announcements.told)) == 1
    assert counted(capsys) == ["completed"]
    assert world.ledger.rows["cat-1"].ended_at == 1000


def test_a_result_that_was_written_but_not_told_is_the_truth(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(world, PNG, PNG)
    world.finalize("cat-1", None)
    world.ledger.rows["cat-1"] = ROW  # it died before it closed the row
    world.api.task = task(TaskState.FAILED)
    assert world.finalize("cat-1", None).outcome is Outcome.COMPLETED
    assert world.ledger.rows["cat-1"].verdict == Verdict(outcome=Outcome.COMPLETED, message="Stored 2 of 2 pictures.")
    assert len(set(world.announcements.told)) == 1


def test_one_picture_for_later_does_not_lose_the_others(world: World) -> None:
    waiting(world, [BROKEN, PNG], PNG)
    with pytest.raises(ResultUnstored, match="1 of 2 announced"):
        world.finalize("cat-1", None)
    assert world.results.writes == ["results/cat-1/2.png"]
    assert world.ledger.rows["cat-1"].state is State.WAITING
    assert world.finalize("cat-1", None).outcome is Outcome.COMPLETED
    assert world.results.writes == ["results/cat-1/2.png", "results/cat-1/1.png", RESULT]


@pytest.mark.parametrize(
    ("pictures", "words"), [([], "without a single link"), ([HTML, HTML], "picture 1: result: found markup")]
)
def test_paid_pictures_of_which_none_can_be_had_are_no_outcome(world: World, pictures: list[Any], words: str) -> None:
    waiting(world, *pictures)
    with pytest.raises(ResultUnstored, match=words):
        world.finalize("cat-1", None)
    assert (world.results.writes, world.announcements.told) == ([], [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(task(TaskState.WAITING), TaskUnfinished), (TaskUnreadable("status: HTTP 500."), TaskUnreadable)],
)
def test_a_task_that_has_not_ended_is_no_outcome(world: World, answer: Any, kind: type[Exception]) -> None:
    waiting(world)
    world.api.task = answer
    with pytest.raises(kind):
        world.finalize("cat-1", "States.Timeout")
    assert (world.results.writes, world.announcements.told) == ([], [])


def test_logs_hold_no_secret(world: World, logs: io.StringIO) -> None:
    waiting(world, PNG, PNG)
    world.finalize("cat-1", None)
    text = logs.getvalue()
    assert "completed" in text
    assert [secret for secret in (PROMPT, "https://files") if secret in text] == []
