"""Each fault does what its description says."""

from __future__ import annotations

import io
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest
from PIL import Image

from local.simulator import SimulatorError
from tests.waiting import until

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
TESTED_BY_NAME = {
    "submit-drop",
    "submit-html-524",
    "submit-shape",
    "submit-500-accepted",
    "submit-drop-answer",
    "submit-html-524-accepted",
    "submit-unreadable",
    "submit-pending",
    "submit-echo",
    "submit-empty",
    "submit-truncated",
    "submit-half-json",
    "submit-slow",
    "submit-stale-socket",
    "task-failed",
    "task-moderated",
    "task-failed-echo",
    "hang",
    "fewer-pictures",
    "status-500",
    "status-drop",
    "status-429",
    "status-html-524",
    "status-unreadable",
    "status-empty",
    "status-truncated",
    "status-half-json",
    "status-slow",
    "status-stale-socket",
    "status-echo",
    "late-lookup",
    "unknown-status",
    "undeliverable-yet",
    "flapping",
    "failed-for-now",
    "top-level-url",
    "other-body-id",
    "no-billing",
    "empty-data",
    "unknown-400",
    "file-404",
    "file-403",
    "links-die",
    "file-503",
    "file-drop",
    "file-truncated",
    "file-truncated-chunked",
    "file-lying-length",
    "file-empty",
    "file-oversize",
    "file-oversize-announced",
    "file-not-image",
    "file-other-type",
    "file-slow",
}


def test_every_fault_is_listed_with_a_description_and_tested_here(simulator):
    listed = simulator.faults()

    assert all(fault["description"] and fault["hook"] for fault in listed)
    assert {fault["name"] for fault in listed} == TESTED_BY_NAME | REFUSED.keys()


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


SIGNED = ["https://references.test/1.png?X-Amz-Signature=one", "https://references.test/2.png?X-Amz-Signature=two"]


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


@pytest.fixture
def new_client(simulator):
    """Makes clients with the key and no connection yet."""
    headers = {"Authorization": f"Bearer {simulator.api_key}"}
    return lambda: httpx.Client(base_url=simulator.base_url, headers=headers)


# What a reset looks like depends on whether it comes while the client still writes.
RESET = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


def test_submit_stale_socket(simulator, simulator_api, new_client):
    order = {"model": "gpt-image-2-vip", "prompt": "fault:submit-stale-socket"}
    with new_client() as client:
        answer = client.post("/v1/images/generations", json=order)
        with pytest.raises(RESET):
            client.post("/v1/images/generations", json={**order, "prompt": "another"})

    assert "close" not in answer.headers.get("connection", "")
    assert [task["id"] for task in simulator.tasks()] == [answer.json()["id"]]
    assert simulator_api.finished(answer.json()["id"])["status"] == "completed"


def test_status_stale_socket(simulator_api, new_client):
    path = f"/v1/images/generations/{simulator_api.accepted(prompt='fault:status-stale-socket=2')}"
    with new_client() as client:
        assert client.get(path).status_code == 200
        with pytest.raises(RESET):
            client.get(path)
    for _ in range(3):  # each on a connection of its own
        with new_client() as client:
            assert client.get(path).status_code == 200


def test_requests_on_a_connection_that_is_not_new_are_counted(simulator, new_client):
    for _ in range(3):
        with new_client() as client:
            client.get("/v1/images/generations/nobody")
    assert simulator.health()["reused_connections"] == 0

    with new_client() as client:
        for _ in range(3):
            client.get("/v1/images/generations/nobody")
    assert simulator.health()["reused_connections"] == 2


def test_submit_pending(simulator_api):
    answer = simulator_api.submit(prompt="fault:submit-pending")

    assert answer.json()["status"] == "pending"
    assert simulator_api.finished(answer.json()["id"])["status"] == "completed"


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


