"""Schedules of looks as a picture: a row of ticks for each, over the density of the durations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from tests.bench.distributions import Floats, Times

# Text stays text, and the same picture has the same bytes.
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "bucketbrush", "font.size": 9}
_ROOM = 0.5  # rows above and below the ticks


def draw(path: Path, title: str, rows: Mapping[str, Times], at: Floats, density: Floats) -> None:
    """Write an SVG of the looks before the last of the times ``at``, in seconds; the first row is on top."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.add_subplot(
            title=title,
            xlabel="seconds since the task was sent",
            xlim=(0, at[-1]),
            ylim=(len(rows) - 1 + _ROOM, -_ROOM),
            yticks=range(len(rows)),
            yticklabels=list(rows),
        )
        height = len(rows) / density.max()
        axes.fill_between(at, len(rows) - _ROOM, len(rows) - _ROOM - height * density, color="#dbe7f3", linewidth=0)
        looks = [times[times < at[-1]] for times in rows.values()]
        axes.eventplot(looks, linelengths=0.6, linewidths=1.5, colors="#1f4e79")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
