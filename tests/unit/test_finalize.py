"""Every job ends in one result.json and one story, told again word for word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketbrush import display
from bucketbrush.adapters.answers import Bill, TaskState
from bucketbrush.domain.durations import PRIOR, Duration, Histogram, levels, parts
from bucketbrush.domain.errors import (
    AccountEmpty,
    AnnouncementFailed,
    ApiKeyMissing,
    BudgetBusy,
    ContentRefused,
    JobBusy,
    KeyRefused,
    LinkDead,
    Money,
    PictureUnreadable,
    ResultUnstored,
    TaskFailed,
    TaskUnfinished,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Job, Line, Outcome, Share, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.money import Budget
from bucketbrush.domain.verdicts import LINK_SECONDS, STOPPED
from bucketbrush.settings import ResultPage
from tests.unit.fakes import (
    DEADLINE_SECONDS,
    FINALIZE_SETTINGS,
    JPEG,
    PNG,
    PROMPT,
    SWEEP_AFTER_SECONDS,
    World,
    emitted,
    provider_errors,
    task,
)

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from bucketbrush.domain.result import Announcement

ACCEPTED_AT, MADE_AT, NOW = 950, 990, 1000
ROW = Job(
    job_id="cat-1",
    state=State.WAITING,
    created_at=900,
    submitting_at=940,
    submitted_at=ACCEPTED_AT,
    next_check=1400,
    task_id="tsk_1",
    recipe={"model": "gpt-image-2-vip", "prompt": PROMPT, "n": 2},
    polls=3,
)
# What a row does not know before its task does.
TASKLESS: dict[str, Any] = {"task_id": None, "submitted_at": None}
UNSTORED: dict[str, Any] = {"state": State.UNSTORED, "made_at": MADE_AT}
RESULT, PAGE = "results/cat-1/result.json", "results/cat-1/index.html"
FIRST, SECOND = "results/cat-1/1.png", "results/cat-1/2.png"
RUNNING = task(TaskState.WAITING)
HTML = PictureUnreadable("result: found markup; allowed: PNG or JPEG.")
BROKEN = ResultUnstored("result: found 1 of 2 announced bytes.")
UNREADABLE = TaskUnreadable("status: HTTP 500.")
NO_KEY = ApiKeyMissing("secret: none.")


def waiting(world: World, *pictures: Any, **changes: Any) -> None:
    """A job whose task is done and gives these pictures, or errors."""
    world.ledger.put(ROW.model_copy(update=changes))
    world.api.pictures = {f"https://files/{index}": picture for index, picture in enumerate(pictures, 1)}
    world.api.task = task(TaskState.DONE, *world.api.pictures)


def finalize(world: World, fault: str | None = None) -> Announcement:
    return world.finalize("cat-1", fault, world.invocation(900))


def row(world: World) -> Job:
    return world.ledger.rows["cat-1"]


def stored_result(world: World) -> dict[str, Any]:
    """What ``result.json`` says."""
    document: dict[str, Any] = json.loads(world.results.versions[RESULT][0])
    return document


def page(world: World) -> str:
    return world.results.versions[PAGE][-1].decode()


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The outcomes in the metrics that were emitted."""
    return [line["outcome"] for line in emitted(capsys.readouterr().out, "Jobs")]


@pytest.mark.parametrize(
    ("pictures", "outcome", "stored", "words"),
    [
        ([PNG, PNG], "completed", [1, 2], "2 of 2"),
        ([PNG], "partial", [1], "delivered no more"),
        ([HTML, PNG], "partial", [2], "Picture 1: result: found markup"),
        ([HTML, HTML], "lost", [], "Picture 2: result: found markup"),
    ],
)
def test_pictures_are_stored_and_told(
    world: World, pictures: list[Any], outcome: str, stored: list[int], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(world, *pictures)
    told = finalize(world)
    keys = [f"results/cat-1/{index}.png" for index in stored]
    assert world.results.writes == [*keys, PAGE, RESULT]  # result.json last
    assert (told.outcome, told.money, [picture.key for picture in told.pictures]) == (outcome, Money.MOVED, keys)
    assert words in told.message
    written = json.loads(world.results.versions[RESULT][0])
    assert (written["outcome"], written["recipe"], written["ended_at"]) == (outcome, ROW.recipe, NOW)
    assert (written["task_created_at"], written["task_completed_at"]) == (960, MADE_AT)
    verdict = Verdict(outcome=told.outcome, reason=told.reason, money=told.money, message=told.message)
    assert (row(world).state, row(world).ended_at, row(world).verdict) == (State.ENDED, NOW, verdict)
    assert row(world).next_check == NOW + SWEEP_AFTER_SECONDS  # for its bill
    assert counted(capsys) == [outcome]


@pytest.mark.parametrize(
    ("problem", "reason", "words"),
    [
        (TaskFailed("generation_failed: boom."), "TaskFailed", "Nothing was paid: drop the file again"),
        (ContentRefused("generation_failed: unsafe."), "ContentRefused", "change the prompt or the picture"),
    ],
)
def test_a_failed_task_is_told_with_its_reason_and_asked_for_without_its_prompt(
    world: World, problem: ContentRefused | TaskFailed, reason: str, words: str
) -> None:
    waiting(world)
    world.api.task = task(TaskState.FAILED, problem=problem)
    told = finalize(world)
    assert (told.outcome, told.money, told.pictures) == (Outcome.FAILED, Money.NOT_MOVED, ())
    assert told.reason == reason
    assert json.loads(world.results.versions[RESULT][0])["reason"] == reason
    assert [part for part in (problem.message, "refunds failed tasks", words) if part not in told.message] == []
    assert world.api.reads == [("tsk_1", PROMPT)]  # so that the adapter can take it out of the reason
    assert PROMPT not in world.announcements.told[0]


@pytest.mark.parametrize("fault", [None, "Lambda.Unknown", STOPPED])
@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.UNKNOWN, Outcome.FAILED, Outcome.EXPIRED])
def test_what_was_decided_before_is_told_without_asking_the_provider(
    world: World, outcome: Outcome, fault: str | None
) -> None:
    verdict = Verdict(outcome=outcome, money=Money.UNKNOWN, message="as decided")
    waiting(world, state=State.DECIDED, verdict=verdict, **TASKLESS)
    world.api.task = AssertionError("asked")
    told = finalize(world, fault)
    assert (told.outcome, told.money, told.message) == (outcome, Money.UNKNOWN, "as decided")
    assert world.results.writes == [PAGE, RESULT]


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("money", Money)
def test_whether_money_moved_stands_in_the_row_the_result_and_the_announcement(
    world: World, outcome: Outcome, money: Money
) -> None:
    verdict = Verdict(outcome=outcome, money=money, message="as decided")
    waiting(world, state=State.DECIDED, verdict=verdict, **TASKLESS)
    told = finalize(world)
    written, announced = json.loads(world.results.versions[RESULT][0]), json.loads(world.announcements.told[0])
    assert {told.money.value, written["money"], announced["money"]} == {money.value}
    assert row(world).verdict == verdict


