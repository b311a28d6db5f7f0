"""JSON that breaks parsers, as it goes over the wire."""

from __future__ import annotations

import json

import pytest

# By value of the faults submit-json and status-json: how the body begins or what it holds, in bytes.
ODD_JSON = {
    "bad-utf8": b'"note": "\xff\xfe\xc3"',
    "lone-surrogate": rb'"note": "\ud800"',
    "deep": b'"note": [[[[',
    "huge-integer": b'"progress": 99999',
    "huge-float": b'"progress": 1e999',
    "nan": b'"created_at": NaN',
    "null": b"null",
    "array": b"[{",
    "text": b'"ok"',
    "number": b"200",
    "html": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("value", ODD_JSON)
def test_odd_json_of_a_submit(simulator, simulator_api, value):
    answer = simulator_api.submit(prompt=f"fault:submit-json={value}", client_business_id="job-1")

    (task,) = simulator.tasks()
    assert answer.status_code == 200
    assert ODD_JSON[value] in answer.content
    assert (task["id"] in answer.text) is (b":" in ODD_JSON[value])
    assert answer.headers["content-type"].startswith("text/html" if value == "html" else "application/json")


@pytest.mark.parametrize("value", ODD_JSON)
def test_odd_json_of_a_status_query(simulator_api, value):
    task_id = simulator_api.accepted(prompt=f"fault:status-json={value}")
    odd, plain = (simulator_api.status(task_id) for _ in range(2))

    assert odd.status_code == 200
    assert ODD_JSON[value] in odd.content
    assert plain.json()["id"] == task_id


@pytest.mark.parametrize("value", ["bad-utf8", "deep", "huge-integer"])
def test_what_odd_json_does_to_a_parser(simulator_api, value):
    task_id = simulator_api.accepted(prompt=f"fault:status-json={value}")

    with pytest.raises((ValueError, RecursionError)):
        json.loads(simulator_api.status(task_id).content)
