"""A dashboard's body as CloudWatch reads it ("Dashboard body structure and syntax", CloudWatch API reference)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 24  # of the grid


@dataclass(frozen=True)
class Line:
    """One statistic of one metric on a widget; ``dimensions`` are pairs of name and value, ``colour`` is #rrggbb."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str
    label: str
    colour: str | None
    is_right: bool


@dataclass(frozen=True)
class Widget:
    """A place in the grid, in its units, and what is shown there."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    properties: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.properties.get("title", ""))

    def lines(self) -> Iterator[Line]:
        """What a metric widget shows, in its order. A label that is not given is what tells the lines apart."""
        rows = list(_written_out(self.properties.get("metrics", [])))
        times = Counter(metric for (_, metric, *_), _ in rows)
        for (namespace, metric, *path), options in rows:
            yield Line(
                namespace,
                metric,
                tuple(zip(path[::2], path[1::2], strict=True)),
                options.get("stat", self.properties["stat"]),
                options.get("label", path[-1] if times[metric] > 1 else metric),
                options.get("color"),
                options.get("yAxis") == "right",
            )


def read(body: str) -> list[Widget]:
    """The widgets of a body."""
    return [
        Widget(item["type"], item["x"], item["y"], item["width"], item["height"], item["properties"])
        for item in json.loads(body)["widgets"]
    ]


def _written_out(metrics: list[list[Any]]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Each metric's names and options: "." is what stands there in the row before, "..." all that stands before."""
    before: list[str] = []
    for metric in metrics:
        names = [item for item in metric if isinstance(item, str)]
        if names[0] == "...":
            names = before[: len(before) - len(names) + 1] + names[1:]
        before = [before[index] if name == "." else name for index, name in enumerate(names)]
        yield before, metric[-1] if isinstance(metric[-1], dict) else {}
