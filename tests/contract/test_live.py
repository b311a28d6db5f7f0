"""`make live` against the simulator: what it says when all is as known, when something is new, and without a key."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.engine.controller import ROOT
from local.live import Recorded, differences, shape, verify
from local.simulator import Simulator
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-live-0123456789abcdef"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(queue_seconds=0, task_seconds=0.1, api_key=KEY) as running:
        yield running


def live(**environment: str) -> tuple[int, str]:
    """Exit code and everything that it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOAPIS_")}
    path = os.pathsep.join([str(ROOT / "layers" / "bucketbrush"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "local.live"],
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": path, "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run(simulator: Simulator) -> tuple[bool, str]:
    """Whether it was verified, and what it said; it waits for the simulator's tasks only."""
    lines: list[str] = []

    def wait(_: float) -> None:
        until(lambda: all(task["status"] in ("completed", "failed") for task in simulator.tasks()), "the tasks' end")

    is_verified = verify(Recorded(simulator.base_url, KEY, 30), lines.append, wait)
    return is_verified, "\n".join(lines)


def test_without_a_key_nothing_is_verified_and_nothing_fails() -> None:
    code, said = live()
    assert code == 0
    assert said.startswith("NOT VERIFIED: set TOAPIS_API_KEY")


def test_one_picture_from_text_and_one_edit_are_made_and_no_secret_is_printed(simulator: Simulator) -> None:
    simulator.reset()
    is_verified, said = run(simulator)
    assert is_verified, said
    assert said.splitlines()[-1].startswith("VERIFIED: write 20")
    kinds = ["unknown task: HTTP 404", "submit: HTTP 200", "done: HTTP 200", "upload: HTTP 200"]
    assert [kind for kind in kinds if kind not in said] == []
    assert "DOES NOT HOLD" not in said
    assert said.count("holds: a task is found by client_business_id") == 2
    assert "an edit of an upload: 1024 x 1024 " in said
    first, second = simulator.tasks()
    assert {task["prompt"] for task in (first, second)} == {"A small sailing boat on a calm lake, watercolour"}
    assert [word for word in (KEY, "http:", "https:", "sailing") if word in said] == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("other-body-id", ["done: HTTP 200", "    as we know it", "VERIFIED: "]),
        ("no-billing", ["    billing: missing", "    usage: missing", "VERIFIED: "]),
        ("task-failed", ["failed: HTTP 200", "NOT VERIFIED: generation_failed: call upstream"]),
        ("late-lookup", ["DOES NOT HOLD: a task is found by client_business_id", "status: the provider knows no task"]),
        ("status-html-524", ["submit: HTTP 200", "NOT VERIFIED: status: HTTP 524"]),
        ("submit-402", ["NOT VERIFIED: submit: HTTP 402"]),
        ("submit-unreadable", ["NOT VERIFIED: submit: HTTP 200"]),
    ],
)
def test_what_differs_is_said(simulator: Simulator, fault: str, words: list[str]) -> None:
    simulator.reset()
    simulator.fault(fault, times=None)
    is_verified, said = run(simulator)
    assert [word for word in words if word not in said] == []
    assert is_verified is not said.splitlines()[-1].startswith("NOT")


def test_an_address_that_is_none_is_told_and_not_printed() -> None:
    code, said = live(TOAPIS_API_KEY=KEY, TOAPIS_BASE_URL="http://user:pass@toapis.com")
    assert (code, said.startswith("NOT VERIFIED: TOAPIS_BASE_URL: found"), "pass" in said) == (1, True, False)


def test_a_wrong_key_is_told_and_not_printed(simulator: Simulator) -> None:
    code, said = live(TOAPIS_API_KEY="sk-wrong-0123456789abcdef", TOAPIS_BASE_URL=simulator.base_url)
    assert (code, "NOT VERIFIED" in said, "sk-wrong" in said) == (1, True, False)


@pytest.mark.parametrize(
    ("seen", "lines"),
    [
        ({"id": "a", "n": [{"u": "x"}]}, []),
        ({"n": [{"u": "x"}]}, ["id: missing"]),
        ({"id": 5, "n": [{"u": "x"}]}, ['id: "number" instead of "text"']),
        ({"id": "a", "n": ["x"]}, ['n[]: "text" instead of {"u": "text"}']),
        ({"id": "a", "n": [{"u": "x", "w": True}]}, ['n[].w: new, "truth"']),
        ({"id": "a", "n": []}, []),
        ([], ['the answer: [] instead of {"id": "text", "n": [{"u": "text"}]}']),
        ({"id": None, "n": [{}]}, ['id: "null" instead of "text"', "n[].u: missing"]),
    ],
)
def test_shapes_are_compared_place_by_place(seen: object, lines: list[str]) -> None:
    assert sorted(differences(shape({"id": "", "n": [{"u": ""}]}), shape(seen))) == sorted(lines)
