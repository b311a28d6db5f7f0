"""Each fault of a POST does what its description says."""

from __future__ import annotations

import io
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest
from PIL import Image

REFUSED = {
    "submit-429": (429, "rate_limit_exceeded"),
    "submit-429-date": (429, "rate_limit_exceeded"),
    "submit-503-rate": (503, "rate_limit_unavailable"),
    "submit-503-model": (503, "model_not_found"),
    "submit-401": (401, "unauthorized"),
    "submit-402": (402, "insufficient_quota"),
    "submit-422": (422, "content_policy_violation"),
    "submit-500": (500, "internal_error"),
}


SHAPES = ("integer-code", "no-type", "flat", "message-only", "success-false", "text", "nested")


SIGNED = ["https://references.test/1.png?X-Amz-Signature=one", "https://references.test/2.png?X-Amz-Signature=two"]


GENERATIONS = "/v1/images/generations"


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["prompt", "control"])
def test_a_refused_post_makes_no_task_and_the_next_one_passes(simulator, simulator_api, name, way):
    prompt = f"paint it fault:{name}" if way == "prompt" else "paint it"
    if way == "control":
        simulator.fault(name, times=1)
    refused = simulator_api.submit(prompt=prompt, client_business_id="job-1")

    status, code = REFUSED[name]
    assert refused.status_code == status
    assert refused.json()["error"]["code"] == code
    assert simulator.tasks() == []
    assert simulator_api.submit(prompt=prompt, client_business_id="job-1").status_code == 200
    assert simulator.tasks()[0]["posts"] == 2


@pytest.mark.parametrize("name", ["submit-429", "submit-503-rate"])
def test_retry_after_in_seconds(simulator_api, name):
    assert simulator_api.submit(prompt=f"fault:{name}").headers["Retry-After"] == "1"
    assert simulator_api.submit(prompt=f"again fault:{name}=7").headers["Retry-After"] == "7"
    assert simulator_api.submit(prompt=f"tomorrow fault:{name}=86400").headers["Retry-After"] == "86400"


def test_retry_after_as_a_date(simulator_api):
    date = parsedate_to_datetime(simulator_api.submit(prompt="fault:submit-429-date=60").headers["Retry-After"])

    assert 50 < date.timestamp() - time.time() < 70


def test_retry_after_as_a_date_far_ahead(simulator_api):
    date = parsedate_to_datetime(simulator_api.submit(prompt="fault:submit-429-date=86400").headers["Retry-After"])

    assert 86_390 < date.timestamp() - time.time() < 86_410


def test_submit_html_524(simulator, simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-html-524")

    assert (answer.status_code, answer.headers["content-type"]) == (524, "text/html; charset=utf-8")
    assert simulator.tasks() == []


def test_submit_drop(simulator, simulator_api):
    with pytest.raises(httpx.RemoteProtocolError):
        simulator_api.submit(prompt="fault:submit-drop")

    assert simulator.tasks() == []


@pytest.mark.parametrize("shape", SHAPES)
def test_submit_shape(simulator, simulator_api, shape):
    answer = simulator_api.submit(prompt=f"fault:submit-shape={shape}")

    assert answer.status_code == 400
    assert isinstance(answer.json(), dict)
    assert simulator.tasks() == []


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ("400-policy", 400, {"error": {"code": "content_policy_violation", "type": "invalid_request_error"}}),
        ("400-references", 400, {"error": {"code": "invalid_reference_images", "type": "invalid_request_error"}}),
        ("403", 403, {"error": {"code": "forbidden", "type": "permission_error"}}),
        ("403-quota", 403, {"code": "quota_not_enough", "message": "user quota is not enough"}),
        ("404", 404, {"error": {"code": 404, "type": "not_found_error"}}),
        ("413", 413, {"error": {"code": 413, "type": "invalid_request_error"}}),
        ("500-number", 500, {"error": {"code": 500, "type": "internal_error"}}),
        ("503-circuit", 503, {"error": {"code": "circuit_broken", "type": "internal_error"}}),
        ("503-no-code", 503, {"message": "service unavailable"}),
    ],
)
def test_submit_error(simulator, simulator_api, value, status, body):
    answer = simulator_api.submit(prompt=f"fault:submit-error={value}")
    found = answer.json()
    if "error" in found:
        assert found["error"].pop("message")

    assert (answer.status_code, found) == (status, body)
    assert simulator.tasks() == []
    assert simulator_api.submit(prompt=f"fault:submit-error={value}").status_code == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_submit_redirect(simulator, simulator_api, status):
    answer = simulator_api.submit(prompt=f"fault:submit-redirect={status}")

    assert answer.status_code == status
    assert answer.headers["location"] == f"https://files.example.org{GENERATIONS}"
    assert simulator.tasks() == []


@pytest.mark.parametrize(
    ("model", "field"),
    [("gpt-image-1.5-official", "image_urls"), ("gpt-image-2-vip", "reference_images"), ("gpt-image-2-vip", None)],
)
def test_submit_echo(simulator, simulator_api, model, field):
    prompt = 'a "wish"\nof two lines fault:submit-echo'
    answer = simulator_api.submit(model=model, prompt=prompt, **({field: SIGNED} if field else {}))

    message = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert simulator_api.client.headers["authorization"] in message
    assert prompt in message
    assert [link in message for link in SIGNED] == [field is not None] * 2
    assert simulator.tasks() == []


