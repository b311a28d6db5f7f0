"""One POST that may cost money and is never repeated, GETs read tolerantly, and a key that stays with its host."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.answers import Bill, Task, TaskState
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.errors import (
    AccountEmpty,
    BucketbrushError,
    ContentRefused,
    KeyRefused,
    LinkDead,
    Money,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RateLimited,
    ResultUnstored,
    SubmitUnanswered,
    TaskUnreadable,
)
from tests.contract.scripted import Answer, Scripted
from tests.waiting import until

if TYPE_CHECKING:
    from local.simulator import Simulator

KEY = "sk-live-0123456789abcdef"
PROMPT = 'paint "it" red,\nplease'
SIGNED = "https://b.s3.amazonaws.com/inbox/cat.png?X-Amz-Security-Token=t&X-Amz-Signature=0f0f"
BODY = {"model": "gpt-image-2-vip", "prompt": PROMPT, "reference_images": [SIGNED], "client_business_id": "cat-1"}
ECHO = {"code": "invalid_request", "message": f"bad: {KEY}, {PROMPT}, {SIGNED} and sk-another-key-123456"}
HTML = b"<!DOCTYPE html><title>524: A timeout occurred</title>"
PATH = "/v1/images/generations"


def error(code: Any = "internal_error", message: str = "no", kind: str = "some_error") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind}}


@pytest.fixture
def api(script: Scripted) -> ToApis:
    return ToApis(script.url, KEY, timeout=5)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_with_v1(script: Scripted, suffix: str) -> None:
    script.answer = Answer(body={"id": "tsk_1", "status": "queued"})
    api = ToApis(script.url + suffix, KEY, timeout=5)
    api.submit(BODY)
    api.read("tsk/1 é")
    assert [(asked.method, asked.path) for asked in script.asked] == [
        ("POST", PATH),
        ("GET", f"{PATH}/tsk%2F1%20%C3%A9"),
    ]
    assert json.loads(script.asked[0].body) == BODY
    assert {asked.headers["authorization"] for asked in script.asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "body",
    [
        {"id": "tsk_1", "status": "pending"},
        {"task_id": "tsk_1"},
        {"data": {"id": "tsk_1"}},
        {"data": {"task_id": "tsk_1"}},
        {"id": None, "task_id": "tsk_1"},
        {"id": "tsk_1", "data": {"id": "other"}},
        {"data": [{"task_id": "tsk_1"}, {"task_id": "other"}]},
        {"id": "two words", "task_id": "tsk_1"},
        {"id": "tsk_1", "status": "completed", "result": {"data": [{"url": "https://f/1"}]}},
        {"success": True, "data": {"id": "tsk_1", "status": "submitted"}},
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_task_id_is_found_wherever_it_stands(
    script: Scripted, api: ToApis, status: int, body: dict[str, Any]
) -> None:
    script.answer = Answer(status, body)
    assert api.submit(BODY) == "tsk_1"
    assert len(script.asked) == 1


UNANSWERED, REFUSED, BUSY, LIMITED = SubmitUnanswered, ProviderRefused, ProviderBusy, RateLimited


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(body={"status": "queued"}), UNANSWERED, "HTTP 200 without a task id"),
        (Answer(body={"id": 7.5}), UNANSWERED, "without a task id"),
        (Answer(body={"id": "x" * 257}), UNANSWERED, "without a task id"),
        (Answer(body={"id": ".."}), UNANSWERED, "without a task id"),
        (Answer(body={"id": KEY}), UNANSWERED, "without a task id"),
        (Answer(body={"success": False, "message": "try later"}), UNANSWERED, "without a task id, try later."),
        (Answer(body={"success": False, "data": {"id": "tsk_1"}}), UNANSWERED, "without a task id"),
        (Answer(body=b" " * 1024 * 1024 + b'{"id": "tsk_1"}'), UNANSWERED, "without a task id"),
        (Answer(body=b"upstream connect error"), UNANSWERED, "without a task id"),
        (Answer(body=b"[" * 100_000), UNANSWERED, "without a task id"),
        (Answer(body=["tsk_1"]), UNANSWERED, "without a task id"),
        (Answer(204), UNANSWERED, "HTTP 204"),
        (Answer(524, HTML), UNANSWERED, "HTTP 524, no error text"),
        (Answer(500, error()), UNANSWERED, "HTTP 500, internal_error: no"),
        (Answer(502, b"bad gateway"), UNANSWERED, "HTTP 502"),
        (Answer(504, HTML), UNANSWERED, "HTTP 504"),
        (Answer(503, HTML), UNANSWERED, "HTTP 503"),
        (Answer(503, error("upstream_error")), UNANSWERED, "HTTP 503, upstream_error"),
        (Answer(503, error(503, kind="server_error")), UNANSWERED, "HTTP 503"),
        (Answer(503, error("model_not_found")), REFUSED, "model_not_found"),
        (Answer(503, error("rate_limit_unavailable")), LIMITED, "rate_limit_unavailable"),
        (Answer(503, error("circuit_broken")), BUSY, "circuit_broken"),
        (Answer(429, error("rate_limit_exceeded")), LIMITED, "rate_limit_exceeded"),
        (Answer(429, HTML), LIMITED, "HTTP 429"),
        (Answer(408, error()), UNANSWERED, "HTTP 408"),
        (Answer(409, error("duplicate")), UNANSWERED, "HTTP 409"),
        (Answer(425, error()), UNANSWERED, "HTTP 425"),
        (Answer(499, HTML), UNANSWERED, "HTTP 499"),
        (Answer(400, error("invalid_request", "size is wrong")), REFUSED, "invalid_request: size is wrong"),
        (Answer(400, error(400, "size is wrong")), REFUSED, "400: size is wrong"),
        (Answer(400, {"code": "quota_not_enough", "message": "no"}), AccountEmpty, "quota_not_enough: no"),
        (Answer(400, {"success": False, "message": "bad field"}), REFUSED, "bad field"),
        (Answer(400, {"error": "bad field"}), REFUSED, "bad field"),
        (Answer(400, {"error": {"error": {"code": "c", "message": "bad field"}}}), REFUSED, "c: bad field"),
        (Answer(400, {"error": {"error": "bad field"}}), REFUSED, "400"),
        (Answer(400, {"error": [1]}), REFUSED, "no error text"),
        (Answer(401, error("unauthorized")), KeyRefused, "unauthorized"),
        (Answer(402, error("insufficient_quota")), AccountEmpty, "insufficient_quota"),
        (Answer(403, HTML), KeyRefused, "HTTP 403"),
        (Answer(404, HTML), REFUSED, "HTTP 404"),
        (Answer(413, b""), REFUSED, "HTTP 413"),
        (Answer(422, error("content_policy_violation")), ContentRefused, "content_policy_violation"),
        (Answer(303, headers={"Location": "/v1/elsewhere"}), UNANSWERED, "HTTP 303"),
        (Answer(307, headers={"Location": "/v1/elsewhere"}), REFUSED, "HTTP 307"),
        (Answer(301, headers={"Location": "https://example.com/"}), REFUSED, "HTTP 301"),
        (Answer(302, headers={"Location": "https://xn--/"}), UNANSWERED, "ended without an answer"),
        (Answer(None), UNANSWERED, "ended without an answer"),
        (Answer(200, b"{", length=100), UNANSWERED, "ended without an answer"),
        (Answer(200, b'{"id": "tsk_1"}', drips="body", length=-1), UNANSWERED, "ended without an answer (ReadTimeout)"),
        (Answer(200, drips="flood", length=-1), UNANSWERED, "HTTP 200 without a task id"),
    ],
)
def test_what_an_answer_to_a_submit_means(
    script: Scripted, answer: Answer, kind: type[BucketbrushError], words: str
) -> None:
    script.answer = answer
    api = ToApis(script.url, KEY, timeout=0.3 if answer.drips == "body" else 5)
    with pytest.raises(BucketbrushError) as caught:
        api.submit(BODY)
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert kind.money is (Money.UNKNOWN if kind is SubmitUnanswered else Money.NOT_MOVED)
    assert len(script.asked) == 1  # never repeated, no redirect followed


NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        ("7", None, 7),
        ("0", None, 1),
        ("3601", None, 3600),
        ("999999999", None, 3600),
        ("9" * 30, None, None),
        ("-5", None, None),
        ("1.5", None, 2),
        ("0.2", None, 1),
        ("1e3", None, None),
        ("soon", None, None),
        (None, None, None),
        ("7", NOW, 7),
        ("Wed, 21 Oct 2026 07:28:30 GMT", NOW, 30),
        ("Wed, 21 Oct 2026 09:28:30 +0200", NOW, 30),
        ("Wed, 21 Oct 2026 08:28:00 GMT", NOW, 3600),
        ("Thu, 22 Oct 2026 07:28:00 GMT", NOW, 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW, 3600),
        (NOW, NOW, 1),
        ("Wed, 21 Oct 2026 07:27:00 GMT", NOW, 1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", NOW, 1),
        ("Wed, 21 Oct 2026 07:28:30 GMT", None, None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "now", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 -0000", None),
        ("Wed, 41 Oct 2026 07:28:30 GMT", NOW, None),
        ("Wed, 21 Oct 2026 07:28:30 +9959", NOW, None),
        (f"Wed, 21 Oct {'9' * 30} 07:28:30 GMT", NOW, None),
        ("soon", NOW, None),
        (None, NOW, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_provider_names_its_time(
    script: Scripted, api: ToApis, status: int, header: str | None, date: str | None, seconds: int | None
) -> None:
    """A date counts from the answer's own: the two clocks need not agree."""
    headers = {name: value for name, value in (("Retry-After", header), ("Date", date)) if value}
    script.answer = Answer(status, error("rate_limit_unavailable"), headers)
    with pytest.raises(RateLimited) as caught:
        api.submit(BODY)
    assert caught.value.retry_after == seconds


