"""What each shape of an answer means; the shapes are those of the provider's pages and of what others met."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from bucketbrush.adapters.answers import (
    MAX_ANSWER_BYTES,
    MAX_LINK_CHARACTERS,
    Answer,
    Bill,
    Task,
    TaskState,
    read_submit,
    read_task,
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

KEY = "sk-live-0123456789abcdef"
PROMPT = "a warning: prohibited area, safety first"


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def submit(body: Any, status: int = 200, **headers: str) -> str:
    return read_submit(answer(body, status, **headers), (KEY, PROMPT))


def task(body: Any) -> Task:
    found = read_task("cat-1", answer(body), (KEY, PROMPT))
    assert found is not None
    return found


def told(code: Any, message: str = "no", kind: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind}}


# ---- Submit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"id": "tsk_img_01KPT"}, "tsk_img_01KPT"),
        ({"id": 42}, "42"),
        ({"data": {"task_id": 42}}, "42"),
        ({"data": [{"id": "tsk_1"}]}, "tsk_1"),
        ({"id": "x" * 256}, "x" * 256),
        ({"id": "a/b?c#d%2F"}, "a/b?c#d%2F"),
        ({"id": 0, "task_id": "tsk_1"}, "tsk_1"),
        ({"id": "", "data": {"id": "tsk_1"}}, "tsk_1"),
        ({"id": "tsk_1", "error": None, "success": None}, "tsk_1"),
        (b'\xef\xbb\xbf{"id": "tsk_1"}', "tsk_1"),
        ('{"id": "tsk_1"}'.encode("utf-16"), "tsk_1"),
        ({"code": 0, "message": "ok", "data": {"task_id": "tsk_1"}}, "tsk_1"),
        ({"code": "success", "data": {"task_id": "tsk_1", "status": "submitted"}}, "tsk_1"),
        ({"id": "tsk_1", "type": "image"}, "tsk_1"),
    ],
)
def test_a_task_id_is_taken(body: Any, task_id: str) -> None:
    assert submit(body) == task_id


@pytest.mark.parametrize(
    "body",
    [
        *[{"id": odd} for odd in (0, -1, True, 1.0, None, [], {}, "", " ", "a b", "a\n", "é", "x" * 257, ".", "..")],
        {"id": 10**256},
        {"id": KEY},
        {"id": f"tsk-{KEY}"},
        {"id": "https://files.toapis.com/1.png"},
        {"data": []},
        {"data": [[], {"id": "tsk_1"}]},
        {"success": False, "id": "tsk_1"},
        [{"id": "tsk_1"}],
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "\xff"}',
        b'{"id": "tsk_1"',
        b'{"id": "tsk_1"}' + b" " * MAX_ANSWER_BYTES,
        b"",
    ],
)
def test_what_is_no_task_id_leaves_the_money_unknown(body: Any) -> None:
    with pytest.raises(SubmitUnanswered, match="HTTP 200 without a task id") as caught:
        submit(body)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_answer_is_read_within_bounds(pack: Any) -> None:
    """Nobody asked for it; a small one may stand for gigabytes."""
    headers = {"content-encoding": "deflate" if pack is zlib.compress else "GZIP"}
    assert submit(pack(b'{"id": "tsk_1"}'), **headers) == "tsk_1"
    for body in (
        pack(b" " * MAX_ANSWER_BYTES + b'{"id": "tsk_1"}'),
        pack(b'{"id": "tsk_1"}')[:-12],
        b"no such packing",
    ):
        with pytest.raises(SubmitUnanswered):
            submit(body, **headers)


def test_a_bomb_is_never_unpacked_as_a_whole() -> None:
    bomb = gzip.compress(bytes(64 * MAX_ANSWER_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(SubmitUnanswered):
            submit(bomb, **{"content-encoding": "gzip"})
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_ANSWER_BYTES
    finally:
        tracemalloc.stop()


CONTENT, MONEY, NO_KEY, REFUSED, BUSY, LIMITED, UNCLEAR = (
    ContentRefused,
    AccountEmpty,
    KeyRefused,
    ProviderRefused,
    ProviderBusy,
    RateLimited,
    SubmitUnanswered,
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, told("invalid_request", kind="invalid_request_error"), REFUSED),
        (400, told(500, "upstream timeout"), SubmitUnanswered),
        (400, told(409, "duplicate client_business_id"), SubmitUnanswered),
        (400, told("504"), SubmitUnanswered),
        (429, told(500, "slow down"), RateLimited),
        (400, told("invalid_reference_images"), REFUSED),
        (400, told("webhook_not_configured"), REFUSED),
        (404, told(404, kind="not_found_error"), REFUSED),
        (413, b"", REFUSED),
        (451, b"<html>", REFUSED),
        # The content
        (422, told("invalid"), CONTENT),
        (422, b"", CONTENT),
        (400, told(422), CONTENT),
        (400, told("422"), CONTENT),
        (400, told("content_policy_violation"), CONTENT),
        (400, told("content_policy"), CONTENT),
        (403, told("content_policy_violation"), CONTENT),
        (400, told(None, kind="content_filter"), CONTENT),
        (400, told("InputImageSensitiveContentDetected.PrivacyInformation"), CONTENT),
        (400, {"message": "prompt violates our usage policies"}, CONTENT),
        (400, {"error": "内容违规 请修改提示词"}, CONTENT),
        (400, told("invalid_request", "the moderation service timed out"), REFUSED),
        (400, told("invalid_request", f"cannot use the prompt {PROMPT}"), REFUSED),
        # Money
        (402, b"", MONEY),
        (402, told("content_policy_violation"), MONEY),
        (400, told("insufficient_quota"), MONEY),
        (401, told("insufficient_quota"), MONEY),
        (403, told(None, kind="insufficient_quota"), MONEY),
        (429, told("insufficient_quota"), MONEY),
        (400, told(402), MONEY),
        (400, told("402"), MONEY),
        (403, {"code": "quota_not_enough", "message": "no"}, MONEY),
        (403, {"message": "user quota is not enough"}, MONEY),
        (403, {"error": "用户余额不足"}, MONEY),
        # The key
        (401, told("unauthorized", kind="authentication_error"), NO_KEY),
        (403, b"<html>", NO_KEY),
        (403, told("forbidden", "this key's policy does not allow the model"), NO_KEY),
        (400, told(401), NO_KEY),
        (404, told("403"), NO_KEY),
        # For now
        (429, told("rate_limit_exceeded", "rate limit policy"), LIMITED),
        (429, told(None, kind="rate_limit_error"), LIMITED),
        (400, told(429), LIMITED),
        (503, told(503, kind="rate_limit_unavailable"), LIMITED),
        (503, told("circuit_broken", "all channels unavailable"), BUSY),
        (503, told("model_not_found", "no available channel"), REFUSED),
        # A task may have been made, whatever the words say
        (408, told("insufficient_quota"), UNCLEAR),
        (409, told("content_policy_violation"), UNCLEAR),
        (425, told(401), UNCLEAR),
        (499, b"", UNCLEAR),
        (500, told("insufficient_quota"), UNCLEAR),
        (500, told(422), UNCLEAR),
        (503, told("no_such_code", "no available channel"), UNCLEAR),
        (503, told(429), UNCLEAR),
        (524, b"<html>", UNCLEAR),
        (303, b"", UNCLEAR),
        (300, told(401), UNCLEAR),
        (101, b"", UNCLEAR),
        (307, told(401), REFUSED),
    ],
)
def test_the_tree_of_errors(status: int, body: Any, kind: type[BucketbrushError]) -> None:
    with pytest.raises(BucketbrushError, match=f"submit: HTTP {status}, ") as caught:
        submit(body, status)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (told("c", "m"), "c: m."),
        (told(7, "m"), "7: m."),
        (told(None, "m!"), "m!"),
        (told("c", ""), "c."),
        ({"error": {"code": "c", "message": "m"}}, "c: m."),
        ({"error": {"error": {"error": {"code": "c", "message": "m"}}}}, "c: m."),
        ({"error": {"error": {"error": {"error": {"error": {"code": "c"}}}}}}, "no error text."),
        ({"error": {"error": "m"}}, "m."),
        ({"error": "m"}, "m."),
        ({"error": "", "message": "m"}, "m."),
        ({"error": {}, "message": "m"}, "m."),
        ({"error": [1], "code": "c", "message": "m"}, "c: m."),
        ({"error": "m", "code": "c"}, "c: m."),
        ({"success": False, "message": "m"}, "m."),
        ({"code": "c", "message": "m"}, "c: m."),
        ({"message": "m。"}, "m。"),
        ({"fail_reason": "m"}, "m."),
        ({"message": ["m"], "code": True}, "no error text."),
        ({"message": "a\ud800b\u0000c\u202ed"}, "a b c d."),
        (["m"], "no error text."),
        (b"<html>m</html>", "no error text."),
        (b"", "no error text."),
    ],
)
def test_an_error_says_what_the_provider_says(body: Any, text: str) -> None:
    with pytest.raises(ProviderRefused) as caught:
        submit(body, 400)
    assert caught.value.message == f"submit: HTTP 400, {text}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1.5", 2),
        ("\u0663", None),
        ("9" * 9, 3600),
        ("", None),
        ("1" * 99, None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2026 07:28:30 -0000", None),
        ("Wed, 21 Oct 99999999999999 07:28:30", None),
    ],
)
@pytest.mark.parametrize(("status", "code"), [(429, "busy"), (503, "rate_limit_unavailable"), (503, "circuit_broken")])
def test_a_busy_provider_names_its_time(status: int, code: str, header: str, seconds: int | None) -> None:
    headers = {"retry-after": header, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    with pytest.raises(ProviderBusy) as caught:
        submit(told(code), status, **headers)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "server_busy", "message": "no"}, "id": "req_1"},
        {"code": "quota_not_enough", "id": "req_1"},
        {"code": "quota_not_enough", "message": "no", "data": {"id": "req_1"}},
        {"error": "busy", "task_id": "req_1"},
    ],
)
def test_an_error_beside_an_id_is_no_task(body: Any) -> None:
    with pytest.raises(SubmitUnanswered):
        read_submit(answer(body), (KEY, PROMPT))


@pytest.mark.parametrize(
    ("billing", "is_kept"),
    [
        ({"status": "settled", "credits": "3", "cost_usd": "0.015"}, True),
        ({"status": "settled", "cost_usd": 0.5}, True),
        ({"status": "Settled"}, True),
        ({"status": "settled", "credits": "0", "cost_usd": "0.000"}, False),
        ({"status": "refunded", "credits": "3"}, False),
        ({"status": "pending"}, False),
        ("settled", False),
        (None, False),
    ],
)
def test_billing_says_whether_money_was_kept(billing: Any, is_kept: bool) -> None:
    bill = task({"id": "tsk_1", "status": "failed", "billing": billing}).bill
    assert bool(bill and bill.is_kept) is is_kept


@pytest.mark.parametrize(
    ("billing", "status", "amount"),
    [
        ({"status": "settled", "credits": "3", "cost_usd": "0.015"}, "settled", 15_000),
        ({"status": "settled", "cost_usd": 0.015}, "settled", 15_000),
        ({"status": "settled", "cost_usd": 2}, "settled", 2_000_000),
        ({"status": "settled", "cost_usd": " 0.015 "}, "settled", 15_000),
        ({"status": "settled", "cost_usd": "1.5e-3"}, "settled", 1500),
        ({"status": "settled", "cost_usd": 1e-05}, "settled", 10),
        ({"status": "settled", "cost_usd": "0.0000001"}, "settled", 1),
        ({"status": "settled", "cost_usd": "0"}, "settled", 0),
        ({"status": "settled", "cost_usd": 999_999}, "settled", 999_999_000_000),
        # 200 credits are 1 USD
        ({"status": "settled", "credits": "3"}, "settled", 15_000),
        ({"status": "settled", "credits": 200}, "settled", 1_000_000),
        ({"status": "settled", "credits": "200", "cost_usd": None}, "settled", 1_000_000),
        ({"status": "settled", "credits": "200", "cost_usd": "soon"}, "settled", 1_000_000),
        ({"status": "settled", "credits": "200", "cost_usd": "0"}, "settled", 1_000_000),  # the dearer of the two
        ({"status": "SETTLED\n", "credits": "1"}, "settled", 5000),
        ({"status": "Refunded", "credits": "0", "cost_usd": "0"}, "refunded", 0),
        ({"status": "refunded"}, "refunded", 0),
        ({"status": "refunded", "credits": "3", "cost_usd": "0.015"}, "refunded", 0),
        # Not known yet, whatever stands beside it
        ({"status": "pending"}, "pending", None),
        ({"status": "Pending", "credits": "3", "cost_usd": "0.015"}, "pending", None),
        ({"status": "reserved", "cost_usd": "0.015"}, "reserved", None),
        ({"cost_usd": "0.015"}, "", None),
        ({"status": 7, "cost_usd": "0.015"}, "", None),
        ({}, "", None),
    ],
)
def test_a_bill_is_read_in_millionths_of_a_dollar(billing: Any, status: str, amount: int | None) -> None:
    bill = task({"id": "tsk_1", "status": "completed", "billing": billing}).bill
    assert bill == Bill(status, amount)
    assert bill.is_pending is (status == "pending")


@pytest.mark.parametrize(
    "odd",
    [
        *("", "free", "-0.015", "+1", "0x1", "1,5", "1_000", ".5", "1.", "NaN", "Infinity", "\u0663", "0.015 USD"),
        *("1" * 10, "0." + "1" * 21, "1e999", "1e99", "1e30"),
        *(-1, -0.5, True, None, [], {}, ["0.015"], {"usd": "0.015"}),
        *(float("nan"), float("inf"), 10**10, 10**400, 1e300, 1e30),
    ],
)
def test_an_amount_that_cannot_be_read_is_not_known(odd: Any) -> None:
    """Not known is not 0: what a failed task was settled with may have been paid."""
    for billing in ({"cost_usd": odd}, {"credits": odd}, {"cost_usd": odd, "credits": odd}):
        bill = task({"id": "tsk_1", "status": "completed", "billing": {"status": "settled", **billing}}).bill
        assert bill == Bill("settled", None)
        assert bill.is_kept


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("gpt-image-2-vip", "gpt-image-2-vip"),
        (" vendor/model:2026-11 ", "vendor/model:2026-11"),
        ("m" * 100, "m" * 100),
        ("m" * 101, None),
        ("", None),
        ("two words", None),
        ("line\nbreak", None),
        ("\ud800", None),
        (KEY, None),
        (f"m-{KEY}", None),
        (7, None),
        (None, None),
        (["gpt-image-2"], None),
        ({"name": "gpt-image-2"}, None),
    ],
)
def test_the_model_that_answered_is_a_name_or_none(value: Any, found: str | None) -> None:
    assert task({"id": "tsk_1", "status": "completed", "model": value}).model == found


def test_a_task_may_not_name_its_model() -> None:
    assert task({"id": "tsk_1", "status": "completed"}).model is None


@pytest.mark.parametrize("billing", [None, "settled", 7, [], [{"status": "settled", "cost_usd": "1"}]])
def test_without_a_bill_there_is_none(billing: Any) -> None:
    assert task({"id": "tsk_1", "status": "completed", "billing": billing}).bill is None
    assert task({"id": "tsk_1", "status": "completed"}).bill is None


# ---- Status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state"),
    [
        *[(word, TaskState.DONE) for word in ("completed", "complete", "succeeded", "success", "finished")],
        *[(word, TaskState.FAILED) for word in ("failed", "failure", "error")],
        *[(word, TaskState.WAITING) for word in ("queued", "in_progress", "pending", "submitted", "processing")],
        # No page documents these as ends: a job that is called over may be run again and paid twice.
        *[(word, TaskState.WAITING) for word in ("cancelled", "canceled", "expired", "timeout", "done?", "", "新")],
    ],
)
def test_a_status_is_waiting_done_or_failed(word: str, state: TaskState) -> None:
    for spelling in (word, word.upper(), f"\n {word}\u3000"):
        found = task({"id": "tsk_1", "status": spelling})
        assert (found.state, bool(found.problem)) == (state, state is TaskState.FAILED)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"status": "success", "data": {"id": "tsk_1", "status": "queued"}}, TaskState.WAITING),
        ({"status": "error", "data": {"id": "tsk_1", "status": "completed"}}, TaskState.DONE),
        ({"status": "success", "url": "https://f/1"}, TaskState.DONE),
        ({"task_id": "tsk_1", "status": "error"}, TaskState.FAILED),
        ({"id": "tsk_1", "status": "completed", "data": {"status": "queued"}}, TaskState.DONE),
        ({"id": "tsk_1", "data": {"status": "completed"}}, TaskState.DONE),
        ({"code": 0, "data": {"id": "tsk_1", "status": "finished"}}, TaskState.DONE),
    ],
)
def test_the_envelope_is_not_taken_for_the_task(body: dict[str, Any], state: TaskState) -> None:
    assert task(body).state is state


@pytest.mark.parametrize(
    "body",
    [
        {"status": "failed", "message": "database busy"},
        {"status": "error", "message": "try later"},
        {"status": "completed"},
        {"status": "success", "data": None},
        {"status": "pending"},
        {"code": 500, "message": "busy", "data": {"status": "error"}},
        {"code": 0, "data": {"status": "success"}},
        {"data": {"status": "failed", "message": "busy"}},
    ],
)
def test_a_status_without_a_task_is_the_envelopes(body: dict[str, Any]) -> None:
    """Calling a paid task failed for it would have it paid twice, and a look-up would find a task that nobody saw."""
    with pytest.raises(TaskUnreadable):
        read_task("cat-1", answer(body), (KEY, PROMPT))


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ({"result": {"data": [{"url": "u1"}, "u2"]}, "url": "u9", "data": ["u8"]}, ["u1", "u2"]),
        ({"result": {"data": []}, "url": "u1", "data": ["u9"]}, ["u1"]),
        ({"result": {"url": "u1"}, "url": "u9"}, ["u1"]),
        ({"result": {"data": {"url": "u1"}}}, ["u1"]),
        ({"data": ["u1", {"url": "u2"}, "u1"]}, ["u1", "u2"]),
        ({"result": ["u1", {"url": "u2"}], "data": ["u9"]}, ["u1", "u2"]),
        ({"result": "https://f/1", "url": "u9"}, ["https://f/1"]),
        ({"result": "ready", "url": "u1"}, ["u1"]),
        ({"data": {"result": {"data": [{"url": "u1"}]}}}, ["u1"]),
        ({"data": {"data": [{"url": ["u1"]}]}}, ["u1"]),
        ({"result": {"data": "none"}, "url": "u1"}, ["u1"]),
        ({"data": {"url": "u1"}}, ["u1"]),
        ({"data": "u1"}, []),
        ({"url": ["u1"]}, ["u1"]),
        ({"data": [{"url": "u1", "revised_prompt": "x"}, {"b64_json": "x"}, None, 7, ""]}, ["u1"]),
        ({"url": " https://f/%2F?a=+b&c=%20\u732b "}, ["https://f/%2F?a=+b&c=%20\u732b"]),
    ],
)
def test_links_are_found_in_order_and_kept_as_they_came(body: dict[str, Any], urls: list[str]) -> None:
    assert list(task({"id": "tsk_1", "status": "completed", **body}).urls) == urls


def test_links_are_bounded_in_number_and_length_without_moving() -> None:
    given = ["x" * 10**5, *[f"https://f/{number}" for number in range(200)]]
    urls = task({"id": "tsk_1", "status": "completed", "data": given}).urls
    assert (len(urls), len(urls[0]), urls[1]) == (100, MAX_LINK_CHARACTERS + 1, "https://f/0")


@pytest.mark.parametrize(
    ("value", "progress", "moment"),
    [
        (50, 50, None),
        (99.9, 99, None),
        (101, 100, None),
        (-5, 0, None),
        (10**40, 100, None),
        (1e300, 100, None),
        (float("nan"), None, None),
        (float("inf"), None, None),
        ("50", None, None),
        (True, None, None),
        (None, None, None),
        (1768381010, 100, 1768381010),
        (1768381010.7, 100, 1768381010),
        (1768381010123, 100, None),
        ("2026-10-21T07:28:00Z", None, None),
    ],
)
def test_odd_numbers_do_no_harm(value: Any, progress: int | None, moment: int | None) -> None:
    found = task({"id": "tsk_1", "status": "queued", "progress": value, "created_at": value, "completed_at": value})
    assert (found.progress, found.created_at, found.completed_at) == (progress, moment, moment)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (told("generation_failed", "call upstream API failed: upstream returned status 422"), ContentRefused),
        (told("generation_failed", "request rejected by the safety system"), ContentRefused),
        (told("generation_failed", "Your prompt was flagged by Moderation"), ContentRefused),
        (told("generation_failed", "sensitive words detected"), ContentRefused),
        (told("generation_failed", "PROHIBITED_CONTENT"), ContentRefused),
        (told("generation_failed", "finish reason: content_filter"), ContentRefused),
        (told("generation_failed", "图片包含敏感内容"), ContentRefused),
        (told("generation_failed", "审核不通过"), ContentRefused),
        (told("generation_failed", "内容安全检测未通过"), ContentRefused),
        (told("content_policy_violation"), ContentRefused),
        (told("RealPersonDetected.PrivacyInformation"), ContentRefused),
        (told(422), ContentRefused),
        (told("422"), ContentRefused),
        ({"fail_reason": "violates our policy"}, ContentRefused),
        ({"error": "内容违规"}, ContentRefused),
        (told("generation_failed", "safety check timeout"), TaskFailed),
        (told("generation_failed", "safety check timed out"), TaskFailed),
        (told("generation_failed", "the moderation service is unavailable"), TaskFailed),
        (told("generation_failed", "safety service: upstream returned status 503"), TaskFailed),
        (told("generation_failed", "安全审核超时"), TaskFailed),
        (told("generation_failed", "无法建立安全连接"), TaskFailed),
        (told("generation_failed", "rate limit policy"), TaskFailed),
        (told("generation_failed", "case-sensitive name not found"), TaskFailed),
        (told("generation_failed", "upstream returned status 500"), TaskFailed),
        (told("generation_failed", "took 422 s"), TaskFailed),
        (told("generation_failed", "upstream said status 4220"), TaskFailed),
        (told("generation_failed", f"could not paint {PROMPT}"), TaskFailed),
        (told("internal_error", "系统繁忙"), TaskFailed),
        ({}, TaskFailed),
    ],
)
def test_a_refusal_of_the_content_is_told_from_a_failure(error: dict[str, Any], kind: type[BucketbrushError]) -> None:
    for body in ({"id": "tsk_1", "status": "failed", **error}, {"data": {"id": "tsk_1", "status": "failed", **error}}):
        assert type(task(body).problem) is kind


def test_a_failure_is_told_in_the_providers_words_without_ours() -> None:
    problem = task(
        {"id": "tsk_1", "status": "failed", **told("generation_failed", f"{PROMPT} with {KEY} at https://f/1")}
    ).problem
    assert problem is not None
    assert problem.message == "generation_failed: [removed] with [removed] at [link removed]."


@pytest.mark.parametrize(
    ("status", "body", "refused_as"),
    [
        (401, b"", KeyRefused),
        (403, b"<html>", KeyRefused),
        (402, b"", AccountEmpty),
        (403, told("insufficient_quota"), AccountEmpty),
        (400, told("invalid_request"), ProviderRefused),
        (429, told("rate_limit_exceeded"), None),
        (500, told(401), None),
        (200, b"<html>", None),
        (200, {"success": False, "message": "no"}, None),
        (200, {"id": "tsk_1", "status": 7}, None),
        (200, {"id": "tsk_1", "status": None, "data": [{"status": "completed"}]}, None),
        (302, b"", None),
    ],
)
def test_an_unreadable_status_knows_whether_the_look_was_refused(status: int, body: Any, refused_as: Any) -> None:
    with pytest.raises(TaskUnreadable) as caught:
        read_task("cat-1", answer(body, status), (KEY,))
    assert (type(caught.value), caught.value.refused_as) == (TaskUnreadable, refused_as)


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry-after": "17"}, 17), ({"retry-after": "soon"}, None), ({}, None)]
)
@pytest.mark.parametrize(("status", "body"), [(429, told("rate_limit_exceeded")), (503, b"<html>"), (401, told("no"))])
def test_a_status_that_is_not_readable_names_its_time(
    status: int, body: Any, headers: dict[str, str], seconds: int | None
) -> None:
    with pytest.raises(TaskUnreadable) as caught:
        read_task("cat-1", answer(body, status, **headers), (KEY,))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (told("internal_error", "a secret garden"), "internal_error"),
        (told(500, kind="server_error"), "server_error"),
        (told("could not paint a secret garden"), "no error code"),
        (told("x" * 41), "no error code"),
        (told(KEY), "[removed]"),
        ({"message": "a secret garden"}, "no error code"),
    ],
)
def test_an_unreadable_status_tells_a_code_and_no_words(error: dict[str, Any], text: str) -> None:
    with pytest.raises(TaskUnreadable) as caught:
        read_task("cat-1", answer(error, 500), (KEY,))
    assert caught.value.message == f"status: HTTP 500, {text}."
