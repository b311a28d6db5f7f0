"""Each fault of a task and of its status queries does what its description says."""

from __future__ import annotations

import base64
import io
import json
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

GENERATIONS = "/v1/images/generations"


SIGNED = ["https://references.test/1.png?X-Amz-Signature=one", "https://references.test/2.png?X-Amz-Signature=two"]


@pytest.mark.parametrize(("name", "text"), [("task-failed", "status 500"), ("task-moderated", "safety system")])
def test_a_failed_task(simulator_api, name, text):
    body = simulator_api.finished(simulator_api.accepted(prompt=f"fault:{name}"))

    assert body["error"]["code"] == "generation_failed"
    assert text in body["error"]["message"]
    assert body["billing"]["status"] == "refunded"


def test_task_failed_echo(simulator_api):
    prompt = "a wish fault:task-failed-echo"
    body = simulator_api.finished(simulator_api.accepted(prompt=prompt, image_urls=SIGNED, mask_url=f"{SIGNED[0]}&m"))

    message = body["error"]["message"]
    assert all(part in message for part in (prompt, *SIGNED, f"{SIGNED[0]}&m"))


UPSTREAM = "call upstream API failed: upstream returned status 500"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("text", UPSTREAM),
        ("nested", {"error": {"code": "generation_failed", "message": UPSTREAM}}),
        ("fail_reason", None),
        ("number", {"code": 500, "message": UPSTREAM}),
        ("nothing", None),
        ("policy-violation", {"code": "content_policy_violation", "message": "the prompt was refused"}),
        ("policy", {"code": "content_policy", "message": "the prompt was refused"}),
        (
            "privacy",
            {
                "code": "InputImageSensitiveContentDetected.PrivacyInformation",
                "message": "a real person was found",
            },
        ),
    ],
)
def test_failed_shape(simulator_api, value, error):
    body = simulator_api.finished(simulator_api.accepted(prompt=f"fault:failed-shape={value}"))

    assert body["status"] == "failed"
    assert body.get("error") == error
    assert ("error" in body) is (error is not None)
    assert body.get("fail_reason") == (UPSTREAM if value == "fail_reason" else None)


def test_failed_shape_in_chinese(simulator_api):
    error = simulator_api.finished(simulator_api.accepted(prompt="fault:failed-shape=policy-zh"))["error"]

    assert error["code"] == "generation_failed"
    assert error["message"].endswith("\u672a\u901a\u8fc7\u5b89\u5168\u5ba1\u6838")  # did not pass the safety review


@pytest.mark.parametrize("word", ["error", "failure", "FAILED"])
def test_failed_word(simulator, simulator_api, word):
    task_id = simulator_api.accepted(prompt=f"fault:failed-word={word}")
    body = simulator_api.polled_until(task_id, lambda body: body["status"] == word)

    assert "status 500" in body["error"]["message"]
    assert body["billing"]["status"] == "refunded"
    assert "result" not in body
    assert simulator.tasks()[0]["status"] == "failed"


def test_hang(simulator_api):
    hung, other = simulator_api.accepted(prompt="fault:hang"), simulator_api.accepted()
    simulator_api.finished(other)

    assert simulator_api.status(hung).json()["status"] == "in_progress"


@pytest.mark.parametrize(("n", "marker", "made"), [(3, "fault:fewer-pictures", 2), (3, "fault:fewer-pictures=9", 1)])
def test_fewer_pictures(simulator_api, n, marker, made):
    body = simulator_api.finished(simulator_api.accepted(prompt=marker, n=n))

    assert len(body["result"]["data"]) == made


@pytest.mark.parametrize(
    ("name", "times", "status"),
    [("status-500", 3, 500), ("status-429", 1, 429), ("status-html-524", 1, 524), ("late-lookup", 2, 404)],
)
def test_a_status_query_fails_for_a_while(simulator_api, name, times, status):
    task_id = simulator_api.accepted(prompt=f"fault:{name}")

    assert [simulator_api.status(task_id).status_code for _ in range(times + 1)] == [*[status] * times, 200]