def test_a_refused_connection_was_never_written() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        with pytest.raises(ProviderUnreachable, match="ConnectError"):
            ToApis(f"http://127.0.0.1:{unused.getsockname()[1]}", KEY, timeout=5).submit(BODY)


def test_an_address_that_is_none_gets_no_client() -> None:
    with pytest.raises(ValueError, match="allowed: https://host"):
        ToApis("http://127.0.0.1:80@evil.example", KEY, timeout=5)


def test_silence_is_a_lost_answer(script: Scripted) -> None:
    script.silent = True
    api = ToApis(script.url, KEY, timeout=0.2)
    with pytest.raises(SubmitUnanswered, match="ReadTimeout"):
        api.submit(BODY)
    with pytest.raises(TaskUnreadable, match="ReadTimeout"):
        api.read("tsk_1")
    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
@pytest.mark.parametrize("shape", [{"error": ECHO}, ECHO, {"error": ECHO["message"]}])
def test_an_echo_of_what_we_sent_is_removed(script: Scripted, api: ToApis, status: int, shape: dict[str, Any]) -> None:
    script.answer = Answer(status, shape)
    with pytest.raises(BucketbrushError) as caught:
        api.submit(BODY)
    assert "bad: " in str(caught.value)
    assert [secret for secret in (KEY, "paint", "X-Amz", "b.s3", "sk-") if secret in str(caught.value)] == []


