"""Nothing that the provider says can break the reading of it: the end is a known value or a documented error."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.adapters.answers import (
    MAX_ANSWER_BYTES,
    MAX_LINK_CHARACTERS,
    Answer,
    TaskState,
    read_submit,
    read_task,
    read_upload,
)
from bucketbrush.domain.errors import (
    AccountEmpty,
    BucketbrushError,
    ContentRefused,
    KeyRefused,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    SubmitUnanswered,
    TaskFailed,
    TaskUnreadable,
)
from tests.properties import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.properties
KEY = "sk-live-0123456789abcdef"
PROMPT = "paint a starry sky behind the cat"
SIGNED = "https://b.s3.amazonaws.com/inbox/cat.png?X-Amz-Signature=0f0f"
SECRETS = (KEY, PROMPT)
REFUSALS = {ProviderRefused, ContentRefused, AccountEmpty, KeyRefused}


def picked(values: list[Any]) -> st.SearchStrategy[Any]:
    """One of them, which hypothesis does not write out: some are large."""
    return st.integers(0, len(values) - 1).map(lambda index: values[index])


WORDS = picked(
    [
        *(
            "completed",
            " FAILED ",
            "failed",
            "error",
            "success",
            "queued",
            "generation_failed",
            "task_not_exist",
            "402",
        ),
        *("model_not_found", "insufficient_quota", "rate_limit_unavailable", "content_policy_violation", "tsk_img_01"),
        *("9" * 5000, "x" * 9000, "\ud800", "\u0000", "违规", "safety", KEY, PROMPT, SIGNED, f"bad: {PROMPT} {KEY}"),
    ]
)
NAMES = st.sampled_from(
    [
        *("id", "task_id", "status", "data", "result", "url", "error", "code", "type", "message", "success"),
        *("fail_reason", "progress", "created_at", "completed_at", "billing", "credits", "cost_usd"),
    ]
)
MOSTLY = st.sampled_from([True, True, True, False])
NUMBERS = (
    picked([float("nan"), float("inf"), 1e300, 0, -1, 50, 402, 422, 2**63, 10**4000, 1768381010, 1768381010.5])
    | st.floats()
)
LEAVES = WORDS | st.text(max_size=20) | st.none() | st.booleans() | st.integers() | NUMBERS
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6) | st.dictionaries(st.text(), inner)
    ),
    max_leaves=25,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)
# Answers as they should be, with something odd here and there.
URLS = st.integers(1, 150).map(lambda number: f"https://files.toapis.com/{number}.png") | WORDS
LINKS = st.lists(URLS | st.fixed_dictionaries({"url": URLS}) | LEAVES, max_size=120)
AMOUNTS = LEAVES | st.decimals(allow_nan=True, allow_infinity=True).map(str)
BILLINGS = st.fixed_dictionaries(
    {"status": st.sampled_from(["settled", " Settled", "refunded", "pending", "PENDING"]) | LEAVES},
    optional={"credits": AMOUNTS, "cost_usd": AMOUNTS},
)
ERRORS = st.fixed_dictionaries({}, optional={"code": LEAVES, "message": LEAVES, "type": LEAVES})
TASKS = st.fixed_dictionaries(
    {"status": st.sampled_from(["completed", " Failed ", "queued", "success", "error", "new"]) | LEAVES},
    optional={
        "id": WORDS | st.integers(-1, 10**9),
        "task_id": WORDS,
        "result": st.fixed_dictionaries({"data": LINKS}) | VALUES,
        "url": URLS,
        "data": LINKS | VALUES,
        "error": ERRORS | st.fixed_dictionaries({"error": ERRORS}) | LEAVES,
        "progress": NUMBERS | LEAVES,
        "created_at": NUMBERS,
        "completed_at": NUMBERS,
        "billing": BILLINGS | VALUES,
        "success": MOSTLY,
    },
)
UPLOADS = st.fixed_dictionaries({"data": st.fixed_dictionaries({"url": URLS | LEAVES})}, optional={"success": MOSTLY})
SHAPES = (
    TASKS
    | UPLOADS
    | st.fixed_dictionaries({"data": TASKS | st.lists(TASKS, max_size=2)}, optional={"success": MOSTLY})
    | st.fixed_dictionaries({"error": ERRORS | st.fixed_dictionaries({"error": ERRORS | WORDS}) | WORDS})
    | ERRORS
)
# What json cannot write: numbers beyond every type, and nesting beyond every stack.
ODD_TEXTS = picked(
    [
        b"",
        b"null",
        b"<!DOCTYPE html><title>524</title>",
        b'{"id": 1e999, "progress": -1e999, "created_at": 1e308}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"status": "completed", "progress": NaN, "created_at": Infinity}',
        b'{"status": "failed", "error": ' * 2000,
        b"[" * 200_000,
        b'{"data":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"error":' * 500 + b'"x"' + b"}" * 500,
        b'{"message": "\\ud800\\udfff\\ud800"}',
        b'\xef\xbb\xbf{"id": "tsk_1"}',
        b'{"id": "\xff\xfe"}',
        '{"id": "tsk_1", "status": "completed"}'.encode("utf-16"),
        b'{"message": "' + b"safety " * 20_000 + b'"}',
        b'{"url": [' + b'"https://f/1",' * 20_000 + b'"x"], "data": [' + b'"https://f/2", ' * 20_000 + b'"y"]}',
        b" " * MAX_ANSWER_BYTES + b"{}",
    ]
)


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


TEXTS = (
    SHAPES.map(written)
    | (OBJECTS | VALUES).map(written)
    | st.builds(lambda value, end: written(value)[:-end], OBJECTS | SHAPES, st.integers(1, 40))
    | st.builds(lambda value, at, junk: written(value)[:at] + junk, OBJECTS, st.integers(0, 60), st.binary(max_size=9))
    | ODD_TEXTS
    | st.binary(max_size=200)
)
DATES = st.sampled_from(["Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 99999 07:28:30 +9959", "soon", "7", "1.5", ""])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": DATES | st.text(max_size=40) | st.integers(-9, 10**12).map(str),
        "date": DATES | st.text(max_size=40),
        "content-encoding": st.sampled_from(["gzip", "deflate", "br", "identity", "gzip, gzip", ""]),
        "content-type": st.text(max_size=10),
    },
)
STATUSES = st.integers(100, 999) | st.sampled_from(
    [201, 202, 204, 301, 303, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503, 524]
)
ANSWERS = st.builds(
    lambda status, headers, body, packed: Answer(status, headers, gzip.compress(body, 1) if packed else body),
    st.sampled_from([200, 200, 200, 0]).flatmap(lambda usual: st.just(usual) if usual else STATUSES),
    HEADERS,
    SHAPES.map(written) | TEXTS,
    MOSTLY.map(lambda plain: not plain),
)
BOMB = Answer(200, {"content-encoding": "gzip"}, gzip.compress(bytes(64 * MAX_ANSWER_BYTES)))
WORST = b"[" + b"{}," * (MAX_ANSWER_BYTES // 3 - 2) + b"1]"


def outcome(read: Callable[[], Any]) -> Any:
    """What is read, or the documented error; its text is short, printable and without secrets."""
    try:
        return read()
    except BucketbrushError as error:
        problem = error
    assert_harmless(problem)
    return problem


def assert_harmless(problem: BucketbrushError) -> None:
    assert len(problem.message) < 600
    assert problem.message.isprintable()
    assert [secret for secret in (*SECRETS, "X-Amz-Signature") if secret in problem.message] == []


@PROPERTIES
@given(answer=ANSWERS)
@example(answer=BOMB)
@example(answer=Answer(200, {}, WORST))
def test_an_answer_to_a_submit_is_a_task_or_a_documented_error(answer: Answer) -> None:
    found = outcome(lambda: read_submit(answer, SECRETS))
    if isinstance(found, str):
        assert answer.is_success
        assert re.fullmatch(r"[!-~]{1,256}", found)
        assert KEY not in found
        return
    assert type(found) in {ProviderBusy, RateLimited, SubmitUnanswered, *REFUSALS}
    is_clear = (400 <= answer.status < 500 and answer.status not in (408, 409, 425, 499)) or answer.status in (
        *(301, 302, 307, 308),
        503,
    )
    assert is_clear or type(found) is SubmitUnanswered
    if isinstance(found, ProviderBusy):
        assert found.retry_after is None or 1 <= found.retry_after <= 3600


@PROPERTIES
@given(answer=ANSWERS)
@example(answer=BOMB)
@example(answer=Answer(200, {}, WORST))
def test_a_status_is_a_task_or_none_or_unreadable(answer: Answer) -> None:
    task = outcome(lambda: read_task("cat-1", answer, SECRETS))
    if isinstance(task, BucketbrushError):
        assert type(task) is TaskUnreadable
        assert task.refused_as in {None, *REFUSALS}
        assert len(task.message) < 80
        return
    if task is None:
        assert answer.status < 500
        return
    assert answer.is_success
    assert task.task_id == "cat-1"
    assert (task.problem is not None) is (task.state is TaskState.FAILED)
    assert len(task.status) <= 40
    assert task.status.isprintable()
    assert task.progress is None or 0 <= task.progress <= 100
    assert all(moment is None or 10**9 <= moment < 10**10 for moment in (task.created_at, task.completed_at))
    assert len(task.urls) <= 100
    assert len(set(task.urls)) == len(task.urls)
    assert all(0 < len(url) <= MAX_LINK_CHARACTERS + 1 for url in task.urls)
    assert (type(task.problem) in (ContentRefused, TaskFailed)) is (task.state is TaskState.FAILED)
    if task.problem:
        assert_harmless(task.problem)
    if task.bill:
        assert len(task.bill.status) <= 40
        assert task.bill.amount is None or 0 <= task.bill.amount <= 10**15
        assert task.bill.amount is None or task.bill.status in ("settled", "refunded")
        assert not (task.bill.is_pending and task.bill.is_kept)


@PROPERTIES
@given(answer=ANSWERS)
@example(answer=BOMB)
@example(answer=Answer(200, {}, WORST))
def test_an_answer_to_an_upload_is_a_link_or_a_documented_error(answer: Answer) -> None:
    found = outcome(lambda: read_upload(answer, SECRETS))
    assert isinstance(found, str) or type(found) in {ProviderBusy, RateLimited, *REFUSALS}
    if isinstance(found, str):
        assert answer.is_success
