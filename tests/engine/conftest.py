"""One engine with the differences closed and one with all of them open, for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.engine.controller import Engine
from local.engine.differences import NAMES
from tests.engine.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Iterator

# Long waits stay comparable with each other while they pass quickly.
WAIT_SCALE = 0.02


@pytest.fixture(scope="session")
def ours() -> Iterator[Workbench]:
    """The engine as the project uses it."""
    with Engine(wait_scale=WAIT_SCALE) as engine:
        yield Workbench(engine)


@pytest.fixture(scope="session")
def stock() -> Iterator[Workbench]:
    """MiniStack as it is published."""
    with Engine(wait_scale=WAIT_SCALE, without=NAMES) as engine:
        yield Workbench(engine)