def test_a_failed_task_does_not_echo_the_prompt(script: Scripted, api: ToApis) -> None:
    script.answer = Answer(body={"id": "tsk_1", "status": "failed", "error": ECHO})
    problem = api.read("tsk_1", prompt=PROMPT).problem
    assert problem is not None
    said = problem.message
    assert said.startswith("invalid_request: bad: [removed], [removed], [link removed]")
    assert [secret for secret in (KEY, "paint", "X-Amz", "sk-") if secret in said] == []


BEGAN, ENDED = 1768381010, 1768381063
DONE = {"id": "tsk_1", "status": "completed", "progress": 100, "created_at": BEGAN, "completed_at": ENDED}


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (DONE, {"state": TaskState.DONE, "progress": 100, "created_at": BEGAN, "completed_at": ENDED}),
        ({**DONE, "status": " COMPLETED\n"}, {"state": TaskState.DONE, "status": "COMPLETED"}),
        ({"status": "failed"}, {"state": TaskState.FAILED}),
        *[
            ({"status": word}, {"state": TaskState.WAITING, "status": word})
            for word in ("queued", "in_progress", "pending", "submitted", "processing", "cancelled", "expired", "新")
        ],
        ({"status": ""}, {"state": TaskState.WAITING, "status": ""}),
        ({"status": "x" * 400 + SIGNED}, {"state": TaskState.WAITING, "status": "x" * 40}),
        ({"status": "queued"}, {"progress": None, "created_at": None, "completed_at": None, "urls": ()}),
        *[({"status": "queued", "progress": odd}, {"progress": None}) for odd in ("50%", None, True, [1], {})],
        ({"status": "queued", "progress": 10**40}, {"progress": 100}),
        ({**DONE, "id": "img_other"}, {"task_id": "tsk_1"}),
        ({**DONE, "billing": {"status": "pending"}}, {"state": TaskState.DONE, "bill": Bill("pending")}),
        ({**DONE, "billing": {"status": "settled", "cost_usd": "0.0456"}}, {"bill": Bill("settled", 45_600)}),
        (DONE, {"bill": None}),
        ({**DONE, "result": {"data": [{"url": "https://f/1"}, {"url": "https://f/2"}]}}, {"urls": (1, 2)}),
        ({**DONE, "result": {"data": ["https://f/1"]}, "url": "https://f/9"}, {"urls": (1,)}),
        ({**DONE, "result": {"data": [{"url": "https://f/1"}] * 2}}, {"urls": (1,)}),
        ({**DONE, "result": {"data": [{"url": None}, {}, 7, {"url": "https://f/1"}]}}, {"urls": (1,)}),
        ({**DONE, "result": {"data": []}, "url": "https://f/1"}, {"urls": (1,)}),
        ({**DONE, "url": "https://f/1"}, {"urls": (1,)}),
        ({**DONE, "data": [{"url": "https://f/1"}, {"url": "https://f/2"}]}, {"urls": (1, 2)}),
        ({**DONE, "result": {"data": []}}, {"urls": ()}),
        ({**DONE, "result": "odd", "data": {"url": "https://f/1"}}, {"urls": (1,)}),
        ({"data": {**DONE, "result": {"data": ["https://f/1"]}}}, {"state": TaskState.DONE, "urls": (1,)}),
    ],
)
def test_a_status_is_read_tolerantly(script: Scripted, api: ToApis, body: dict[str, Any], seen: dict[str, Any]) -> None:
    script.answer = Answer(body=body if "data" in body else {"id": "tsk_1", **body})
    task = api.read("tsk_1")
    if "urls" in seen:
        seen = {**seen, "urls": tuple(f"https://f/{number}" for number in seen["urls"])}
    assert {name: getattr(task, name) for name in seen} == seen


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, error(404, "no such task", "not_found_error")),
        Answer(400, {"message": "task_not_exist"}),
        Answer(400, {"error": {"code": 400, "message": "task_not_exist"}}),
        Answer(200, {"success": False, "message": "task_not_exist"}),
    ],
)
def test_an_unknown_task_is_not_found_and_not_readable(script: Scripted, api: ToApis, answer: Answer) -> None:
    script.answer = answer
    assert api.find("cat-1") is None
    with pytest.raises(TaskUnreadable, match="knows no task cat-1") as caught:
        api.read("cat-1")
    assert type(caught.value) is TaskUnreadable  # its name is public


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, error()),
        Answer(524, HTML),
        Answer(429, error("rate_limit_exceeded")),
        Answer(401, error("unauthorized")),
        Answer(400, {"message": "another mistake"}),
        Answer(200, b"no json"),
        Answer(200, {"id": "tsk_1"}),
        Answer(200, {"status": 7}),
        Answer(200, [DONE]),
        Answer(302, headers={"Location": "/elsewhere"}),
        Answer(404, HTML),
        Answer(403, {"message": "task_not_exist"}),
        Answer(302, headers={"Location": "https://xn--/"}),
        Answer(500, {"message": "task_not_exist"}),
        Answer(200, {"success": False, "status": "failed"}),
        Answer(None),
        Answer(200, b"{", length=100),
        Answer(200, b'{"status": "failed"}', drips="body", length=-1),
    ],
)
def test_what_is_no_status_is_neither_a_task_nor_none(script: Scripted, answer: Answer) -> None:
    script.answer = answer
    api = ToApis(script.url, KEY, timeout=0.3 if answer.drips == "body" else 5)
    for look in (api.read, api.find):
        with pytest.raises(TaskUnreadable):
            look("tsk_1")
    assert len(script.asked) == 2


