"""What the package emits, read from its source: metrics and the kinds of events."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = ROOT / "layers" / "bucketbrush" / "bucketbrush"
_EMITTERS = ("count", "gauge", "amount", "percent", "seconds", "size")
_EVENTS = ("Image Job ", "Image Batch ")


@dataclass(frozen=True)
class Metric:
    """A call of observability's ``kind``; ``dimensions`` are those beside the service."""

    name: str
    kind: str
    dimensions: frozenset[str]


def metrics() -> dict[str, Metric]:
    """By name. One name is always emitted in one way, or an alarm would see half of it."""
    found: dict[str, Metric] = {}
    for call in _calls():
        metric = _metric(call)
        assert found.setdefault(metric.name, metric) == metric, ast.unparse(call)
    return found


def event_kinds() -> set[str]:
    """The detail types of our events."""
    sources = [ast.parse((PACKAGE / "adapters" / name).read_text()) for name in ("announcements.py", "batches.py")]
    texts = (node.value for source in sources for node in ast.walk(source) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and text.startswith(_EVENTS)}


def _calls() -> Iterator[ast.Call]:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EMITTERS:
                yield node


def _metric(call: ast.Call) -> Metric:
    assert isinstance(call.func, ast.Name)
    name = call.args[0]
    assert isinstance(name, ast.Constant), f"no plain name: {ast.unparse(call)}"
    dimensions = frozenset(keyword.arg or "**" for keyword in call.keywords)
    return Metric(str(name.value), call.func.id, dimensions)