@pytest.mark.parametrize(
    ("state", "outcome", "money", "words"),
    [
        (None, Outcome.REJECTED, Money.NOT_MOVED, "Nothing was sent"),
        (State.ACCEPTED, Outcome.REJECTED, Money.NOT_MOVED, "Nothing was sent"),
        (State.SUBMITTING, Outcome.UNKNOWN, Money.UNKNOWN, "may have been paid"),
    ],
)
def test_a_fault_before_there_is_a_task(
    world: World, state: State | None, outcome: Outcome, money: Money, words: str
) -> None:
    if state:
        waiting(world, state=state, **TASKLESS)
    world.time += FINALIZE_SETTINGS.lookup_seconds
    told = finalize(world, "Lambda.Unknown")
    assert (told.outcome, told.money) == (outcome, money)
    assert "Lambda.Unknown" in told.message
    assert words in told.message
    assert row(world).state is State.ENDED


def test_a_lost_submit_gets_a_last_look_before_it_is_unknown(world: World) -> None:
    waiting(world, state=State.SUBMITTING, **TASKLESS)
    world.api.found = task()
    world.api.task = task(TaskState.FAILED)
    told = finalize(world, "Lambda.Unknown")
    assert (told.outcome, world.api.finds) == (Outcome.FAILED, ["cat-1"])
    assert row(world).task_id == "tsk_1"


def test_a_lost_submit_is_not_given_up_while_it_may_still_be_found(world: World) -> None:
    waiting(world, state=State.SUBMITTING, **TASKLESS)
    world.time = (row(world).submitting_at or 0) + FINALIZE_SETTINGS.lookup_seconds - 1
    with pytest.raises(TaskUnreadable, match="knows no task cat-1"):
        finalize(world, "FAILED")
    assert row(world).state is State.SUBMITTING
    world.time += 1
    assert finalize(world, "FAILED").outcome is Outcome.UNKNOWN


def test_a_task_that_is_found_has_its_time_from_when_it_was_sent(world: World) -> None:
    waiting(world, state=State.SUBMITTING, **TASKLESS)
    world.api.found = world.api.task = RUNNING
    with pytest.raises(TaskUnfinished):
        finalize(world, "Lambda.Unknown")
    found = row(world)
    assert (found.state, found.task_id, found.submitted_at) == (State.WAITING, "tsk_1", ROW.submitting_at)
    assert found.next_check == NOW + SWEEP_AFTER_SECONDS


@pytest.mark.parametrize(("fault", "outcome"), [("Lambda.Unknown", Outcome.UNKNOWN), (STOPPED, Outcome.CANCELLED)])
@pytest.mark.parametrize("problem", [UNREADABLE, NO_KEY])
def test_not_being_able_to_look_is_not_finding_nothing_for_a_day(
    world: World, problem: Exception, fault: str, outcome: Outcome
) -> None:
    waiting(world, state=State.SUBMITTING, **TASKLESS)
    before = row(world)
    world.api.found = problem
    world.time = 940 + LINK_SECONDS - 1
    with pytest.raises(type(problem)):
        finalize(world, fault)
    assert (row(world), world.results.writes) == (before, [])
    world.time += 1
    told = finalize(world, fault)
    assert (told.outcome, told.money) == (outcome, Money.UNKNOWN)


def test_a_fault_of_the_status_loop_does_not_lose_the_task(world: World) -> None:
    waiting(world, PNG, PNG)
    assert finalize(world, "States.Timeout").outcome is Outcome.COMPLETED


@pytest.mark.parametrize("fault", ["States.Timeout", STOPPED])
@pytest.mark.parametrize("state", [State.ACCEPTED, State.SUBMITTING])
def test_a_submit_under_way_is_not_overruled(world: World, state: State, fault: str) -> None:
    waiting(world, state=state, owner="submit", lease_until=1007, **TASKLESS)
    with pytest.raises(JobBusy, match="7 s more"):
        finalize(world, fault)
    assert (world.results.writes, world.announcements.told) == ([], [])
    assert row(world).state is state


# ---- Stopped ---------------------------------------------------------------------------------------------------------

FREE = "othing was paid"
GOES_ON = "no way to cancel it"
LOOK_THERE = "client_business_id cat-1"


@pytest.mark.parametrize(
    ("changes", "seen", "money", "words"),
    [
        (None, None, Money.NOT_MOVED, FREE),
        ({"state": State.ACCEPTED, **TASKLESS}, None, Money.NOT_MOVED, FREE),
        ({"state": State.SUBMITTING, **TASKLESS}, None, Money.UNKNOWN, LOOK_THERE),
        ({"state": State.SUBMITTING, **TASKLESS}, RUNNING, Money.MOVED, GOES_ON),
        ({"state": State.SUBMITTING, **TASKLESS}, task(TaskState.FAILED), Money.NOT_MOVED, FREE),
        ({}, RUNNING, Money.MOVED, GOES_ON),
        ({}, task(TaskState.FAILED, problem=TaskFailed("boom.")), Money.NOT_MOVED, "boom. It refunds"),
    ],
)
def test_a_stopped_job_ends_cancelled_at_once(
    world: World, changes: dict[str, Any] | None, seen: Any, money: Money, words: str
) -> None:
    if changes is not None:
        waiting(world, **changes)
    world.api.found = world.api.task = seen
    told = finalize(world, STOPPED)
    assert (told.outcome, told.money, told.pictures) == (Outcome.CANCELLED, money, ())
    assert told.message.startswith("Its execution was stopped")
    assert words in told.message
    assert (FREE in told.message) is (money is Money.NOT_MOVED)
    assert row(world).state is State.ENDED


@pytest.mark.parametrize(
    "changes", [{}, UNSTORED, {"state": State.SUBMITTING, **TASKLESS}], ids=["waiting", "unstored", "submitting"]
)
@pytest.mark.parametrize(
    ("pictures", "stored", "words"),
    [
        ([PNG, PNG], [FIRST, SECOND], "Stored 2 of 2 pictures. The task tsk_1 is paid."),
        ([PNG, HTML], [FIRST], "Picture 2: result: found markup"),
    ],
)
def test_what_is_made_when_a_job_is_stopped_is_kept(
    world: World, changes: dict[str, Any], pictures: list[Any], stored: list[str], words: str
) -> None:
    waiting(world, *pictures, **changes)
    world.api.found = world.api.task
    told = finalize(world, STOPPED)
    assert (told.outcome, told.money) == (Outcome.CANCELLED, Money.MOVED)
    assert [picture.key for picture in told.pictures] == stored
    assert words in told.message


@pytest.mark.parametrize("changes", [{}, UNSTORED], ids=["waiting", "unstored"])
def test_a_stopped_job_does_not_give_up_pictures_for_one_failing_look(world: World, changes: dict[str, Any]) -> None:
    waiting(world, [BROKEN, BROKEN, PNG], PNG, **changes)
    done, world.api.task = world.api.task, UNREADABLE
    with pytest.raises((TaskUnreadable, ResultUnstored)):
        finalize(world, STOPPED)
    world.api.task = done
    with pytest.raises(ResultUnstored, match="Picture 1"):
        finalize(world, STOPPED)
    told = finalize(world, STOPPED)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.CANCELLED, [FIRST, SECOND])