def test_an_unreadable_status_says_nothing_of_the_prompt(script: Scripted, api: ToApis) -> None:
    """Who asks for the status does not know the prompt, so nothing of the provider's text may come through."""
    script.answer = Answer(500, error("internal_error", "could not paint a secret garden"))
    with pytest.raises(TaskUnreadable, match=r"status: HTTP 500, internal_error\.") as caught:
        api.read("tsk_1")
    assert "garden" not in str(caught.value)


def fetch(api: ToApis, url: str) -> tuple[bytes, int | None]:
    with api.download(url) as (chunks, announced):
        return b"".join(chunks), announced


@pytest.mark.parametrize(("length", "announced"), [(None, 10), (-1, None)])
def test_a_picture_comes_with_its_announced_length_and_the_key_stays_here(
    script: Scripted, api: ToApis, length: int | None, announced: int | None
) -> None:
    script.answer = Answer(body=b"0123456789", length=length)
    assert fetch(api, f"{script.url}/a%20b.png?token=x%2Fy") == (b"0123456789", announced)
    (asked,) = script.asked
    assert (asked.path, asked.headers["accept-encoding"]) == ("/a%20b.png?token=x%2Fy", "identity")
    assert "authorization" not in asked.headers
    assert KEY not in str(asked)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(206, b"part"),
        Answer(300, headers={"Location": "/elsewhere.png"}),
        Answer(429),
        Answer(500),
        Answer(503),
        Answer(None),
        Answer(200, b"half", length=8),
        Answer(200, b"4\r\nhalf\r\n", {"Transfer-Encoding": "chunked"}, length=-1),
    ],
)
def test_what_may_come_at_the_next_try(script: Scripted, api: ToApis, answer: Answer) -> None:
    script.answer = answer
    with pytest.raises(ResultUnstored, match="result link: ") as caught:
        fetch(api, f"{script.url}/secret-name.png")
    assert type(caught.value) is ResultUnstored
    assert "secret-name" not in str(caught.value)
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_dead_link_is_told_from_other_trouble(script: Scripted, api: ToApis, status: int) -> None:
    script.answer = Answer(status)
    with pytest.raises(LinkDead, match=f"HTTP {status}; allowed: 200"):
        fetch(api, f"{script.url}/1.png")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://toapis.com", "http://files.toapis.com/1.png"),
        ("https://toapis.com", "http://127.0.0.1:1/1.png"),
        ("http://127.0.0.1:1", "http://files.toapis.com/1.png"),
        ("https://toapis.com", "file:///etc/passwd"),
        ("https://toapis.com", "ftp://127.0.0.1/1.png"),
        ("https://toapis.com", "data:image/png;base64,AAAA"),
        ("https://toapis.com", "/images/1.png"),
        ("https://toapis.com", ""),
        ("https://toapis.com", "https://"),
        ("https://toapis.com", "https:///1.png"),
        ("http://127.0.0.1:1", "http://[bad/1.png"),
        ("https://toapis.com", "https://files:port/1.png"),
        ("https://toapis.com", "https://files/\x00.png"),
    ],
)
def test_a_link_that_must_not_or_cannot_be_followed(base: str, url: str) -> None:
    with pytest.raises(LinkDead, match="allowed: https"):
        fetch(ToApis(base, KEY, timeout=5), url)