def test_submit_drop_answer_makes_the_task_all_the_same(simulator_api):
    with pytest.raises(httpx.RemoteProtocolError):
        simulator_api.submit(prompt="fault:submit-drop-answer", client_business_id="job-1")

    assert simulator_api.finished("job-1")["status"] == "completed"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("submit-500-accepted", 500),
        ("submit-html-524-accepted", 524),
        ("submit-unreadable", 200),
        ("submit-empty", 200),
    ],
)
def test_an_answer_that_hides_an_accepted_task(simulator, simulator_api, name, status):
    answer = simulator_api.submit(prompt=f"fault:{name}", client_business_id="job-1")

    assert answer.status_code == status
    assert "tsk_img_" not in answer.text
    assert simulator_api.status("job-1").status_code == 200
    assert simulator_api.submit(prompt=f"fault:{name}", client_business_id="job-1").json()["status"] == "queued"
    assert len(simulator.tasks()) == 2  # a client that posts again pays again


def test_submit_truncated(simulator_api):
    with pytest.raises(httpx.RemoteProtocolError, match=r"received \d+ bytes, expected \d+"):
        simulator_api.submit(prompt="fault:submit-truncated", client_business_id="job-1")

    assert simulator_api.finished("job-1")["status"] == "completed"


def test_submit_half_json(simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-half-json", client_business_id="job-1")

    assert (answer.status_code, answer.text[0]) == (200, "{")
    with pytest.raises(ValueError, match="line 1 column"):
        answer.json()
    assert simulator_api.finished("job-1")["status"] == "completed"


def test_submit_slow(simulator, simulator_api):
    with pytest.raises(httpx.ReadTimeout):
        simulator_api.client.post(
            "/v1/images/generations", json={"model": "gpt-image-2-vip", "prompt": "fault:submit-slow=0.5"}, timeout=0.1
        )
    (task,) = simulator.tasks()
    assert simulator_api.finished(task["id"])["status"] == "completed"
    began = time.monotonic()
    simulator_api.accepted(prompt="fault:submit-slow=0.3")
    assert time.monotonic() - began > 0.27


def test_submit_pending(simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-pending")

    assert answer.json()["status"] == "pending"
    assert simulator_api.finished(answer.json()["id"])["status"] == "completed"


@pytest.mark.parametrize("word", ["submitted", "processing", "completed"])
def test_submit_pending_with_another_word(simulator_api, word):
    assert simulator_api.submit(prompt=f"fault:submit-pending={word}").json()["status"] == word


@pytest.mark.parametrize("status", [201, 202])
def test_submit_success(simulator, simulator_api, status):
    answer = simulator_api.submit(prompt=f"fault:submit-success={status}")

    assert answer.status_code == status
    assert [task["id"] for task in simulator.tasks()] == [answer.json()["id"]]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("task_id", ["task_id"]),
        ("data", ["data", "id"]),
        ("data-task_id", ["data", "task_id"]),
    ],
)
def test_submit_id_elsewhere(simulator, simulator_api, value, path):
    found = simulator_api.submit(prompt=f"fault:submit-id={value}").json()

    assert "id" not in found
    for key in path:
        found = found[key]
    assert [task["id"] for task in simulator.tasks()] == [found]


def test_submit_id_as_a_number(simulator, simulator_api):
    first, second = (simulator_api.submit(prompt=f"{n} fault:submit-id=number").json()["id"] for n in range(2))

    assert isinstance(first, int)
    assert first != second
    assert [simulator_api.status(number).json()["id"] for number in (first, second)] == [
        task["id"] for task in simulator.tasks()
    ]


def test_submit_id_nowhere(simulator, simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-id=none")

    (task,) = simulator.tasks()
    assert answer.json().keys() == {"object", "model", "status", "progress", "created_at", "metadata"}
    assert task["id"] not in answer.text


def test_submit_finished(simulator_api):
    body = simulator_api.submit(prompt="fault:submit-finished", client_business_id="job-1", n=2).json()

    assert body == simulator_api.status(body["id"]).json()
    assert (body["status"], body["client_business_id"]) == ("completed", "job-1")
    contents = [simulator_api.anyone.get(picture["url"]).content for picture in body["result"]["data"]]
    assert [Image.open(io.BytesIO(content)).size for content in contents] == [(1024, 1024)] * 2


def test_submit_finished_with_a_failure(simulator_api, picture_host):
    gone = f"{picture_host.url}/gone.png"
    body = simulator_api.submit(prompt="fault:submit-finished", image_urls=[gone]).json()

    assert body["status"] == "failed"
    assert "HTTP 403" in body["error"]["message"]


def test_submit_big(simulator, simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-big=3")

    assert 3 << 20 < len(answer.content) < (3 << 20) + 1000
    assert [task["id"] for task in simulator.tasks()] == [answer.json()["id"]]