def test_a_stopped_job_that_nobody_can_look_at_ends_after_a_day(world: World) -> None:
    waiting(world)
    world.api.task = UNREADABLE
    world.time = ACCEPTED_AT + LINK_SECONDS
    assert finalize(world, STOPPED).outcome is Outcome.CANCELLED


def test_a_job_that_has_ended_stays_as_it_ended(world: World) -> None:
    waiting(world, PNG, PNG)
    finalize(world)
    before = row(world)
    assert finalize(world, STOPPED).outcome is Outcome.COMPLETED
    assert (row(world), len(set(world.announcements.told))) == (before, 1)


# ---- Deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "patience", "words"),
    [
        (
            RUNNING,
            DEADLINE_SECONDS,
            "No end was seen 3,600 s after the task was accepted. The last look found tsk_1 in_progress.",
        ),
        (UNREADABLE, LINK_SECONDS, "HTTP 500"),
        (NO_KEY, LINK_SECONDS, "secret: none"),
    ],
)
def test_a_task_expires_at_the_second_and_not_before(world: World, seen: Any, patience: int, words: str) -> None:
    waiting(world)
    world.api.task = seen
    world.time = ACCEPTED_AT + patience - 1
    with pytest.raises((TaskUnfinished, TaskUnreadable, ApiKeyMissing)):
        finalize(world)
    assert (world.results.writes, row(world)) == ([], ROW)
    world.time += 1
    told = finalize(world)
    assert (told.outcome, told.money) == (Outcome.EXPIRED, Money.MOVED)
    assert [word for word in (words, GOES_ON, "which pays again") if word not in told.message] == []


@pytest.mark.parametrize("state", [TaskState.DONE, TaskState.FAILED])
def test_what_has_ended_at_the_last_look_is_not_expired(world: World, state: TaskState) -> None:
    waiting(world, PNG, PNG)
    world.api.task = task(state, *world.api.pictures, completed_at=None)
    world.time = ACCEPTED_AT + LINK_SECONDS * 2
    assert finalize(world).outcome is (Outcome.COMPLETED if state is TaskState.DONE else Outcome.FAILED)


@pytest.mark.parametrize("fault", [None, "States.Timeout", "FAILED", "TIMED_OUT", "no execution"])
@pytest.mark.parametrize(("answer", "kind"), [(RUNNING, TaskUnfinished), (UNREADABLE, TaskUnreadable)])
def test_a_task_that_has_time_is_no_outcome(
    world: World, answer: Any, kind: type[Exception], fault: str | None
) -> None:
    waiting(world)
    world.api.task = answer
    with pytest.raises(kind):
        finalize(world, fault)
    assert (world.results.writes, world.announcements.told, row(world)) == ([], [], ROW)


# ---- Made and not stored ---------------------------------------------------------------------------------------------


def left_unstored(world: World, *pictures: Any) -> None:
    """A first try that could not store everything."""
    waiting(world, *pictures)
    with pytest.raises(ResultUnstored):
        finalize(world)
    assert (row(world).state, row(world).made_at) == (State.UNSTORED, MADE_AT)


def test_one_picture_for_later_does_not_lose_the_others(world: World) -> None:
    waiting(world, [BROKEN, BROKEN, PNG], PNG)
    with pytest.raises(ResultUnstored, match="Picture 1: result: found 1 of 2 announced"):
        finalize(world)
    assert (world.results.writes, world.announcements.told) == ([SECOND], [])
    seen = row(world)
    assert (seen.state, seen.made_at, seen.next_check) == (State.UNSTORED, MADE_AT, NOW + SWEEP_AFTER_SECONDS)
    assert finalize(world).outcome is Outcome.COMPLETED
    assert world.results.writes == [SECOND, FIRST, PAGE, RESULT]


@pytest.mark.parametrize("problem", [BROKEN, LinkDead("result link: HTTP 403; allowed: 200.")])
def test_a_picture_gets_a_second_try_at_once(world: World, problem: Exception) -> None:
    waiting(world, [problem, PNG], PNG)
    assert finalize(world).outcome is Outcome.COMPLETED
    assert sorted(world.api.downloads) == ["https://files/1", "https://files/1", "https://files/2"]


DEAD = LinkDead("result link: HTTP 410; allowed: 200.")


@pytest.mark.parametrize(
    "fresh", [["https://new/1", "https://new/2"], ["https://new/1", "https://new/2", "https://new/3"]]
)
def test_a_dead_link_is_read_anew(world: World, fresh: list[str]) -> None:
    waiting(world, DEAD, PNG)
    world.api.pictures |= dict.fromkeys(["https://new/1", "https://new/2"], PNG)
    world.api.task = [world.api.task, task(TaskState.DONE, *fresh)]
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.COMPLETED, [FIRST, SECOND])
    assert [url for url in world.api.downloads if url.endswith("/1")] == ["https://files/1", "https://new/1"]
    assert world.api.reads == [("tsk_1", PROMPT)] * 2


@pytest.mark.parametrize("answer", [UNREADABLE, RUNNING, task(TaskState.FAILED), task(TaskState.DONE)])
def test_a_look_for_new_links_takes_none_away(world: World, answer: Any) -> None:
    waiting(world, DEAD, PNG)
    world.api.task = [world.api.task, answer]
    with pytest.raises(ResultUnstored, match=r"\APicture 1: result link: HTTP 410"):
        finalize(world)
    assert (row(world).state, world.results.writes) == (State.UNSTORED, [SECOND])


def test_links_are_read_anew_once_however_many_are_dead(world: World) -> None:
    waiting(world, DEAD, DEAD)
    with pytest.raises(ResultUnstored, match=r"Picture 1: .* Picture 2: "):
        finalize(world)
    assert (len(world.api.reads), len(world.api.downloads)) == (2, 4)


@pytest.mark.parametrize(("kind", "name"), [(KeyRefused, "KeyRefused"), (AccountEmpty, "AccountEmpty")])
@pytest.mark.parametrize("changes", [{}, {"state": State.SUBMITTING, **TASKLESS}], ids=["waiting", "submitting"])
def test_a_refused_look_is_counted_for_the_operator(
    world: World, kind: Any, name: str, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(world, **changes)
    world.api.task = world.api.found = TaskUnreadable("status: HTTP 401.", kind)
    with pytest.raises(TaskUnreadable):
        finalize(world)
    assert provider_errors(capsys.readouterr().out) == [name]


def test_what_is_stored_is_not_downloaded_again_even_when_its_link_is_dead(world: World) -> None:
    left_unstored(world, BROKEN, [PNG, AssertionError("downloaded again")])
    world.api.downloads.clear()
    with pytest.raises(ResultUnstored, match="Picture 1"):
        finalize(world)
    world.api.pictures["https://files/1"] = PNG
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.COMPLETED, [FIRST, SECOND])
    assert world.api.downloads == ["https://files/1"] * 3
    written = json.loads(world.results.versions[RESULT][0])["pictures"]
    assert {(picture["bytes"], len(picture["sha256"])) for picture in written} == {(len(PNG), 64)}


