"""The servers of the crash tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.simulator import Simulator
from tests.contract.aws import on_engine
from tests.crash.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["on_engine"]


@pytest.fixture(scope="session")
def servers() -> Iterator[Rig]:
    """One simulator for all tests, whose tasks take no time."""
    with Simulator(queue_seconds=0, task_seconds=0, paint=False, seed=7) as simulator:
        rig = Rig(simulator)
        yield rig
        rig.close()


@pytest.fixture
def rig(servers: Rig, on_engine: None) -> Rig:
    """The servers, with this process's environment pointing at them."""
    return servers
