"""The life of a task over HTTP: status, lookup, answers, uploads, file host."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from local.simulator import Simulator
from tests.samples import picture

ULID_TASK = re.compile(r"tsk_img_[0-9A-HJKMNP-TV-Z]{26}")


def test_a_task_is_queued_then_in_progress_then_completed():
    with Simulator(queue_seconds=0.3, task_seconds=0.6) as simulator:
        headers = {"Authorization": f"Bearer {simulator.api_key}"}
        with httpx.Client(base_url=simulator.base_url, headers=headers) as client:
            began = time.monotonic()
            answer = client.post("/v1/images/generations", json={"model": "gpt-image-2-vip", "prompt": "a valley"})
            path, seen = f"/v1/images/generations/{answer.json()['id']}", []
            while not seen or seen[-1]["status"] != "completed":
                assert time.monotonic() < began + 20, seen[-1]
                seen.append(client.get(path).json())
            took = time.monotonic() - began

    words = [body["status"] for body in seen]
    assert list(dict.fromkeys(words)) == ["queued", "in_progress", "completed"]
    assert words == sorted(words, key=["queued", "in_progress", "completed"].index)
    progress = [body["progress"] for body in seen]
    assert progress == sorted(progress)
    assert len(set(progress)) > 4
    assert took >= 0.9


def test_the_body_of_a_task_under_way(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:hang")
    body = simulator_api.polled_until(task_id, lambda body: body["status"] == "in_progress")

    assert body.keys() == {"id", "object", "model", "status", "progress", "created_at", "billing"}
    assert body["billing"] == {"status": "pending"}


def test_the_body_of_a_completed_task(simulator_api):
    task_id = simulator_api.accepted(n=2)
    body = simulator_api.finished(task_id)

    assert ULID_TASK.fullmatch(task_id)
    assert body["id"] == task_id
    assert (body["object"], body["status"], body["progress"]) == ("generation.task", "completed", 100)
    assert body["expires_at"] == body["completed_at"] + 86_400
    assert body["created_at"] <= body["completed_at"]
    assert body["result"]["type"] == "image"
    assert len(body["result"]["data"]) == 2
    assert body["billing"] == {"status": "settled", "credits": "6", "cost_usd": "0.030"}
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert "client_business_id" not in body


def test_the_body_of_a_failed_task(simulator_api, picture_host):
    url = f"{picture_host.url}/gone.png?X-Signature=secret"
    body = simulator_api.finished(simulator_api.accepted(image_urls=[url]))

    assert body["status"] == "failed"
    assert body["progress"] == 0
    assert body["billing"] == {"status": "refunded", "credits": "0", "cost_usd": "0"}
    assert body["error"]["code"] == "generation_failed"
    assert "reference image 1 could not be downloaded: HTTP 403" in body["error"]["message"]
    assert "secret" not in str(body)


def test_a_reference_host_that_is_down_fails_the_task(simulator_api):
    body = simulator_api.finished(simulator_api.accepted(image_urls=["http://127.0.0.1:9/a.png?key=secret"]))

    assert "ConnectError" in body["error"]["message"]
    assert "secret" not in str(body)


@pytest.mark.parametrize("where", ["top level", "metadata"])
def test_a_task_is_found_by_its_business_id_which_is_echoed(simulator_api, where):
    name = {"client_business_id": "shop-1 / ü"}
    task_id = simulator_api.accepted(**(name if where == "top level" else {"metadata": name}))

    body = simulator_api.finished("shop-1%20%2F%20%C3%BC")

    assert body["id"] == task_id
    assert body["client_business_id"] == "shop-1 / ü"


def test_a_business_id_does_not_deduplicate_so_that_a_double_payment_shows(simulator, simulator_api):
    first, second = (simulator_api.accepted(client_business_id="job-1") for _ in range(2))

    assert first != second
    tasks = simulator.tasks()
    assert [task["id"] for task in tasks] == [first, second]
    assert {(task["client_business_id"], task["posts"]) for task in tasks} == {("job-1", 2)}
    assert simulator_api.status("job-1").json()["id"] == first


def test_tasks_show_the_order_and_hide_signatures(simulator, simulator_api, picture_host):
    simulator_api.accepted(prompt="p", n=2, size="3:2", image_urls=[f"{picture_host.url}/a.png?X-Signature=secret"])

    (task,) = simulator.tasks()
    assert (task["prompt"], task["n"], task["size"], task["quality"]) == ("p", 2, "3:2", "high")
    assert task["references"] == [{"kind": "linked", "bytes": None, "sha256": None}]
    assert task["mask"] is None
    assert picture_host.url not in str(task)


@pytest.mark.parametrize("name", ["tsk_img_01KPT00000000000000000000", "no-such-job"])
def test_an_unknown_task_is_404_in_the_documented_shape(simulator_api, name):
    answer = simulator_api.status(name)

    assert answer.status_code == 404
    assert answer.json()["error"].keys() == {"code", "message", "type"}
    assert (answer.json()["error"]["code"], answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("header", [None, "", "Bearer wrong", "Basic sk-simulator", "sk-simulator"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/images/generations"), ("GET", "/v1/images/generations/x"), ("POST", "/v1/uploads/images")],
)
def test_every_api_path_wants_the_key(simulator, simulator_api, method, path, header):
    headers = {} if header is None else {"Authorization": header}
    answer = simulator_api.anyone.request(method, path, headers=headers, json={"prompt": "x"})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert simulator.tasks() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/images/generations", 405), ("PUT", "/v1/images/generations/x", 405)],
)
def test_what_is_no_endpoint_is_refused_in_json(simulator_api, method, path, status):
    answer = simulator_api.client.request(method, path)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


def test_the_file_host_serves_results_under_their_own_origin(simulator, simulator_api):
    task_id = simulator_api.accepted()
    url = simulator_api.finished(task_id)["result"]["data"][0]["url"]

    assert re.fullmatch(rf"{simulator.files_url}/images/{task_id}/\d+_[0-9a-f]{{8}}\.png", url)
    assert simulator.files_url != simulator.base_url
    answer = simulator_api.anyone.get(url)
    assert answer.headers["content-type"] == "image/png"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert simulator_api.anyone.get(url.replace(".png", ".gif")).status_code == 404
    assert simulator_api.anyone.get(url.replace(simulator.files_url, simulator.base_url)).status_code == 404


def test_the_file_host_refuses_a_key_and_remembers_it(simulator, simulator_api):
    url = simulator_api.finished(simulator_api.accepted())["result"]["data"][0]["url"]

    assert simulator.health()["keys_sent_to_files"] == 0
    assert simulator_api.client.get(url).status_code == 400
    assert simulator.health()["keys_sent_to_files"] == 1


def test_a_changed_key_is_taken_at_once_and_the_one_before_no_more(simulator, simulator_api):
    before = simulator.api_key
    simulator.change_key("sk-another")
    try:
        assert simulator_api.submit().status_code == 401
        headers = {"Authorization": "Bearer sk-another"}
        assert simulator_api.anyone.get("/v1/images/generations/none", headers=headers).status_code == 404
        for body in ({}, {"api_key": ""}, {"api_key": 7}, ["sk"]):
            refused = simulator_api.anyone.put("/_simulator/key", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
        simulator.reset()
        assert simulator_api.submit().status_code == 401
    finally:
        simulator.change_key(before)
    assert simulator_api.submit().status_code == 200


def test_reset_forgets_tasks_uploads_faults_and_files(simulator, simulator_api):
    task_id = simulator_api.accepted()
    simulator_api.client.post("/v1/uploads/images", files={"file": picture()})
    url = simulator_api.finished(task_id)["result"]["data"][0]["url"]
    simulator.fault("submit-500", times=None)

    simulator.reset()

    assert (simulator.tasks(), simulator.uploads()) == ([], [])
    assert simulator_api.anyone.get(url).status_code == 404
    assert simulator_api.status(task_id).status_code == 404
    assert simulator_api.submit().status_code == 200