def test_pictures_whose_finalize_was_killed_are_not_downloaded_again(world: World) -> None:
    waiting(world, AssertionError("downloaded again"), AssertionError("downloaded again"))
    for key in (FIRST, SECOND):
        world.results.put(key, PNG)
    assert finalize(world).outcome is Outcome.COMPLETED


def test_the_first_failure_is_noted_and_later_ones_do_not_put_off_the_sweep(world: World) -> None:
    left_unstored(world, BROKEN, PNG)
    world.time += 500
    world.api.task = task(TaskState.DONE, *world.api.pictures, completed_at=1400)
    with pytest.raises(ResultUnstored):
        finalize(world)
    assert (row(world).made_at, row(world).next_check) == (MADE_AT, NOW + SWEEP_AFTER_SECONDS)


@pytest.mark.parametrize("seen", [task(TaskState.DONE), task(TaskState.FAILED), RUNNING, UNREADABLE])
@pytest.mark.parametrize("fault", [None, STOPPED])
def test_a_picture_that_is_stored_stands_in_the_result_whatever_is_seen_later(
    world: World, seen: Any, fault: str | None
) -> None:
    left_unstored(world, BROKEN, PNG)
    world.api.task = seen
    world.time = MADE_AT + LINK_SECONDS
    told = finalize(world, fault)
    outcome = Outcome.CANCELLED if fault else Outcome.PARTIAL
    assert (told.outcome, told.money, [picture.key for picture in told.pictures]) == (outcome, Money.MOVED, [SECOND])


def test_fewer_links_than_before_number_no_picture_anew(world: World) -> None:
    """Whose link is missing? Stored under its place in the list, a picture could be there twice and another not."""
    left_unstored(world, BROKEN, PNG)
    world.api.pictures["https://files/1"] = PNG
    world.api.task = task(TaskState.DONE, "https://files/2")
    with pytest.raises(ResultUnstored, match="lists 1 links now, and 2 before"):
        finalize(world)
    assert row(world).state is State.UNSTORED
    world.api.task = task(TaskState.DONE, "https://files/1", "https://files/2")
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.COMPLETED, [FIRST, SECOND])


def test_while_nothing_is_stored_a_shorter_list_is_taken_as_it_is(world: World) -> None:
    waiting(world, DEAD, DEAD)
    with pytest.raises(ResultUnstored):
        finalize(world)
    world.api.pictures["https://new/1"] = PNG
    world.api.task = task(TaskState.DONE, "https://new/1")
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.PARTIAL, [FIRST])


def test_new_links_that_are_fewer_are_not_taken(world: World) -> None:
    waiting(world, DEAD, PNG)
    world.api.pictures |= {"https://new/2": PNG}
    world.api.task = [world.api.task, task(TaskState.DONE, "https://new/2")]
    with pytest.raises(ResultUnstored, match=r"\APicture 1: result link: HTTP 410"):
        finalize(world)
    assert world.results.writes == [SECOND]
    assert "https://new/2" not in world.api.downloads


@pytest.mark.parametrize("seen", [UNREADABLE, RUNNING, task(TaskState.FAILED)])
def test_when_all_are_stored_nobody_is_asked_any_more(world: World, seen: Any) -> None:
    waiting(world)
    world.api.task = seen
    for key in (SECOND, FIRST):
        world.results.put(key, PNG)
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.COMPLETED, [FIRST, SECOND])


@pytest.mark.parametrize(("completed_at", "made_at"), [(10**11, NOW), (None, NOW), (5, ACCEPTED_AT)])
def test_a_lying_clock_does_not_end_or_prolong_the_life_of_links(
    world: World, completed_at: int | None, made_at: int
) -> None:
    waiting(world, BROKEN, PNG)
    world.api.task = task(TaskState.DONE, *world.api.pictures, completed_at=completed_at)
    with pytest.raises(ResultUnstored):
        finalize(world)
    assert row(world).made_at == made_at


@pytest.mark.parametrize(
    ("pictures", "outcome", "count", "words"),
    [
        ([BROKEN, PNG], Outcome.PARTIAL, 1, "Picture 1: result: found 1 of 2"),
        ([BROKEN, BROKEN], Outcome.LOST, 0, "Picture 2: result: found 1 of 2"),
        ([BROKEN, HTML], Outcome.LOST, 0, "Picture 2: result: found markup"),
        ([], Outcome.LOST, 0, "without a single link"),
    ],
)
def test_pictures_are_lost_when_their_links_have_died_and_not_before(
    world: World, pictures: list[Any], outcome: Outcome, count: int, words: str
) -> None:
    left_unstored(world, *pictures)
    world.time = MADE_AT + LINK_SECONDS - 1
    with pytest.raises(ResultUnstored):
        finalize(world)
    assert world.announcements.told == []
    world.time += 1
    told = finalize(world)
    assert (told.outcome, told.money, len(told.pictures)) == (outcome, Money.MOVED, count)
    assert [word for word in (f"Stored {count} of 2", words, "pays again") if word not in told.message] == []


@pytest.mark.parametrize("seen", [RUNNING, UNREADABLE, NO_KEY])
def test_a_made_task_is_waited_for_whatever_the_provider_says_afterwards(world: World, seen: Any) -> None:
    left_unstored(world, [BROKEN, BROKEN, PNG], PNG)
    done, world.api.task = world.api.task, seen
    world.time = MADE_AT + LINK_SECONDS - 1  # long after the deadline
    with pytest.raises(ResultUnstored):
        finalize(world)
    assert row(world).state is State.UNSTORED
    world.api.task = done
    assert finalize(world).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("pictures", "outcome", "stored"), [([BROKEN, PNG], Outcome.PARTIAL, [SECOND]), ([BROKEN] * 2, Outcome.LOST, [])]
)
@pytest.mark.parametrize("seen", [RUNNING, UNREADABLE, NO_KEY])
def test_a_made_task_that_is_not_seen_again_keeps_what_is_stored(
    world: World, seen: Any, pictures: list[Any], outcome: Outcome, stored: list[str]
) -> None:
    left_unstored(world, *pictures)
    world.api.task = seen
    world.time = MADE_AT + LINK_SECONDS
    told = finalize(world)
    assert (told.outcome, told.money, [picture.key for picture in told.pictures]) == (outcome, Money.MOVED, stored)


def test_completed_without_a_link_is_not_stored_yet(world: World) -> None:
    left_unstored(world)
    world.api.pictures = {"https://files/1": PNG, "https://files/2": PNG}
    world.api.task = task(TaskState.DONE, *world.api.pictures)
    assert finalize(world).outcome is Outcome.COMPLETED


def test_a_picture_that_can_never_be_had_is_not_waited_for(world: World) -> None:
    left_unstored(world, [BROKEN, BROKEN, PNG], HTML)
    told = finalize(world)
    assert (told.outcome, [picture.key for picture in told.pictures]) == (Outcome.PARTIAL, [FIRST])


def test_without_time_nothing_is_begun_that_cannot_be_told(world: World) -> None:
    waiting(world, PNG, PNG)
    invocation = world.invocation(60)
    world.time += 1
    with pytest.raises(ResultUnstored, match=r"Picture 1: .* Picture 2: "):
        world.finalize("cat-1", None, invocation)
    assert (row(world).state, world.results.writes) == (State.UNSTORED, [])


