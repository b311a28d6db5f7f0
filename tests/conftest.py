"""What holds for every layer of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Layers that share servers: each runs in one worker, or every worker would start its own.
SHARING = ("engine", "workflow", "contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        layer = item.path.relative_to(TESTS).parts[0]
        if layer in SHARING:
            item.add_marker(pytest.mark.xdist_group(layer))