def test_the_value_in_a_prompt_sets_the_times_of_a_fault_that_counts(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-500=1, fault:late-lookup=1.")

    assert [simulator_api.status(task_id).status_code for _ in range(3)] == [500, 404, 200]


def test_status_429_says_when(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-429=3")

    assert simulator_api.status(task_id).headers["Retry-After"] == "3"


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


def test_undeliverable_yet(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:undeliverable-yet=2")
    body = simulator_api.polled_until(task_id, lambda body: body["progress"] == 100)

    assert body["status"] == "in_progress"
    assert "result" not in body
    assert simulator_api.status(task_id).json()["status"] == "in_progress"
    assert simulator_api.status(task_id).json()["status"] == "completed"


def test_top_level_url(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:top-level-url"))

    assert "result" not in body
    assert body["object"] == "image.generation"
    assert simulator_api.anyone.get(body["url"]).status_code == 200


def test_other_body_id(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:other-body-id")

    assert simulator_api.finished(task_id)["id"] == "img_0123456789abcdef0123456789abcdef"


def test_no_billing(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:no-billing"))

    assert not body.keys() & {"billing", "usage"}


def test_empty_data(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(prompt="fault:empty-data"))

    assert (body["status"], body["result"]["data"]) == ("completed", [])
    assert body["billing"]["status"] == "settled"


def test_unknown_400(simulator, simulator_api):
    simulator.fault("unknown-400")
    answer = simulator_api.status("nobody")

    assert (answer.status_code, answer.json()) == (400, {"message": "task_not_exist"})


@pytest.fixture
def result_url(simulator_api):
    """The URL of the one picture of an order whose prompt is the fault."""
    return lambda prompt: simulator_api.finished(simulator_api.accepted(prompt=prompt))["result"]["data"][0]["url"]


@pytest.mark.parametrize(("name", "status"), [("file-404", 404), ("file-403", 403), ("file-503", 503)])
def test_a_result_that_cannot_be_had_for_a_while(simulator_api, result_url, name, status):
    url = result_url(f"fault:{name}=2")

    assert [simulator_api.anyone.get(url).status_code for _ in range(3)] == [status, status, 200]


@pytest.mark.parametrize("name", ["file-404", "file-403"])
def test_a_result_that_can_never_be_had(simulator_api, result_url, name):
    url = result_url(f"fault:{name}")

    assert [simulator_api.anyone.get(url).is_error for _ in range(5)] == [True] * 5


def test_links_die(simulator, simulator_api):
    task_id = simulator_api.accepted(prompt="fault:links-die=3", n=2)
    urls = [picture["url"] for picture in simulator_api.finished(task_id)["result"]["data"]]

    assert [simulator_api.anyone.get(url).status_code for url in urls * 3] == [200, 200, 200, 404, 404, 404]
    assert [picture["url"] for picture in simulator_api.finished(task_id)["result"]["data"]] == urls
    assert simulator.tasks()[0]["downloads"] == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file-drop", "without sending a response"),
        ("file-truncated", r"received \d+ bytes, expected \d+"),
        ("file-truncated-chunked", "incomplete chunked read"),
    ],
)
def test_a_download_that_breaks_once(simulator_api, result_url, name, message):
    url = result_url(f"fault:{name}")

    with pytest.raises(httpx.RemoteProtocolError, match=message):
        simulator_api.anyone.get(url)
    assert Image.open(io.BytesIO(simulator_api.anyone.get(url).content)).size == (1024, 1024)


def test_file_lying_length(simulator_api, result_url):
    url = result_url("fault:file-lying-length")
    short, whole = (simulator_api.anyone.get(url) for _ in range(2))

    assert len(short.content) == int(short.headers["content-length"]) == len(whole.content) // 2
    assert whole.content.startswith(short.content)


def test_file_empty(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-empty"))

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "0", b"")


@pytest.mark.parametrize(("name", "announced"), [("file-oversize", None), ("file-oversize-announced", str(3 << 20))])
def test_a_file_that_is_too_large(simulator_api, result_url, name, announced):
    answer = simulator_api.anyone.get(result_url(f"fault:{name}=3"))

    assert answer.headers.get("content-length") == announced
    assert len(answer.content) == 3 << 20
    assert Image.open(io.BytesIO(answer.content)).size == (1024, 1024)


def test_a_file_without_end(simulator, simulator_api, result_url):
    received, wanted, url = 0, 64 << 20, result_url("fault:file-oversize=inf")
    with simulator_api.anyone.stream("GET", url) as answer:
        for piece in answer.iter_raw():
            received += len(piece)
            if received > wanted:
                break

    assert received > wanted
    line = f"{url.removeprefix(simulator.files_url)} 200"
    until(lambda: line in simulator.log_text(), "the line of the download, which ends when its client has gone")


def test_file_not_image(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-not-image"))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_file_other_type(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-other-type"))

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.content.startswith(b"\x89PNG")


def test_file_slow(simulator_api, result_url):
    url = result_url("fault:file-slow=0.3")
    began = time.monotonic()
    answer = simulator_api.anyone.get(url)

    assert time.monotonic() - began > 0.27
    assert len(answer.content) == int(answer.headers["content-length"])


def test_an_armed_fault_strikes_the_next_n_requests_of_anybody(simulator, simulator_api):
    simulator.fault("submit-500", times=2)

    assert [simulator_api.submit().status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_end_lasts_until_it_is_cleared(simulator, simulator_api):
    simulator.fault("submit-429", times=None, value=9)

    answers = [simulator_api.submit() for _ in range(5)]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(429, "9")}
    simulator.clear_faults()
    assert simulator_api.submit().status_code == 200


def test_an_armed_task_fault_sticks_to_the_next_task(simulator, simulator_api):
    simulator.fault("task-failed", value="the kiln is cold")
    first, second = simulator_api.accepted(), simulator_api.accepted()

    assert simulator_api.finished(first)["error"]["message"] == "the kiln is cold"
    assert simulator_api.finished(second)["status"] == "completed"


@pytest.mark.parametrize(
    "body", [{"name": "no-such"}, {}, {"name": "hang", "times": 0}, {"name": "hang", "times": "2"}]
)
def test_a_fault_that_cannot_be_armed_is_refused(simulator_api, body):
    answer = simulator_api.anyone.post("/_simulator/faults", json=body)

    assert answer.status_code == 400
    assert simulator_api.anyone.get("/_simulator/faults").json()["armed"] == []


def test_the_class_says_what_was_wrong(simulator):
    with pytest.raises(SimulatorError, match="name must be one of"):
        simulator.fault("no-such")