def test_a_fault_of_the_reader_passes_through(script: Scripted, api: ToApis) -> None:
    script.answer = Answer(body=b"0123456789")

    def read() -> None:
        with api.download(script.url):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


def test_every_request_has_a_connection_of_its_own(script: Scripted, api: ToApis) -> None:
    script.answer = Answer(body={"id": "tsk_1", "status": "queued"}, keep_open=True)
    for _ in range(3):
        api.submit(BODY)
        api.read("tsk_1")
    assert len({asked.port for asked in script.asked}) == 6


def finished(api: ToApis, name: str) -> Task:
    return until(lambda: api.read(name), f"the end of task {name}", lambda task: task.state is not TaskState.WAITING)


@pytest.mark.parametrize("model", ["gpt-image-1.5-official", "gpt-image-2-vip"])
def test_the_simulator_takes_and_makes_what_we_ask_for(simulator: Simulator, model: str) -> None:
    api = ToApis(simulator.base_url, simulator.api_key, timeout=10)
    task_id = api.submit({"model": model, "prompt": "a red square", "n": 2, "client_business_id": "cat-1"})
    task = finished(api, task_id)
    assert (task.state, len(task.urls), task.bill) == (TaskState.DONE, 2, Bill("settled", 30_000))
    for url in task.urls:
        content, announced = fetch(api, url)
        assert content.startswith(b"\x89PNG")
        assert len(content) == announced
    found = api.find("cat-1")
    assert found is not None
    assert found.urls == task.urls
    assert api.find("cat-2") is None
    assert simulator.health()["keys_sent_to_files"] == 0


