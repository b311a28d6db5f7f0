"""What a function loads before its first event."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from typing import Any

import pytest

from bucketbrush.observability import phase
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
print(json.dumps({"modules": sorted(sys.modules), "usual": usual, "then": gc.get_threshold()}))
"""


@pytest.fixture(scope="module")
def loads() -> dict[str, dict[str, Any]]:
    """What each function's module has loaded, and how garbage is looked for before and after that."""
    found = {}
    for handler in HANDLERS:
        path = {"PYTHONPATH": f"{PACKAGE.parent}:{handler.parent}"}
        done = subprocess.run([sys.executable, "-c", _LOAD], env=path, capture_output=True, text=True, check=True)
        found[handler.parent.name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("module", "functions"), ONE_FUNCTIONS_OWN.items())
def test_a_function_loads_what_it_needs(module: str, functions: list[str], loads: dict[str, dict[str, Any]]) -> None:
    assert [name for name, load in sorted(loads.items()) if module in load["modules"]] == functions


def test_garbage_is_looked_for_as_usual_when_a_function_is_loaded(loads: dict[str, dict[str, Any]]) -> None:
    """A picture's parts must not wait for two hundred thousand objects."""
    assert {name for name, load in loads.items() if load["then"] != load["usual"]} == set()


def test_what_is_loaded_is_not_looked_through_again() -> None:
    gc.unfreeze()
    phase("submit")(lambda _event, _context: None)
    assert gc.get_freeze_count() > 0


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
    with pytest.raises(Exception, match="Unknown service: 's4'"):
        session().client("s4")  # type: ignore[call-overload]
