"""What a function loads before its first event."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import UnknownServiceError

from bucketbrush.wiring.shared import lazily, session
from tests.unit.test_architecture import HANDLERS, PACKAGE

# Each is large, or imports what is.
ONE_FUNCTIONS_OWN = {
    "bucketbrush.submit": ["submit"],
    "bucketbrush.messages": ["submit"],
    "bucketbrush.status": ["status"],
    "bucketbrush.finalize": ["finalize"],
    "bucketbrush.domain.page": ["finalize"],
    "bucketbrush.domain.batches": ["batch"],
    "bucketbrush.batch": ["batch"],
    "bucketbrush.sweep": ["sweep"],
    "bucketbrush.domain.recipe": ["submit"],
    "bucketbrush.adapters.objects": ["batch", "finalize", "submit"],
    "httpx": ["finalize", "status", "submit"],
    "asyncio.events": [],
    "PIL": [],
    "aws_xray_sdk": [],
}
_LOAD = """
import gc, json, sys
usual = gc.get_threshold()
import app
found = {"modules": sorted(sys.modules), "usual": usual, "frozen": gc.get_freeze_count()}
try:
    app.handler({}, None)
except Exception as problem:
    found["error"] = type(problem).__name__
print(json.dumps({**found, "then": gc.get_threshold()}))
"""


@pytest.fixture(scope="module")
def loads() -> dict[str, dict[str, Any]]:
    """What each function's module has loaded, and how garbage is looked for before and after its first event."""
    found = {}
    for handler in HANDLERS:
        path = {"PYTHONPATH": f"{PACKAGE.parent}:{handler.parent}"}
        done = subprocess.run([sys.executable, "-c", _LOAD], env=path, capture_output=True, text=True, check=True)
        found[handler.parent.name] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(("module", "functions"), ONE_FUNCTIONS_OWN.items())
def test_a_function_loads_what_it_needs(module: str, functions: list[str], loads: dict[str, dict[str, Any]]) -> None:
    assert [name for name, load in sorted(loads.items()) if module in load["modules"]] == functions


def test_garbage_is_looked_for_as_usual_after_the_first_event(loads: dict[str, dict[str, Any]]) -> None:
    """However it ends: what a picture leaves must not wait for two hundred thousand objects."""
    assert {name for name, load in loads.items() if load["then"] != load["usual"]} == set()
    assert {name for name, load in loads.items() if "error" not in load} == set()


def test_what_is_loaded_is_not_looked_through(loads: dict[str, dict[str, Any]]) -> None:
    assert min(load["frozen"] for load in loads.values()) > 10_000


def test_what_few_jobs_need_is_made_once_when_it_is_needed() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("client")
        return "client"

    client = lazily(make)
    assert made == []
    assert (client.upper(), client.title()) == ("CLIENT", "Client")
    assert made == ["client"]


def test_a_service_that_is_not_there_is_told() -> None:
    with pytest.raises(UnknownServiceError, match="'s4'"):
        session().client("s4")  # type: ignore[call-overload]
