"""The picture of a dashboard, from series made up here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.body import read
from tests.dashboard.plot import draw, figure_of
from tests.dashboard.seen import Points, Seen

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

PERIOD = 5
JOBS = [["Bucketbrush", "Jobs", "service", "s", "outcome", "completed"], ["...", "lost"]]


def _seen(kind: str, properties: dict[str, Any], *points: Points) -> Seen:
    """A dashboard of one widget, whose lines have these points in their order."""
    common = {"title": "How many?", "region": "r", "stat": "Sum", "period": 300}
    widget = {"type": kind, "x": 2, "y": 1, "width": 8, "height": 6, "properties": {**common, **properties}}
    widgets = read(json.dumps({"widgets": [widget]}))
    lines = list(widgets[0].lines())
    return Seen(widgets, dict(zip(lines, points, strict=True)), {"arn": ("JobsLateAlarm", "ALARM")}, PERIOD, [])


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_a_graph_shows_the_points_and_its_gaps() -> None:
    """Periods begin at full minutes of the day, not when the first datum came."""
    shown = figure_of(
        _seen("metric", {"view": "timeSeries", "metrics": JOBS}, [(-2, 1), (3, 2), (8, 2), (23, 4)], [(3, 3)]), ""
    )
    (axes,) = shown.axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[-2, 1], [3, 2], [8, 2]], [[23, 4]], [[3, 3]]]
    assert {"How many?", "completed", "lost"} <= set(_words(shown))
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[1] != colours[2]


@pytest.mark.parametrize(("far", "scale"), [(99.0, "linear"), (101.0, "symlog")])
def test_what_is_usual_is_seen_beside_what_is_far_from_it(far: float, scale: str) -> None:
    (axes,) = figure_of(
        _seen("metric", {"view": "timeSeries", "metrics": JOBS}, [(0, 1), (5, 1), (10, far)], []), ""
    ).axes
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[1] > far


def test_stacked_values_stand_on_each_other() -> None:
    properties = {"view": "timeSeries", "stacked": True, "metrics": JOBS}
    (axes,) = figure_of(_seen("metric", properties, [(0, 2)], [(0, 3), (5, 1)]), "").axes
    bars = [(bar.get_x(), bar.get_y(), bar.get_height(), bar.get_width()) for bar in axes.patches]
    assert bars == [(0, 0, 2, PERIOD), (0, 2, 3, PERIOD), (5, 0, 1, PERIOD)]


def test_the_right_axis_has_its_own_scale() -> None:
    metrics = [["Bucketbrush", "Pictures", "service", "s"], [".", "StoredBytes", ".", ".", {"yAxis": "right"}]]
    properties = {"view": "timeSeries", "metrics": metrics}
    left, right = figure_of(_seen("metric", properties, [(0, 2)], [(0, 3e6)]), "").axes
    assert (left.lines[0].get_ydata(), right.lines[0].get_ydata()) == ([2], [3e6])
    assert left.get_ylim()[1] < 3 < 3e6 < right.get_ylim()[1]


def test_an_annotation_is_a_line() -> None:
    properties = {"view": "timeSeries", "annotations": {"horizontal": [{"label": "alarm", "value": 80}]}}
    seen = _seen("metric", {**properties, "metrics": JOBS[:1], "yAxis": {"left": {"min": 0, "max": 100}}}, [(0, 10)])
    (axes,) = figure_of(seen, "").axes
    assert list(axes.lines[-1].get_ydata()) == [80, 80]
    assert axes.get_ylim() == (0, 100)


@pytest.mark.parametrize("view", ["timeSeries", "singleValue"])
def test_what_has_no_data_says_so(view: str) -> None:
    properties = {"view": view, "metrics": JOBS}
    nothing, half = (figure_of(_seen("metric", properties, [], points), "") for points in ([], [(0.0, 3.0)]))
    assert any(words.split() == ["not", "produced", "locally"] for words in _words(nothing))
    assert not nothing.axes
    missing = [words for words in _words(half) if "produced" in words]
    assert missing == (["not produced locally: completed"] if view == "timeSeries" else ["not produced\nlocally"])


def test_a_number_is_the_sum() -> None:
    properties = {"view": "singleValue", "metrics": JOBS}
    assert {"1.23k", "3"} <= set(_words(figure_of(_seen("metric", properties, [(0, 1000), (5, 234)], [(0, 3)]), "")))


def test_alarms_and_texts_are_written() -> None:
    assert "JobsLate: ALARM" in _words(figure_of(_seen("alarm", {"alarms": ["arn"]}), ""))
    words = _words(figure_of(_seen("text", {"markdown": "# Stack\n**See** [here](#logsV2:x)"}), "the caption"))
    assert words == ["Stack", "See here ↗", "the caption"]


def test_the_picture_is_a_png_in_the_grid(tmp_path: Path) -> None:
    draw(tmp_path / "dashboard.png", _seen("metric", {"view": "timeSeries", "metrics": JOBS}, [(0, 1)], []), "caption")
    assert (tmp_path / "dashboard.png").read_bytes().startswith(b"\x89PNG")
