"""Unit tests reach nothing outside this process: no socket, no credentials, no wall clock."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from bucketbrush.observability import logger
from tests.unit.fakes import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "bucketbrush-test",
    "POWERTOOLS_METRICS_NAMESPACE": "Bucketbrush",
}


@pytest.fixture(autouse=True)
def isolated(socket_disabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets raise, and what AWS libraries would pick up is fake."""
    for name, value in _ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that is logged, formatted as in Lambda."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield text
    logger.removeHandler(handler)


@pytest.fixture
def world() -> World:
    """A world with a default preset."""
    made = World()
    made.preset()
    return made
