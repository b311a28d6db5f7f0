"""What holds for every layer of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Slowest first, so that no worker is left alone with them at the end.
ORDER = ("workflow", "engine", "contract", "template", "unit")
# These share servers: each runs in one worker, or every worker would start its own.
SHARING = ("workflow", "engine", "contract")


def _layer(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(_layer(item)))
    for item in items:
        if _layer(item) in SHARING:
            item.add_marker(pytest.mark.xdist_group(_layer(item)))
