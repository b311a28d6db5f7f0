"""The tables of docs/performance.md, one for each section of the bench, which writes them."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.engine.controller import ROOT
from tests.bench.page import written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.measured import Measured

PAGE = ROOT / "docs" / "performance.md"


def write(name: str, measured: Measured, page: Path) -> None:
    """Put a section's figures in the place of those that the page has. Raises ValueError when it has none."""
    page.write_text(written(page.read_text(), [[*_table(name, measured)]]))


def _table(name: str, measured: Measured) -> Iterator[str]:
    yield f"| {name} | found | goal |"
    yield "| --- | --- | --- |"
    for figure, found in measured.figures.items():
        if not _is_deep(found):
            missed = ", missed" if figure in measured.missed else ""
            goal = f" {measured.goals[figure]}" if figure in measured.goals else ""
            yield f"| {figure} | {_said(found)}{missed} |{goal} |"
    yield f"| measured | {_machine()} | |"


def _is_deep(found: Any) -> bool:
    """Whether it is a table itself: build/bench.json has those."""
    return isinstance(found, dict) and any(isinstance(inner, dict) for inner in found.values())


def _said(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{name} {_said(inner)}" for name, inner in found.items())
    return f"{found:,}" if isinstance(found, int | float) else str(found)


def _machine() -> str:
    system = f"{os.cpu_count()} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {system}"
