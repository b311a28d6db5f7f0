"""How faults are listed, asked for and counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.simulator import SimulatorError


def test_every_fault_is_listed_with_a_description_and_asked_for_in_a_test(simulator):
    listed = simulator.faults()
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_simulator_*.py"))
    asked_for = set(re.findall(r"fault:([a-z0-9-]+)", tests)) | set(re.findall(r'"([a-z0-9-]+)"', tests))

    assert all(fault["description"] and fault["hook"] for fault in listed)
    assert {fault["name"] for fault in listed} <= asked_for


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("submit-json", ["deep", "html"]),
        ("status-json", ["deep", "html"]),
        ("upload-json", ["deep", "html"]),
        ("submit-error", ["400-policy", "400-references", "403", "403-quota", "404", "413"]),
        ("submit-error", ["500-number", "503-circuit", "503-no-code"]),
        ("submit-redirect", ["301", "302", "303", "307", "308"]),
        ("submit-success", ["201", "202"]),
        ("submit-id", ["task_id", "data", "data-task_id", "number", "none"]),
        ("status-error", ["401", "402", "403", "503"]),
        ("odd-progress", ["missing", "null", "text", "too-much", "negative"]),
        ("links-as", ["result-texts", "data", "data-texts", "twice"]),
        ("odd-link", ["relative", "file", "data", "userinfo", "http"]),
    ],
)
def test_the_values_of_a_fault_are_listed_and_no_other_is_taken(simulator, simulator_api, name, values):
    (listed,) = [fault["values"] for fault in simulator.faults() if fault["name"] == name]

    assert set(values) <= set(listed)
    refused = simulator_api.anyone.post("/_simulator/faults", json={"name": name, "value": "no-such-value"})
    assert refused.status_code == 400
    assert f"the value of {name} must be one of" in refused.json()["error"]["message"]


def test_the_value_in_a_prompt_sets_the_times_of_a_fault_that_counts(simulator_api):
    task_id = simulator_api.accepted(prompt="fault:status-500=1, fault:late-lookup=1.")

    assert [simulator_api.status(task_id).status_code for _ in range(3)] == [500, 404, 200]


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