def test_status_429_says_when(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-429=3")

    assert simulator_api.status(task_id).headers["Retry-After"] == "3"


def test_status_429_date(simulator_api):
    answer = simulator_api.status(simulator_api.accepted(prompt="fault:status-429-date=60"))

    assert answer.status_code == 429
    assert 50 < parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - time.time() < 70


@pytest.mark.parametrize(
    ("value", "code"),
    [("401", "unauthorized"), ("402", "insufficient_quota"), ("403", "forbidden"), ("503", "internal_error")],
)
def test_status_error(simulator_api, value, code):
    task_id = simulator_api.accepted(prompt=f"fault:status-error={value}")
    answer = simulator_api.status(task_id)

    assert (answer.status_code, answer.json()["error"]["code"]) == (int(value), code)
    assert simulator_api.status(task_id).status_code == 200


def test_status_drop(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-drop")

    with pytest.raises(httpx.RemoteProtocolError):
        simulator_api.status(task_id)
    assert simulator_api.status(task_id).status_code == 200


def test_status_unreadable(simulator_api):
    answer = simulator_api.status(simulator_api.accepted(prompt="fault:status-unreadable"))

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_status_empty(simulator_api):
    answer = simulator_api.status(simulator_api.accepted(prompt="fault:status-empty"))

    assert (answer.status_code, answer.content) == (200, b"")


def test_status_truncated(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-truncated")

    with pytest.raises(httpx.RemoteProtocolError, match=r"received \d+ bytes, expected \d+"):
        simulator_api.status(task_id)
    assert simulator_api.status(task_id).status_code == 200


def test_status_half_json(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-half-json")
    answer = simulator_api.status(task_id)

    assert (answer.status_code, answer.text[0]) == (200, "{")
    with pytest.raises(ValueError, match="line 1 column"):
        answer.json()
    assert simulator_api.status(task_id).json()["id"] == task_id


def test_status_slow(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-slow=0.3")
    began = time.monotonic()

    assert simulator_api.status(task_id).json()["id"] == task_id
    assert time.monotonic() - began > 0.27


def test_status_drip(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-drip=0.3")
    pieces, began = [], time.monotonic()
    with simulator_api.client.stream("GET", f"{GENERATIONS}/{task_id}") as answer:
        pieces = list(answer.iter_raw())

    assert time.monotonic() - began > 0.27
    assert len(pieces) > 5
    assert json.loads(b"".join(pieces))["id"] == task_id
    assert len(b"".join(pieces)) == int(answer.headers["content-length"])


def test_status_endless(simulator_api):
    answer = simulator_api.status(simulator_api.accepted(prompt="fault:status-endless=3"))

    assert "content-length" not in answer.headers
    assert len(answer.content) == 3 << 20
    assert answer.json()["status"] in ("queued", "in_progress")


def test_status_without_end(simulator_api):
    path, received = f"{GENERATIONS}/{simulator_api.accepted(prompt='fault:status-endless=inf')}", 0
    with simulator_api.client.stream("GET", path) as answer:
        for piece in answer.iter_raw():
            received += len(piece)
            if received > 64 << 20:
                break

    assert received > 64 << 20


def test_status_echo(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-echo")
    answer = simulator_api.status(task_id)

    assert answer.status_code == 500
    assert simulator_api.client.headers["authorization"] in answer.json()["error"]["message"]
    assert str(answer.request.url) in answer.json()["error"]["message"]
    assert simulator_api.status(task_id).status_code == 200


def test_flapping(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:flapping=2")
    simulator_api.finished(task_id)
    bodies = [simulator_api.status(task_id).json() for _ in range(5)]

    turns = ["in_progress", "completed"]
    assert [body["status"] for body in bodies] == [*turns, *turns, "completed"]
    assert ["result" in body for body in bodies] == [body["status"] == "completed" for body in bodies]


def test_failed_for_now(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:failed-for-now=2", client_business_id="job-1")
    bodies = [simulator_api.status(task_id).json() for _ in range(3)]

    assert [body["status"] == "failed" for body in bodies] == [True, True, False]
    assert bodies[0]["error"]["code"] == "generation_failed"
    assert bodies[0]["billing"]["status"] == "refunded"
    assert {body["client_business_id"] for body in bodies} == {"job-1"}
    assert simulator_api.finished(task_id)["status"] == "completed"


def test_unknown_status(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:unknown-status")

    assert [simulator_api.status(task_id).json()["status"] for _ in range(3)] == ["reviewing"] * 3
    assert simulator_api.finished(task_id)["status"] == "completed"


@pytest.mark.parametrize("word", ["success", "succeeded", "complete", "finished", "COMPLETED"])
def test_done_word(simulator_api, word):
    task_id = simulator_api.accepted(prompt=f"fault:done-word={word}")
    body = simulator_api.polled_until(task_id, lambda body: body["status"] == word)

    assert len(body["result"]["data"]) == 1
    assert body["billing"]["status"] == "settled"


@pytest.mark.parametrize("word", ["cancelled", "expired", "submitted", "pending", "processing"])
def test_waiting_word(simulator, simulator_api, word):
    task_id = simulator_api.accepted(prompt=f"fault:waiting-word={word}")
    assert simulator_api.status(task_id).json()["status"] == word
    while simulator.tasks()[0]["status"] != "completed":
        simulator_api.status(task_id)
    body = simulator_api.status(task_id).json()

    assert (body["status"], body["billing"]) == (word, {"status": "pending"})
    assert not body.keys() & {"result", "completed_at", "expires_at", "usage"}


def test_undeliverable_yet(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:undeliverable-yet=2")
    body = simulator_api.polled_until(task_id, lambda body: body["progress"] == 100)

    assert body["status"] == "in_progress"
    assert "result" not in body
    assert simulator_api.status(task_id).json()["status"] == "in_progress"
    assert simulator_api.status(task_id).json()["status"] == "completed"


def test_other_body_id(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:other-body-id")

    assert simulator_api.finished(task_id)["id"] == "img_0123456789abcdef0123456789abcdef"


def test_no_billing(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:no-billing"))

    assert not body.keys() & {"billing", "usage"}


def test_billing_pending(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:billing-pending"))

    assert (body["status"], body["billing"]) == ("completed", {"status": "pending"})


def test_billing_pending_for_a_while(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:billing-pending=2")
    bodies = [simulator_api.finished(task_id), *(simulator_api.status(task_id).json() for _ in range(2))]

    assert {body["status"] for body in bodies} == {"completed"}
    assert [body["billing"]["status"] for body in bodies] == ["pending", "pending", "settled"]


@pytest.mark.parametrize(
    ("marker", "cost_usd", "credit"),
    [
        ("fault:billing-amount", "0.02", "4"),
        ("fault:billing-amount=2", "2", "400"),
        ("fault:billing-amount=0.0125", "0.0125", "2.5"),
    ],
)
def test_billing_amount(simulator_api, marker, cost_usd, credit):
    body = simulator_api.finished(simulator_api.accepted(prompt=marker, n=3))

    assert body["billing"] == {"status": "settled", "credits": credit, "cost_usd": cost_usd}


@pytest.mark.parametrize(
    "prompt", ["fault:billing-amount fault:billing-pending=1", "fault:billing-pending=1 fault:billing-amount"]
)
def test_an_amount_that_comes_later(simulator_api, prompt):
    task_id = simulator_api.accepted(prompt=prompt)

    assert simulator_api.finished(task_id)["billing"] == {"status": "pending"}
    assert simulator_api.status(task_id).json()["billing"]["cost_usd"] == "0.02"


def test_a_failed_task_is_refunded_whatever_the_amount(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:task-failed fault:billing-amount=2"))

    assert body["billing"] == {"status": "refunded", "credits": "0", "cost_usd": "0"}


def test_no_expiry(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:no-expiry"))

    assert "completed_at" in body
    assert "expires_at" not in body


def test_result_type(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:result-type"))

    assert (body["result"]["type"], len(body["result"]["data"])) == ("video", 1)


def test_nested_body(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:nested-body")
    body = simulator_api.polled_until(task_id, lambda body: body["data"]["status"] == "completed")

    assert body.keys() == {"success", "message", "data"}
    assert (body["data"]["id"], len(body["data"]["result"]["data"])) == (task_id, 1)


@pytest.mark.parametrize(
    ("value", "progress"),
    [("missing", "missing"), ("null", None), ("text", "half done"), ("too-much", 250), ("negative", -1)],
)
def test_odd_progress(simulator_api, value, progress):
    task_id = simulator_api.accepted(prompt=f"fault:odd-progress={value}")

    assert simulator_api.status(task_id).json().get("progress", "missing") == progress
    assert simulator_api.finished(task_id).get("progress", "missing") == progress


def test_empty_data(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:empty-data"))

    assert (body["status"], body["result"]["data"]) == ("completed", [])
    assert body["billing"]["status"] == "settled"


def test_top_level_url(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:top-level-url"))

    assert "result" not in body
    assert body["object"] == "image.generation"
    assert simulator_api.anyone.get(body["url"]).status_code == 200


def test_links_as(simulator_api):
    bodies = {
        value: simulator_api.finished(simulator_api.accepted(prompt=f"fault:links-as={value}", n=2))
        for value in ("result-texts", "data", "data-texts", "twice")
    }
    places = {
        "result-texts": bodies["result-texts"]["result"]["data"],
        "data": [picture["url"] for picture in bodies["data"]["data"]],
        "data-texts": bodies["data-texts"]["data"],
        "twice": [picture["url"] for picture in bodies["twice"]["result"]["data"]],
    }

    assert {value for value, body in bodies.items() if "result" in body} == {"result-texts", "twice"}
    assert bodies["twice"]["url"] == places["twice"][0]
    assert places["twice"][:2] == places["twice"][2:]
    for urls in places.values():
        assert len(set(urls)) == 2
        assert {simulator_api.anyone.get(url).status_code for url in urls} == {200}


@pytest.mark.parametrize("value", ["relative", "file", "data", "userinfo", "http"])
def test_odd_link(simulator, simulator_api, value):
    body = simulator_api.finished(simulator_api.accepted(prompt=f"fault:odd-link={value}", n=2))
    odd, good = (picture["url"] for picture in body["result"]["data"])

    files, path = urlsplit(simulator.files_url), urlsplit(odd).path
    begins = {
        "relative": f"/images/{body['id']}/",
        "file": "file:///etc/hosts",
        "data": "data:image/png;base64,iVBORw0KGgo",
        "userinfo": f"http://user:pass@{files.netloc}{path}",
        "http": f"http://files.toapis.com{path}",
    }
    assert odd.startswith(begins[value])
    assert simulator_api.anyone.get(good).status_code == 200


def test_a_data_link_is_a_whole_picture(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:odd-link=data"))
    content = base64.b64decode(body["result"]["data"][0]["url"].partition(",")[2], validate=True)

    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert (picture.format, picture.size) == ("PNG", (1, 1))


@pytest.mark.parametrize(
    ("marker", "host"), [("", "files.example.org"), ("=cdn.toapis.com.evil.org", "cdn.toapis.com.evil.org")]
)
def test_foreign_link(simulator_api, marker, host):
    body = simulator_api.finished(simulator_api.accepted(prompt=f"fault:foreign-link{marker}.", n=2))
    urls = [picture["url"] for picture in body["result"]["data"]]

    assert [urlsplit(url)[:2] for url in urls] == [("https", host)] * 2
    assert len({urlsplit(url).path for url in urls}) == 2


def test_unknown_400(simulator, simulator_api):
    simulator.fault("unknown-400")
    answer = simulator_api.status("nobody")

    assert (answer.status_code, answer.json()) == (400, {"message": "task_not_exist"})