# ---- Money -----------------------------------------------------------------------------------------------------------

MONTH = "2026-11"
RESERVED, OTHERS = 40_000, 10_000  # by the job, and spent by others; in millionths of a US dollar
SHARE = Share(month=MONTH, reserved=RESERVED)


def reserved(world: World, *pictures: Any, bill: Bill | None = None, **changes: Any) -> None:
    """As ``waiting``, under a budget; the task has this bill."""
    waiting(world, *pictures, **{"estimated": RESERVED, "share": SHARE, **changes})
    world.ledger.budgets.months[MONTH] = Budget(month=MONTH, committed=OTHERS + RESERVED, spent=OTHERS)
    world.api.task = task(TaskState.DONE, *world.api.pictures, bill=bill)


def budget(world: World) -> tuple[int, int]:
    """What is committed, and how much of it is spent."""
    held = world.ledger.budgets.read(MONTH)
    return held.committed, held.spent


def costs(world: World, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a job cost, wherever it is said; the same in ``result.json`` and in the announcement."""
    out = capsys.readouterr().out
    written, announced = json.loads(world.results.versions[RESULT][0]), json.loads(world.announcements.told[-1])
    told = {name: written[name] for name in ("estimated_usd", "billed_usd")}
    assert told == {name: announced[name] for name in told}
    return told | {name: [line[name][0] for line in emitted(out, name)] for name in ("EstimatedUsd", "BilledUsd")}


@pytest.mark.parametrize(("billed", "usd"), [(30_000, 0.03), (40_000, 0.04), (90_000, 0.09), (1900, 0.0019), (0, 0.0)])
def test_a_share_is_spent_as_billed(world: World, billed: int, usd: float, capsys: pytest.CaptureFixture[str]) -> None:
    reserved(world, PNG, PNG, bill=Bill("settled", billed))
    finalize(world)
    ended = row(world)
    assert (ended.billed, ended.share, ended.next_check) == (billed, Share(month=MONTH, spent=billed), None)
    assert budget(world) == (OTHERS + billed, OTHERS + billed)
    assert costs(world, capsys) == {
        "estimated_usd": 0.04,
        "billed_usd": usd,
        "EstimatedUsd": [0.04],
        "BilledUsd": [usd],
    }


@pytest.mark.parametrize("bill", [None, Bill("pending"), Bill("settled")])
def test_without_a_bill_a_share_is_spent_as_reserved_and_the_bill_awaited(
    world: World, bill: Bill | None, capsys: pytest.CaptureFixture[str]
) -> None:
    reserved(world, PNG, PNG, bill=bill)
    finalize(world)
    ended = row(world)
    assert (ended.billed, ended.share) == (None, Share(month=MONTH, spent=RESERVED))
    assert ended.next_check == NOW + SWEEP_AFTER_SECONDS
    assert budget(world) == (OTHERS + RESERVED, OTHERS + RESERVED)
    assert costs(world, capsys) == {
        "estimated_usd": 0.04,
        "billed_usd": None,
        "EstimatedUsd": [0.04],
        "BilledUsd": [],
    }


def test_without_an_estimate_and_a_budget_nothing_is_said_of_them(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(world, PNG, PNG)
    world.api.task = task(TaskState.DONE, *world.api.pictures, bill=Bill("settled", 30_000))
    finalize(world)
    assert (row(world).billed, row(world).share, world.ledger.budgets.months) == (30_000, None, {})
    assert costs(world, capsys) == {"estimated_usd": None, "billed_usd": 0.03, "EstimatedUsd": [], "BilledUsd": [0.03]}


@pytest.mark.parametrize("fault", [None, STOPPED])
@pytest.mark.parametrize("bill", [None, Bill("refunded", 0), Bill("pending"), Bill("settled", 0)])
def test_a_failed_task_gives_its_share_back(
    world: World, bill: Bill | None, fault: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    reserved(world)
    world.api.task = task(TaskState.FAILED, bill=bill)
    assert finalize(world, fault).money is Money.NOT_MOVED
    assert (row(world).share, row(world).next_check, budget(world)) == (None, None, (OTHERS, OTHERS))
    said = costs(world, capsys)
    assert (said["EstimatedUsd"], sum(said["BilledUsd"])) == ([], 0)


def test_a_failed_task_that_is_settled_keeps_its_share(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    reserved(world)
    world.api.task = task(TaskState.FAILED, bill=Bill("settled", 15_000))
    assert finalize(world).money is Money.UNKNOWN
    assert (row(world).share, row(world).next_check) == (SHARE, None)
    assert budget(world) == (OTHERS + RESERVED, OTHERS)
    assert costs(world, capsys)["EstimatedUsd"] == [0.04]


@pytest.mark.parametrize(
    ("outcome", "money", "share", "committed"),
    [
        (Outcome.REJECTED, Money.NOT_MOVED, None, OTHERS),
        (Outcome.EXPIRED, Money.NOT_MOVED, None, OTHERS),
        (Outcome.FAILED, Money.NOT_MOVED, None, OTHERS),
        (Outcome.UNKNOWN, Money.UNKNOWN, SHARE, OTHERS + RESERVED),
    ],
)
def test_what_was_never_sent_gives_its_share_back_and_what_is_unknown_keeps_it(
    world: World,
    outcome: Outcome,
    money: Money,
    share: Share | None,
    committed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = Verdict(outcome=outcome, money=money, message="as decided")
    reserved(world, state=State.DECIDED, verdict=verdict, **TASKLESS)
    for _ in range(2):
        finalize(world)
    assert (row(world).share, row(world).next_check, budget(world)) == (share, None, (committed, OTHERS))
    assert costs(world, capsys) == {
        "estimated_usd": 0.04,
        "billed_usd": None,
        "EstimatedUsd": [] if share is None else [0.04],
        "BilledUsd": [],
    }


@pytest.mark.parametrize(
    ("changes", "share", "is_awaited"),
    [
        ({"state": State.ACCEPTED, **TASKLESS}, None, False),
        ({"state": State.SUBMITTING, **TASKLESS}, SHARE, False),
        ({}, Share(month=MONTH, spent=RESERVED), True),
    ],
    ids=["accepted", "submitting", "waiting"],
)
def test_a_stopped_job_keeps_what_it_may_have_cost(
    world: World, changes: dict[str, Any], share: Share | None, is_awaited: bool
) -> None:
    reserved(world, **changes)
    world.api.task = RUNNING
    finalize(world, STOPPED)
    held = share or Share(month=MONTH)
    assert (row(world).share, budget(world)) == (share, (OTHERS + held.committed, OTHERS + held.spent))
    assert row(world).next_check == (NOW + SWEEP_AFTER_SECONDS if is_awaited else None)


def test_a_share_is_settled_once_however_often_a_job_is_ended(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    reserved(world, PNG, PNG, bill=Bill("settled", 30_000))
    for _ in range(3):
        finalize(world)
        world.api.task = task(TaskState.DONE, *world.api.pictures, bill=Bill("settled", 35_000))
    assert (row(world).billed, budget(world)) == (30_000, (OTHERS + 30_000,) * 2)
    assert costs(world, capsys)["BilledUsd"] == [0.03]


def test_of_two_that_end_a_job_one_settles_its_share(world: World) -> None:
    def ended_meanwhile() -> Iterator[bytes]:
        yield PNG
        finalize(world, STOPPED)

    reserved(world, [ended_meanwhile, PNG], PNG)
    finalize(world)
    assert (row(world).share, budget(world)) == (Share(month=MONTH, spent=RESERVED), (OTHERS + RESERVED,) * 2)


def test_a_crowd_at_the_budget_leaves_the_job_open_and_its_story_the_same(world: World) -> None:
    reserved(world, PNG, PNG, bill=Bill("settled", 30_000))
    before = row(world)
    world.ledger.budgets.conflicts = 1
    with pytest.raises(BudgetBusy):
        finalize(world)
    assert (row(world), budget(world)) == (before, (OTHERS + RESERVED, OTHERS))
    world.api.task = task(TaskState.FAILED)
    finalize(world)
    assert (row(world).state, row(world).billed, budget(world)) == (State.ENDED, 30_000, (OTHERS + 30_000,) * 2)
    assert len(set(world.announcements.told)) == 1


def left_without_a_bill(world: World, **changes: Any) -> Job:
    """A paid job that has ended before its bill came."""
    reserved(world, PNG, PNG, bill=Bill("pending"), **changes)
    finalize(world)
    world.api.reads.clear()
    return row(world)


SPENT = Share(month=MONTH, spent=RESERVED)


@pytest.mark.parametrize(("bill", "usd"), [(Bill("settled", 30_000), 0.03), (Bill("refunded", 0), 0.0)])
def test_a_bill_that_comes_later_replaces_what_was_reserved(
    world: World, bill: Bill, usd: float, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left_without_a_bill(world)
    written, told = dict(world.results.versions), list(world.announcements.told)
    world.api.task = task(TaskState.DONE, bill=bill)
    capsys.readouterr()
    for _ in range(2):
        world.time += SWEEP_AFTER_SECONDS
        world.look_for_bill("cat-1")
    billed = bill.amount or 0
    changes = {"billed": billed, "share": Share(month=MONTH, spent=billed), "next_check": None}
    assert row(world) == before.model_copy(update=changes)
    assert budget(world) == (OTHERS + billed, OTHERS + billed)
    assert world.api.reads == [("tsk_1", "")]  # the second time there was nothing to look for
    out = capsys.readouterr().out
    assert [line["BilledUsd"][0] for line in emitted(out, "BilledUsd")] == [usd]
    assert emitted(out, "EstimatedUsd") == []
    assert (world.results.versions, world.announcements.told) == (written, told)


def test_a_bill_is_noted_without_a_budget_too(world: World) -> None:
    waiting(world, PNG, PNG)
    finalize(world)
    world.api.task = task(TaskState.DONE, bill=Bill("settled", 30_000))
    world.look_for_bill("cat-1")
    assert (row(world).billed, row(world).share, row(world).next_check) == (30_000, None, None)
    assert world.ledger.budgets.months == {}


@pytest.mark.parametrize(
    "seen", [task(TaskState.DONE, bill=Bill("pending")), UNREADABLE, NO_KEY], ids=["pending", "unreadable", "no key"]
)
def test_a_bill_is_awaited_for_a_day(world: World, seen: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = left_without_a_bill(world)
    world.api.task = seen
    for wait in (60, LINK_SECONDS - 61):
        world.time += wait
        world.look_for_bill("cat-1")
        assert (row(world), budget(world)) == (before, (OTHERS + RESERVED,) * 2)
    world.time += 1
    world.look_for_bill("cat-1")
    assert row(world) == before.model_copy(update={"next_check": None})
    assert budget(world) == (OTHERS + RESERVED,) * 2
    assert emitted(capsys.readouterr().out, "BilledUsd") == []


@pytest.mark.parametrize("bill", [None, Bill("settled"), Bill("reserved"), Bill("")])
def test_a_bill_that_will_not_come_is_given_up(world: World, bill: Bill | None, logs: io.StringIO) -> None:
    before = left_without_a_bill(world)
    world.api.task = task(TaskState.DONE, bill=bill)
    world.look_for_bill("cat-1")
    assert row(world) == before.model_copy(update={"next_check": None})
    assert (row(world).share, budget(world)) == (SPENT, (OTHERS + RESERVED,) * 2)
    assert "no bill has come" in logs.getvalue()


def test_a_look_for_a_bill_that_is_refused_is_counted_for_the_operator(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    left_without_a_bill(world)
    world.api.task = TaskUnreadable("status: HTTP 401.", KeyRefused)
    world.look_for_bill("cat-1")
    assert provider_errors(capsys.readouterr().out) == ["KeyRefused"]


@pytest.mark.parametrize(
    "changes",
    [
        None,
        {},
        UNSTORED,
        {"state": State.DECIDED, **TASKLESS},
        {"state": State.SUBMITTING, **TASKLESS},
        {"state": State.ENDED, "next_check": None},
    ],
)
def test_no_bill_is_asked_for_before_the_end_or_without_need(world: World, changes: dict[str, Any] | None) -> None:
    if changes is not None:
        reserved(world, **changes)
    world.no_key = AssertionError("asked")
    before = dict(world.ledger.rows)
    world.look_for_bill("cat-1")
    assert (world.ledger.rows, world.api.reads, world.announcements.told) == (before, [], [])


def test_a_bill_that_meets_a_crowd_at_the_budget_is_noted_later(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left_without_a_bill(world)
    world.api.task = task(TaskState.DONE, bill=Bill("settled", 30_000))
    world.ledger.budgets.conflicts = 1
    with pytest.raises(BudgetBusy):
        world.look_for_bill("cat-1")
    assert row(world) == before
    world.look_for_bill("cat-1")
    assert (row(world).billed, budget(world)) == (30_000, (OTHERS + 30_000,) * 2)
    assert len(emitted(capsys.readouterr().out, "BilledUsd")) == 1


# ---- Told once, told again -------------------------------------------------------------------------------------------


def test_repeated_it_tells_the_same_bytes_and_counts_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(world, PNG, PNG)
    for _ in range(3):
        finalize(world)
        world.time += 60
        world.api.task = task(TaskState.FAILED)
    assert len(world.announcements.told) == 3
    assert len(set(world.announcements.told)) == 1
    assert counted(capsys) == ["completed"]
    assert row(world).ended_at == NOW


@pytest.mark.parametrize("changes", [{}, UNSTORED])
def test_a_result_that_was_written_but_not_told_is_the_truth(world: World, changes: dict[str, Any]) -> None:
    waiting(world, PNG, PNG)
    finalize(world)
    world.ledger.rows["cat-1"] = ROW.model_copy(update=changes)  # it died before it closed the row
    world.api.task = task(TaskState.FAILED)
    assert finalize(world, STOPPED).outcome is Outcome.COMPLETED
    verdict = Verdict(outcome=Outcome.COMPLETED, money=Money.MOVED, message="Stored 2 of 2 pictures.")
    assert row(world).verdict == verdict
    assert len(set(world.announcements.told)) == 1


def test_a_result_that_another_hand_has_written_is_not_quoted(world: World) -> None:
    waiting(world, PNG)
    world.results.put(RESULT, json.dumps({"job_id": "cat-1", "message": ["the secret plan"]}).encode())
    with pytest.raises(ValueError, match="message") as caught:
        finalize(world)
    assert "secret plan" not in str(caught.value)
    assert row(world).state is State.WAITING


def test_of_a_result_of_any_size_no_more_is_read_than_one_can_have(world: World) -> None:
    waiting(world, PNG)
    finalize(world)
    world.results.put(RESULT, json.dumps(stored_result(world)).encode().rjust(5 * 1024 * 1024))
    with pytest.raises(ValueError, match="Invalid JSON"):
        finalize(world)


def test_a_result_that_nobody_was_told_of_leaves_the_job_open(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(world, PNG, PNG)
    world.announcements.problem = AnnouncementFailed("event bus: ThrottlingException.")
    with pytest.raises(AnnouncementFailed):
        finalize(world)
    assert row(world) == ROW
    world.announcements.problem = None
    world.time += 60
    finalize(world)
    assert (row(world).state, row(world).ended_at) == (State.ENDED, NOW)
    assert len(set(world.announcements.told)) == 1
    assert counted(capsys) == ["completed"]


def test_of_two_that_end_a_job_differently_the_second_tells_what_the_first_has_written(world: World) -> None:
    def stopped_meanwhile() -> Iterator[bytes]:
        yield PNG
        finalize(world, STOPPED)

    waiting(world, [stopped_meanwhile, PNG], PNG)
    assert finalize(world).outcome is Outcome.CANCELLED
    assert len(set(world.announcements.told)) == 1
    verdict = row(world).verdict
    assert verdict is not None
    assert verdict.outcome is Outcome.CANCELLED
    assert {*world.results.writes} == {FIRST, SECOND, PAGE, RESULT}
    assert "Its execution was stopped" in page(world)


def test_a_job_that_another_has_ended_meanwhile_is_not_called_unstored(world: World) -> None:
    def ended_meanwhile() -> Iterator[bytes]:
        yield from ()
        finalize(world)
        raise BROKEN

    waiting(world, [ended_meanwhile, PNG, BROKEN], PNG)
    with pytest.raises(JobBusy):
        finalize(world)
    assert row(world).state is State.ENDED
    assert finalize(world).outcome is Outcome.COMPLETED
    assert len(set(world.announcements.told)) == 1


PICTURES = st.lists(st.sampled_from([PNG, BROKEN, HTML]), min_size=2, max_size=2)
TRIES = st.lists(
    st.tuples(
        st.integers(1, 20_000),
        st.sampled_from([TaskState.DONE, TaskState.DONE, TaskState.WAITING, None]),
        PICTURES,
        st.sampled_from([None, None, "FAILED", STOPPED]),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(tries=TRIES)
def test_whatever_happens_a_job_is_told_one_story_that_fits_its_pictures(
    tries: list[tuple[int, TaskState | None, list[Any], str | None]],
) -> None:
    world = World()
    reserved(world)
    for wait, state, pictures, fault in [*tries, (LINK_SECONDS, TaskState.WAITING, [HTML, HTML], None)]:
        world.time += wait
        world.api.pictures = {f"https://files/{index}": picture for index, picture in enumerate(pictures, 1)}
        world.api.task = task(state, *world.api.pictures) if state else UNREADABLE
        try:
            finalize(world, fault)
        except (ResultUnstored, TaskUnfinished, TaskUnreadable):
            assert row(world).state in (State.WAITING, State.UNSTORED)
            assert world.announcements.told == []
        else:
            assert row(world).state is State.ENDED
    assert len(set(world.announcements.told)) == 1
    written = json.loads(world.results.versions[RESULT][0])
    assert len(world.results.writes) == len(set(world.results.writes))
    assert {picture["key"] for picture in written["pictures"]} == world.results.keys("results/cat-1/") - {PAGE, RESULT}
    share = row(world).share or Share(month=MONTH)
    assert budget(world) == (OTHERS + share.committed, OTHERS + share.spent)
    assert (share.reserved, share.spent) == (0, RESERVED)
    counts = {"completed": {2}, "partial": {1}, "lost": {0}, "expired": {0}, "cancelled": {0, 1, 2}}
    assert len(written["pictures"]) in counts[written["outcome"]]


# ---- What a result is made of ----------------------------------------------------------------------------------------


def test_the_pixels_of_every_picture_stand_in_the_result(world: World) -> None:
    waiting(world, PNG, JPEG)
    finalize(world)
    found = [(one["key"], one["format"], one["pixels"]) for one in stored_result(world)["pictures"]]
    size = {"width": 96, "height": 64}
    assert found == [(FIRST, "png", size), ("results/cat-1/2.jpg", "jpg", size)]


@pytest.mark.parametrize(("completed_at", "lateness"), [(MADE_AT, NOW - MADE_AT), (NOW, 0), (NOW + 5, 0), (None, None)])
def test_how_late_the_end_was_seen(world: World, completed_at: int | None, lateness: int | None) -> None:
    waiting(world, PNG, PNG)
    world.api.task = task(TaskState.DONE, *world.api.pictures, completed_at=completed_at)
    finalize(world)
    assert stored_result(world)["lateness_seconds"] == lateness


def test_the_end_was_seen_by_the_look_that_found_it(world: World) -> None:
    waiting(world, PNG, PNG, looked_at=970, seen_at=993)
    finalize(world)
    assert stored_result(world)["lateness_seconds"] == 993 - MADE_AT


def test_looks_and_lateness_are_measured_once_for_each_job(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(world, PNG, PNG)
    for _ in range(2):
        finalize(world)
    out = capsys.readouterr().out
    assert [line["Polls"] for line in emitted(out, "Polls")] == [[3.0]]
    assert [line["LatenessSeconds"] for line in emitted(out, "LatenessSeconds")] == [[float(NOW - MADE_AT)]]


def test_what_was_never_sent_was_never_looked_at(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(outcome=Outcome.REJECTED, money=Money.NOT_MOVED, message="n: found 0.")
    waiting(world, state=State.DECIDED, verdict=verdict, polls=0, **TASKLESS)
    finalize(world)
    out = capsys.readouterr().out
    assert [emitted(out, name) for name in ("Polls", "LatenessSeconds")] == [[], []]
    assert world.durations.rows == {}


def test_a_job_teaches_once_how_long_its_task_took(world: World) -> None:
    waiting(world, PNG, PNG, looked_at=970, seen_at=993)
    for _ in range(2):
        finalize(world)
    took = Histogram().added(parts(Duration(MADE_AT - 960, MADE_AT - 960), PRIOR))
    assert world.durations.rows == dict.fromkeys(levels(ROW), took)


def test_a_job_ends_whether_or_not_it_can_teach(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.durations.is_gone = True
    waiting(world, PNG, PNG)
    assert finalize(world).outcome == "completed"
    assert row(world).state is State.ENDED
    assert emitted(capsys.readouterr().out, "DurationsUnavailable") != []


def test_pictures_that_are_stored_late_were_seen_before(world: World) -> None:
    left_unstored(world, [BROKEN, BROKEN, PNG], PNG)
    world.time += 500
    finalize(world)
    assert stored_result(world)["lateness_seconds"] == NOW - MADE_AT


def test_the_model_that_was_asked_and_the_one_that_answered(world: World) -> None:
    waiting(world, PNG, PNG)
    world.api.task = task(TaskState.DONE, *world.api.pictures, model="gpt-image-2-2026-11")
    told = finalize(world)
    assert (stored_result(world)["model"], stored_result(world)["model_answered"]) == (
        "gpt-image-2-vip",
        "gpt-image-2-2026-11",
    )
    assert told.model == "gpt-image-2-vip"


@pytest.mark.parametrize(
    ("key", "folder"), [("inbox/cat.png", None), ("inbox/poster/cat.png", "poster"), ("inbox/a/b é/c.png", "a/b é")]
)
def test_the_folder_of_the_drop_is_told(world: World, key: str, folder: str | None) -> None:
    waiting(world, PNG, PNG, source=world.inbox.put(key, PNG))
    assert finalize(world).folder == stored_result(world)["folder"] == folder


def test_a_line_of_a_batch_says_which(world: World) -> None:
    line = Line(number=17, start=1234, length=56)
    waiting(world, PNG, PNG, batch="cats-1", line=line, source=world.inbox.put("inbox/cats.jobs.jsonl", b""))
    told = finalize(world)
    assert (told.batch, told.line) == ("cats-1", 17)
    assert stored_result(world)["line"] == line.model_dump()


def test_every_object_says_whose_it_is(world: World) -> None:
    waiting(world, PNG, PNG, preset="poster", references=(world.inbox.put("inbox/cat.PNG", PNG),))
    finalize(world)
    tags = {"job": "cat-1", "model": "gpt-image-2-vip", "preset": "poster"}
    assert world.results.tags == dict.fromkeys([FIRST, SECOND, "results/cat-1/reference-1.png", PAGE, RESULT], tags)


# ---- The page --------------------------------------------------------------------------------------------------------

COPIES = ["results/cat-1/reference-1.jpeg", "results/cat-1/reference-2.png", "results/cat-1/mask.png"]


def with_references(world: World, **changes: Any) -> None:
    """A job of two references and a mask, each of which has a later version that is not meant."""
    pinned = [world.inbox.put(f"inbox/{name}", name.encode()) for name in ("a.JPEG", "b.png", "b.mask.png")]
    for version in pinned:
        world.inbox.put(version.key, b"another version")
    waiting(world, PNG, PNG, **{"references": tuple(pinned[:2]), "mask": pinned[2], **changes})


def test_what_the_pictures_were_made_of_is_copied_for_the_page(world: World) -> None:
    with_references(world)
    told = finalize(world)
    assert world.results.writes == [FIRST, SECOND, *COPIES, PAGE, RESULT]
    assert [world.results.versions[key] for key in COPIES] == [[b"a.JPEG"], [b"b.png"], [b"b.mask.png"]]
    assert [world.results.content_types[key] for key in COPIES] == ["image/jpeg", "image/png", "image/png"]
    assert [name for name in ("1.png", "2.png", *COPIES) if name.rpartition("/")[2] not in page(world)] == []
    assert told.page is not None
    assert (told.page.key, stored_result(world)["page"]) == (PAGE, PAGE)


@pytest.mark.parametrize(
    ("kind", "files"), [(ResultPage.WITHOUT_REFERENCES, [PAGE, RESULT]), (ResultPage.NONE, [RESULT])]
)
def test_the_page_and_the_copies_are_a_choice(world: World, kind: ResultPage, files: list[str]) -> None:
    world.finalize_settings = FINALIZE_SETTINGS.model_copy(update={"result_page": kind})
    with_references(world)
    told = finalize(world)
    assert world.results.writes == [FIRST, SECOND, *files]
    assert (told.page is None) is (kind is ResultPage.NONE)


def test_a_job_that_was_never_sent_has_a_page_too(world: World) -> None:
    verdict = Verdict(outcome=Outcome.REJECTED, money=Money.NOT_MOVED, message="n: found 0; allowed: 1 to 10.")
    waiting(world, state=State.DECIDED, verdict=verdict, **TASKLESS)
    assert finalize(world).page
    assert "n: found 0" in page(world)


DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": f"not {PROMPT}"}}, "CopyObject")


@pytest.mark.parametrize(
    ("broken", "problem", "reason"),
    [
        (COPIES[0], DENIED, "AccessDenied"),
        (COPIES[2], EndpointConnectionError(endpoint_url="https://s3"), "EndpointConnectionError"),
        (PAGE, DENIED, "AccessDenied"),
        (PAGE, ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_what_fails_beside_the_pictures_costs_the_job_nothing(
    world: World, logs: io.StringIO, broken: str, problem: Exception, reason: str
) -> None:
    with_references(world)
    world.results.problems[broken] = problem
    told = finalize(world)
    assert (told.outcome, len(told.pictures)) == (Outcome.COMPLETED, 2)
    assert world.results.writes == [key for key in (FIRST, SECOND, *COPIES, PAGE, RESULT) if key != broken]
    assert (told.page is None) is (broken == PAGE)
    (line,) = [line for line in logs.getvalue().splitlines() if broken in line]
    assert reason in line
    assert PROMPT not in line
    if told.page:
        assert f"./{broken.rpartition('/')[2]}" not in page(world)


def test_a_page_that_cannot_be_rendered_costs_the_job_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise RecursionError

    monkeypatch.setattr(display, "render", broken)
    waiting(world, PNG, PNG)
    told = finalize(world)
    assert (told.outcome, told.page, world.results.writes) == (Outcome.COMPLETED, None, [FIRST, SECOND, RESULT])


def test_copies_of_an_earlier_try_stay_and_its_page_does_not(world: World) -> None:
    """That try may have come to another end."""
    with_references(world)
    for key in (COPIES[1], PAGE):
        world.results.put(key, b"of an earlier try")
    world.results.writes.clear()
    finalize(world)
    assert world.results.writes == [FIRST, SECOND, COPIES[0], COPIES[2], PAGE, RESULT]
    assert "completed" in page(world)
    finalize(world)
    assert world.results.writes[-1] == RESULT, "what is told again is not written again"


def test_nothing_is_begun_beside_the_pictures_when_the_time_is_over(world: World) -> None:
    """The outcome has to be told before the invocation ends."""
    with_references(world)
    verdict = Verdict(outcome=Outcome.UNKNOWN, money=Money.UNKNOWN, message="as decided")
    world.ledger.rows["cat-1"] = row(world).model_copy(update={"state": State.DECIDED, "verdict": verdict})
    invocation = world.invocation(900)
    world.time += 861
    assert world.finalize("cat-1", None, invocation).page is None
    assert world.results.writes == [RESULT]


def test_logs_hold_no_secret(world: World, logs: io.StringIO) -> None:
    waiting(world, [BROKEN, BROKEN, PNG], PNG)
    with pytest.raises(ResultUnstored):
        finalize(world)
    finalize(world)
    text = logs.getvalue()
    assert "completed" in text
    assert '"error":"ResultUnstored"' in text
    assert [secret for secret in (PROMPT, "https://files") if secret in text] == []
