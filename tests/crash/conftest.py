"""The servers of the crash tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches

from local.simulator import Simulator
from tests.contract.aws import engine
from tests.crash.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def servers() -> Iterator[Rig]:
    """One simulator for all tests, whose tasks take no time."""
    with Simulator(queue_seconds=0, task_seconds=0, paint=False, seed=7) as simulator:
        rig = Rig(simulator)
        yield rig
        rig.close()


@pytest.fixture
def rig(servers: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """The servers, with this process's environment pointing at them."""
    for variable, value in engine().environ().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    clear_caches()  # they keep a client of the environment before
    yield servers
    clear_caches()