@pytest.mark.parametrize(
    ("fault", "kind", "tasks"),
    [
        ("submit-429", RateLimited, 0),
        ("submit-429-date", RateLimited, 0),
        ("submit-503-rate", RateLimited, 0),
        ("submit-503-model", ProviderRefused, 0),
        ("submit-401", KeyRefused, 0),
        ("submit-402", AccountEmpty, 0),
        ("submit-422", ContentRefused, 0),
        ("submit-500", SubmitUnanswered, 0),
        ("submit-drop", SubmitUnanswered, 0),
        ("submit-html-524", SubmitUnanswered, 0),
        ("submit-500-accepted", SubmitUnanswered, 1),
        ("submit-drop-answer", SubmitUnanswered, 1),
        ("submit-html-524-accepted", SubmitUnanswered, 1),
        ("submit-unreadable", SubmitUnanswered, 1),
    ],
)
def test_whenever_a_task_may_exist_it_is_not_called_unpaid(
    simulator: Simulator, fault: str, kind: type[BucketbrushError], tasks: int
) -> None:
    api = ToApis(simulator.base_url, simulator.api_key, timeout=10)
    simulator.fault(fault)
    with pytest.raises(kind):
        api.submit({"model": "gpt-image-2-vip", "prompt": "p", "client_business_id": "cat-1"})
    assert len(simulator.tasks()) == tasks
    assert (api.find("cat-1") is not None) is bool(tasks)
