"""Verdicts, result.json and the announcement."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain import errors, verdicts
from bucketbrush.domain.errors import (
    AGAIN,
    OF_LINE,
    ApiKeyMissing,
    BucketbrushError,
    BudgetExceeded,
    ContentRefused,
    DeparturesFull,
    Money,
    ProviderRefused,
    RecipeInvalid,
    TaskFailed,
    TaskUnfinished,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Job, Line, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.pictures import PictureFormat, Pixels
from bucketbrush.domain.result import (
    LateNotice,
    Picture,
    Result,
    StoredObject,
    SubmittedNotice,
    TaskFacts,
    announcement_of,
    make_result,
    verdict_of,
)
from bucketbrush.domain.verdicts import STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPT = "paint a starry sky behind the cat"
SOURCE = ObjectVersion(bucket="in", key="inbox/cat é.png", version_id="v1", etag="e", size=9)
PRESET = ObjectVersion(bucket="in", key="presets/poster.json", version_id="v7")
SIDECAR = ObjectVersion(bucket="in", key="inbox/cat é.png.json", version_id="v3")
LINE = Line(number=17, start=1234, length=56)
JOB = Job(
    job_id="cat-1-2",
    state=State.WAITING,
    created_at=100,
    source=SOURCE,
    checksum="crc64nvme:AAAA",
    batch="cats-1",
    line=LINE,
    preset="poster",
    preset_version=PRESET,
    sidecar=SIDECAR,
    recipe={"model": "gpt-image-2-vip", "prompt": PROMPT, "n": 2},
    references=(SOURCE,),
    again_of="cat-1",
    attempt=2,
    resends=1,
    task_id="tsk_1",
    polls=3,
    requested_at=90,
    submitting_at=100,
    submitted_at=101,
    estimated=38_000,
)
PICTURES = tuple(
    Picture(key=f"results/cat-1-2/{i}.png", bytes=7, format=PictureFormat.PNG, pixels=Pixels(3, 2), sha256="0")
    for i in (1, 2)
)
TASK = TaskFacts(model="answerer", created_at=110, completed_at=190, seen_at=197, billed=30_000)
SUBMITTING = JOB.model_copy(update={"state": State.SUBMITTING, "task_id": None})
ACCEPTED = JOB.model_copy(update={"state": State.ACCEPTED, "task_id": None})
WITHOUT_RECIPE = JOB.model_copy(update={"recipe": None})
NOT, MOVED, MAYBE = Money.NOT_MOVED, Money.MOVED, Money.UNKNOWN
REJECTION = RecipeInvalid("n: found 0.")
NO_KEY = ApiKeyMissing("secret x: found no value.")
REFUSAL = ProviderRefused("HTTP 402.")
TOO_DEAR = BudgetExceeded("budget 2026-11: found 1.00 USD spent.")
FULL = DeparturesFull("departures: found all taken.")
IN_CONSOLE = ["may have been paid", "client_business_id cat-1-2", "only if it is not there"]
GOES_ON = ["task tsk_1 goes on", "no way to cancel", "paid when it completes", "24 hours"]
PAID = "The task tsk_1 is paid."
PAYS_AGAIN = "Running it again pays again"
HELD = ACCEPTED.model_copy(update={"hold_reason": "RateLimited"})
BAD = "Picture 2: found HTML."
BOOM = TaskFailed("boom.")
UNSAFE = ContentRefused("not safe.")
QUEUED = TaskUnfinished("it queued.")


def failed(problem: ContentRefused | TaskFailed, *, is_kept: bool = False, stopped: bool = False) -> Verdict:
    return verdicts.failed(problem, is_kept=is_kept, stopped=stopped)


@pytest.mark.parametrize(
    ("verdict", "outcome", "money", "words"),
    [
        (verdicts.explained(Outcome.REJECTED, REJECTION), "rejected", NOT, ["n: found 0.", "nothing was paid", AGAIN]),
        (verdicts.explained(Outcome.REJECTED, NO_KEY), "rejected", NOT, ["put-secret-value", "not paid", AGAIN]),
        (
            verdicts.explained(Outcome.REJECTED, TOO_DEAR),
            "rejected",
            NOT,
            ["1.00 USD", "MonthlyBudgetUsd", "not", AGAIN],
        ),
        (
            verdicts.explained(Outcome.EXPIRED, FULL),
            "expired",
            NOT,
            ["all taken", "SubmitsPerSecond", "nothing was paid", AGAIN],
        ),
        (verdicts.explained(Outcome.FAILED, REFUSAL), "failed", NOT, ["HTTP 402.", "Nothing was paid", AGAIN]),
        (failed(BOOM), "failed", NOT, ["as failed: boom.", "refunds", "Nothing was paid", AGAIN]),
        (failed(UNSAFE), "failed", NOT, ["as failed: not safe.", "refunds", "change the prompt", AGAIN]),
        (failed(BOOM, is_kept=True), "failed", MAYBE, ["as failed: boom.", "may have been paid", "settled"]),
        (verdicts.unknown(SUBMITTING, "Lost."), "unknown", MAYBE, ["Lost.", *IN_CONSOLE, AGAIN]),
        (
            verdicts.never_sent(HELD, 86_401, 86_400),
            "expired",
            NOT,
            [
                "for 86,401 s (RateLimited)",
                "MaxQueueSeconds allows 86,400",
                "Nothing was sent and nothing was paid",
                AGAIN,
            ],
        ),
        (
            verdicts.without_task(ACCEPTED, "States.Timeout"),
            "rejected",
            NOT,
            ["States.Timeout", "nothing was paid", "log says why", AGAIN],
        ),
        (verdicts.without_task(ACCEPTED, None), "rejected", NOT, ["no reason known", "nothing was paid", AGAIN]),
        (verdicts.without_task(ACCEPTED, STOPPED), "cancelled", NOT, ["was stopped", "nothing was paid", AGAIN]),
        (verdicts.without_task(SUBMITTING, "States.Timeout"), "unknown", MAYBE, ["States.Timeout", *IN_CONSOLE]),
        (verdicts.without_task(SUBMITTING, None), "unknown", MAYBE, ["no reason known", *IN_CONSOLE]),
        (verdicts.without_task(SUBMITTING, STOPPED), "cancelled", MAYBE, ["was stopped", *IN_CONSOLE]),
        (
            verdicts.expired(JOB, QUEUED, 21_600),
            "expired",
            MOVED,
            ["21,600 s after", "it queued.", *GOES_ON, "which pays again, look there"],
        ),
        (verdicts.cancelled(JOB, QUEUED), "cancelled", MOVED, ["was stopped. it queued. The", *GOES_ON]),
        (failed(BOOM, stopped=True), "cancelled", NOT, ["was stopped", "boom.", "refunds", AGAIN]),
        (failed(UNSAFE, stopped=True), "cancelled", NOT, ["was stopped", "not safe.", "change the prompt", AGAIN]),
        (verdicts.stored(JOB, 2, []), "completed", MOVED, ["2 of 2"]),
        (verdicts.stored(JOB, 3, []), "completed", MOVED, ["3 of 2"]),
        (verdicts.stored(JOB, 1, []), "partial", MOVED, ["1 of 2", "delivered no more", PAID, PAYS_AGAIN]),
        (verdicts.stored(JOB, 1, [BAD]), "partial", MOVED, ["1 of 2", BAD, PAID, PAYS_AGAIN, "support"]),
        (verdicts.stored(JOB, 2, [BAD]), "completed", MOVED, ["2 of 2"]),
        (verdicts.stored(JOB, 0, [BAD, BAD]), "lost", MOVED, ["0 of 2", BAD, PAID, PAYS_AGAIN, "support"]),
        (verdicts.stored(JOB, 0, []), "lost", MOVED, ["0 of 2", "delivered no more", PAID]),
        (verdicts.stored(WITHOUT_RECIPE, 1, []), "completed", MOVED, ["1 of 1"]),
        (verdicts.stored(JOB, 2, [], stopped=True), "cancelled", MOVED, ["was stopped", "2 of 2", PAID]),
        (verdicts.stored(JOB, 1, [BAD], stopped=True), "cancelled", MOVED, ["stopped", "1 of 2", BAD, PAYS_AGAIN]),
        (verdicts.stored(JOB, 0, [], stopped=True), "cancelled", MOVED, ["stopped", "0 of 2", PAID, PAYS_AGAIN]),
    ],
)
def test_a_verdict_says_what_happened_whether_money_moved_and_what_to_do_next(
    verdict: Verdict, outcome: str, money: Money, words: list[str]
) -> None:
    assert (verdict.outcome, verdict.money) == (outcome, money)
    assert [word for word in words if word not in verdict.message] == []


# What comes from outside, as it comes: without words about money.
OUTSIDE = st.text("abcxyz0189:_ ", min_size=1, max_size=30).map(lambda text: f"{text.strip() or 'x'}.")
JOBS = st.builds(
    lambda state, n: JOB.model_copy(update={"state": state, "recipe": {"n": n} if n else None}),
    st.sampled_from(State),
    st.integers(0, 10),
)
SECONDS = st.integers(1, 10**6)
PROBLEMS = st.sampled_from([REJECTION, NO_KEY, REFUSAL, UNSAFE, TOO_DEAR, FULL])
FAILURES = st.builds(TaskFailed, OUTSIDE) | st.builds(ContentRefused, OUTSIDE)
LOOKS = st.builds(TaskUnreadable, OUTSIDE) | st.builds(TaskUnfinished, OUTSIDE)
VERDICTS: dict[Callable[..., Verdict], st.SearchStrategy[Verdict]] = {
    verdicts.explained: st.builds(
        verdicts.explained, st.sampled_from([Outcome.REJECTED, Outcome.FAILED, Outcome.EXPIRED]), PROBLEMS
    ),
    verdicts.failed: st.builds(verdicts.failed, FAILURES, is_kept=st.booleans(), stopped=st.booleans()),
    verdicts.unknown: st.builds(verdicts.unknown, JOBS, OUTSIDE),
    verdicts.never_sent: st.builds(verdicts.never_sent, JOBS, SECONDS, SECONDS),
    verdicts.without_task: st.builds(
        verdicts.without_task,
        JOBS.filter(lambda job: job.state.before_task),
        st.none() | st.sampled_from([STOPPED, "FAILED", "TIMED_OUT", "Lambda.Unknown"]),
    ),
    verdicts.expired: st.builds(verdicts.expired, JOBS, LOOKS, SECONDS),
    verdicts.cancelled: st.builds(verdicts.cancelled, JOBS, LOOKS),
    verdicts.stored: st.builds(
        verdicts.stored, JOBS, st.integers(0, 10), st.lists(OUTSIDE, max_size=3), stopped=st.booleans()
    ),
}


def test_every_verdict_is_looked_at() -> None:
    public = {
        function
        for name, function in inspect.getmembers(verdicts, inspect.isfunction)
        if function.__module__ == verdicts.__name__ and not name.startswith("_")
    }
    assert set(VERDICTS) == public - {verdicts.said_of}


@given(job=JOBS, verdict=st.one_of(*VERDICTS.values()))
def test_nobody_is_told_to_drop_a_whole_batch_again_for_one_line(job: Job, verdict: Verdict) -> None:
    line = job.model_copy(update={"line": Line(number=3, start=0, length=9)})
    said = verdicts.said_of(line, verdict).message
    assert AGAIN not in said
    assert (OF_LINE in said) is (AGAIN in verdict.message)
    assert verdicts.said_of(job.model_copy(update={"line": None}), verdict) == verdict


@given(verdict=st.one_of(*VERDICTS.values()))
def test_the_text_and_the_field_say_the_same_about_money(verdict: Verdict) -> None:
    says_free = bool(re.search(r"[Nn]othing was paid|was not paid", verdict.message))
    assert says_free is (verdict.money is NOT)
    assert ("may have been paid" in verdict.message) is (verdict.money is MAYBE)
    says_paid = PAID in verdict.message or "it is paid when it completes" in verdict.message
    assert says_paid is (verdict.money is MOVED and verdict.outcome is not Outcome.COMPLETED)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (verdicts.explained(Outcome.REJECTED, REJECTION), "RecipeInvalid"),
        (verdicts.explained(Outcome.FAILED, UNSAFE), "ContentRefused"),
        (verdicts.explained(Outcome.REJECTED, TOO_DEAR), "BudgetExceeded"),
        (verdicts.explained(Outcome.EXPIRED, FULL), "DeparturesFull"),
        (failed(UNSAFE), "ContentRefused"),
        (failed(BOOM), "TaskFailed"),
        (verdicts.unknown(SUBMITTING, "Lost."), "SubmitUnanswered"),
        (verdicts.without_task(SUBMITTING, "States.Timeout"), "SubmitUnanswered"),
        (verdicts.without_task(ACCEPTED, "States.Timeout"), "States.Timeout"),
        (verdicts.expired(JOB, QUEUED, 21_600), "TaskUnfinished"),
        (verdicts.stored(JOB, 1, [BAD]), "ResultUnstored"),
        (verdicts.stored(JOB, 0, []), "ResultUnstored"),
    ],
)
def test_a_verdict_names_the_error_that_decided_it(verdict: Verdict, reason: str) -> None:
    assert verdict.reason == reason


@given(verdict=st.one_of(*VERDICTS.values()))
def test_a_reason_is_an_error_and_only_stopping_waiting_and_success_need_none(verdict: Verdict) -> None:
    classes = inspect.getmembers(errors, inspect.isclass)
    known = {name for name, kind in classes if issubclass(kind, BucketbrushError)}
    assert verdict.reason in {None, "FAILED", "TIMED_OUT", "Lambda.Unknown", *known}
    if verdict.outcome in (Outcome.COMPLETED, Outcome.CANCELLED):
        assert verdict.reason is None
    elif verdict.reason is None:
        assert "MaxQueueSeconds" in verdict.message or "no reason known" in verdict.message


@given(verdict=st.one_of(*VERDICTS.values()))
def test_only_what_is_free_is_run_again_without_a_warning(verdict: Verdict) -> None:
    assert (AGAIN in verdict.message) is (verdict.money is not MOVED)
    if verdict.money is MAYBE:
        assert re.search(rf"only if (?:it is not there|nothing was kept) {re.escape(AGAIN)}", verdict.message)


@given(verdict=st.one_of(*VERDICTS.values()))
def test_an_outcome_allows_for_some_money_only(verdict: Verdict) -> None:
    possible = {
        Outcome.COMPLETED: {MOVED},
        Outcome.PARTIAL: {MOVED},
        Outcome.LOST: {MOVED},
        Outcome.REJECTED: {NOT},
        Outcome.FAILED: {NOT, MAYBE},
        Outcome.UNKNOWN: {MAYBE},
        Outcome.EXPIRED: {NOT, MOVED},
        Outcome.CANCELLED: {NOT, MOVED, MAYBE},
    }
    assert verdict.money in possible[verdict.outcome]


def result(outcome: Outcome = Outcome.COMPLETED) -> Result:
    verdict = Verdict(outcome=outcome, money=MOVED, message="2 of 2.")
    return make_result(JOB, verdict, 200, PICTURES, TASK, "cats/red")


def test_the_result_tells_the_whole_story() -> None:
    assert result().model_dump(mode="json") == {
        "schema_version": 1,
        "job_id": "cat-1-2",
        "attempt": 2,
        "again_of": "cat-1",
        "outcome": "completed",
        "reason": None,
        "money": "moved",
        "message": "2 of 2.",
        "folder": "cats/red",
        "preset": "poster",
        "preset_version": PRESET.model_dump(),
        "source": SOURCE.model_dump() | {"checksum": "crc64nvme:AAAA"},
        "batch": "cats-1",
        "line": {"number": 17, "start": 1234, "length": 56},
        "sidecar": SIDECAR.model_dump(),
        "recipe": JOB.recipe,
        "references": [SOURCE.model_dump()],
        "mask": None,
        "model": "gpt-image-2-vip",
        "model_answered": "answerer",
        "task_id": "tsk_1",
        "resends": 1,
        "pictures": [
            {
                "key": f"results/cat-1-2/{number}.png",
                "bytes": 7,
                "format": "png",
                "pixels": {"width": 3, "height": 2},
                "sha256": "0",
            }
            for number in (1, 2)
        ],
        "page": None,
        "polls": 3,
        "requested_at": 90,
        "created_at": 100,
        "submitting_at": 100,
        "submitted_at": 101,
        "task_created_at": 110,
        "task_completed_at": 190,
        "lateness_seconds": 7,
        "ended_at": 200,
        "estimated_usd": 0.038,
        "billed_usd": 0.03,
    }


def test_telling_twice_tells_the_same_bytes() -> None:
    reread = Result.model_validate_json(result().model_dump_json())
    texts = {
        announcement_of(it, "out", "results/cat-1-2/result.json").model_dump_json()
        for it in (result(), result(), reread)
    }
    assert len(texts) == 1


def test_the_announcement_points_and_holds_no_prompt() -> None:
    told = announcement_of(result(), "out", "results/cat-1-2/result.json")
    assert PROMPT not in told.model_dump_json()
    assert "http" not in told.model_dump_json()
    assert told.reason is None
    assert (told.id, told.job_id, told.outcome, told.money, told.preset, told.model) == (
        "cat-1-2",
        "cat-1-2",
        "completed",
        "moved",
        "poster",
        "gpt-image-2-vip",
    )
    assert (told.estimated_usd, told.billed_usd) == (0.038, 0.03)
    assert (told.folder, told.batch, told.line, told.page) == ("cats/red", "cats-1", 17, None)
    assert told.result.model_dump() == {"bucket": "out", "key": "results/cat-1-2/result.json"}
    assert [picture.key for picture in told.pictures] == [picture.key for picture in PICTURES]


def test_the_announcement_points_to_the_page_where_there_is_one() -> None:
    it = result().model_copy(update={"page": "results/cat-1-2/index.html"})
    told = announcement_of(it, "out", "results/cat-1-2/result.json")
    assert told.page == StoredObject(bucket="out", key="results/cat-1-2/index.html")


def test_a_job_without_recipe_is_announced_too() -> None:
    bare = Job(job_id="x", state=State.DECIDED, created_at=1)
    told = announcement_of(make_result(bare, Verdict(outcome=Outcome.REJECTED, money=NOT, message="m"), 2), "out", "k")
    assert (told.model, told.preset, told.source, told.pictures) == (None, None, None, ())
    assert (told.estimated_usd, told.billed_usd) == (None, None)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("money", Money)
def test_a_result_gives_its_verdict_back(outcome: Outcome, money: Money) -> None:
    verdict = Verdict(outcome=outcome, reason="TaskFailed", money=money, message="m")
    assert verdict_of(make_result(JOB, verdict, 200)) == verdict


def test_a_result_of_a_newer_version_is_told_all_the_same() -> None:
    newer = result().model_dump() | {"a_later_field": True}
    assert Result.model_validate(newer) == result()


def test_a_result_of_an_older_version_says_nothing_of_the_cost() -> None:
    older = {name: value for name, value in result().model_dump().items() if not name.endswith("_usd")}
    told = announcement_of(Result.model_validate(older), "out", "k")
    assert (told.estimated_usd, told.billed_usd) == (None, None)


def test_the_notice_of_a_submit_holds_no_prompt() -> None:
    named = {"schema_version", "job_id", "task_id", "preset", "model", "source", "batch", "line", "submitted_at"}
    assert set(SubmittedNotice.model_fields) == named | {"estimated_usd"}


def test_a_late_notice_holds_no_prompt_and_no_more_than_it_says() -> None:
    assert set(LateNotice.model_fields) == {"schema_version", "job_id", "task_id", "preset", "submitted_at", "message"}
