"""A dashboard as a picture: its widgets in its own grid, drawn from data that is given."""

from __future__ import annotations

import re
from io import BytesIO
from itertools import groupby
from math import ceil
from statistics import median
from textwrap import fill
from typing import TYPE_CHECKING, Any

from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator
from PIL import Image

from tests.dashboard.body import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

    from tests.dashboard.body import Line, Widget
    from tests.dashboard.seen import Points, Seen

MISSING = "not produced locally"
_UNIT = (0.62, 0.44)  # of the grid, in inches
_GAP, _PAD = 0.06, 0.12  # between cards and within them, in inches
_ROW = 0.155  # a line of small text, in inches
_LETTER = 0.06  # how wide one of its letters is, on the whole
_HEAD, _AXIS = 0.3, 0.22  # what a title and the numbers below a graph take
_CAPTION = 0.55
_FAR = 100  # times what is usual: from there on an axis goes by factors
_STYLE: Any = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
_INK, _FAINT, _PAPER = "#16191f", "#6b7785", "#f2f3f3"
_ASIDE: Any = {"color": _FAINT, "style": "italic"}
_STATES = {"OK": "#1d8102", "ALARM": "#d13212", "INSUFFICIENT_DATA": "#6b7785"}
_COLOURS = [*colormaps["tab10"].colors, *colormaps["Set2"].colors]
_LINK = re.compile(r"\[([^]]+)]\([^)]+\)")


def draw(path: Path, seen: Seen, caption: str) -> None:
    """Write a PNG of what was seen, in as many colours as a small one has."""
    full = BytesIO()
    figure_of(seen, caption).savefig(full, format="png")
    Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


def figure_of(seen: Seen, caption: str) -> Figure:
    """All widgets as cards, and below them the caption."""
    rows = max(widget.y + widget.height for widget in seen.widgets)
    size = COLUMNS * _UNIT[0], rows * _UNIT[1] + _CAPTION
    with rc_context(_STYLE):
        figure = Figure(figsize=size, facecolor=_PAPER, dpi=100)
        for widget in seen.widgets:
            _Card(figure, widget, seen).draw()
        figure.text(_PAD / size[0], _CAPTION / 2 / size[1], fill(caption, 220), color=_FAINT, va="center", fontsize=9)
    return figure


class _Card:
    """One widget on the figure. Lengths are inches from the card's lower left corner."""

    def __init__(self, figure: Figure, widget: Widget, seen: Seen) -> None:
        self.figure, self.widget, self.seen = figure, widget, seen
        self.lines = list(widget.lines())
        self.all = figure.get_size_inches()
        self.width, self.height = widget.width * _UNIT[0] - _GAP, widget.height * _UNIT[1] - _GAP
        self.left = widget.x * _UNIT[0] + _GAP / 2
        self.bottom = self.all[1] - (widget.y + widget.height) * _UNIT[1] + _GAP / 2

    def draw(self) -> None:
        box = (*self._at(0, 0), self.width / self.all[0], self.height / self.all[1])
        self._box(box, "white", "#d5dbdb")
        kind = self.widget.properties.get("view") or self.widget.kind
        {"text": self._text, "alarm": self._alarms, "singleValue": self._numbers, "timeSeries": self._graph}[kind]()

    def _text(self) -> None:
        lines = _LINK.sub(r"\1 ↗", self.widget.properties["markdown"]).replace("**", "").split("\n")
        top = self.height - _PAD
        for line in lines:
            is_heading = line.startswith("# ")
            style: Any = {"fontsize": 14, "fontweight": "bold"} if is_heading else {"fontsize": 9}
            self._write(_PAD, top, line.removeprefix("# "), va="top", **style)
            top -= 0.34 if is_heading else 0.2

    def _alarms(self) -> None:
        self._title()
        names = [self.seen.alarms[arn] for arn in self.widget.properties["alarms"]]
        across = 6
        width, height = (self.width - 2 * _PAD) / across, (self.height - _HEAD - _PAD) / ceil(len(names) / across)
        for number, (name, state) in enumerate(names):
            x, y = _PAD + number % across * width, self.height - _HEAD - (number // across + 1) * height
            corner = self._at(x + _GAP / 2, y + _GAP / 2)
            size = (width - _GAP) / self.all[0], (height - _GAP) / self.all[1]
            self._box((*corner, *size), _STATES[state], "none")
            words = f"{name.removesuffix('Alarm')}: {state.replace('_', ' ')}"
            self._write(x + width / 2, y + height / 2, words, color="white", ha="center", va="center", fontsize=7.5)

    def _numbers(self) -> None:
        self._title()
        width = self.width / len(self.lines)
        for number, line in enumerate(self.lines):
            points = self.seen.points[line]
            middle = (number + 0.5) * width
            value: Any = {"fontsize": 18} if points else {"fontsize": 7, **_ASIDE}
            words = _short(sum(value for _, value in points)) if points else fill(MISSING, 12)
            self._write(middle, 0.52, words, ha="center", va="center", **value)
            self._write(middle, _PAD, line.label, ha="center", va="bottom", color=_FAINT)

    def _graph(self) -> None:
        self._title()
        shown = {line: points for line in self.lines if (points := self.seen.points[line])}
        if not shown:
            self._write(self.width / 2, self.height / 2, MISSING, ha="center", va="center", fontsize=10, **_ASIDE)
            return
        missing = [line.label for line in self.lines if line not in shown]
        below = self._missing(missing) if missing else _PAD / 2
        below = self._legend({line.label: self._colour(line) for line in shown}, below)
        two = any(line.is_right for line in shown)
        left, right = 0.42, 0.45 if two else _PAD
        size = self.width - left - right, self.height - below - _AXIS - _HEAD
        place = (*self._at(left, below + _AXIS), size[0] / self.all[0], size[1] / self.all[1])
        axes = self.figure.add_axes(place)
        second = axes.twinx() if two else axes
        if self.widget.properties.get("stacked"):
            self._stack(axes, shown)
        else:
            for line, points in shown.items():
                for run in _unbroken(points, self.seen.period):
                    times, values = zip(*run, strict=True)
                    side = second if line.is_right else axes
                    side.plot(times, values, ".-", color=self._colour(line), linewidth=1.2, markersize=4)
        self._scale(axes, second)
        self._annotate(axes)

    def _stack(self, axes: Axes, shown: dict[Line, Points]) -> None:
        floor: dict[float, float] = {}
        for line, points in shown.items():
            times, values = zip(*points, strict=True)
            base = [floor.get(time, 0.0) for time in times]
            axes.bar(times, values, self.seen.period, base, color=self._colour(line), align="edge", linewidth=0)
            floor |= {time: low + value for time, low, value in zip(times, base, values, strict=True)}

    def _scale(self, axes: Axes, second: Axes) -> None:
        """Both begin at nothing; all widgets have the same time."""
        last = max(time for points in self.seen.points.values() for time, _ in points) + self.seen.period
        for one in {axes, second}:
            one.set(xlim=(0, last), ylim=(0, one.dataLim.ymax * 1.05 or 1))
            usual = median([value for line in one.lines for value in line.get_ydata() if value > 0] or [0])
            if 0 < usual * _FAR < one.dataLim.ymax:
                one.set_yscale("symlog", linthresh=usual)  # or what is usual could not be seen
                one.set_ylim(0, one.dataLim.ymax * 2)
            one.yaxis.set_major_formatter(lambda value, _: _short(value))
            one.spines["top"].set_visible(False)
            one.spines["right"].set_visible(second is not axes)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value // 60:.0f}:{value % 60:02.0f}")
        axes.xaxis.set_major_locator(MultipleLocator(60 if last > 180 else 20))
        axes.tick_params(length=2, color=_FAINT)
        axes.grid(axis="y", color="#e9ebed", linewidth=0.6)
        axes.set_axisbelow(True)

    def _annotate(self, axes: Axes) -> None:
        """Draw what the widget has besides its lines: others across, and limits."""
        red, last = _STATES["ALARM"], axes.get_xlim()[1]
        for line in self.widget.properties.get("annotations", {}).get("horizontal", []):
            axes.axhline(line["value"], color=red, linewidth=0.8, linestyle="--")
            axes.text(last, line["value"], line["label"], color=red, fontsize=7, ha="right", va="bottom")
            axes.set_ylim(top=max(axes.get_ylim()[1], line["value"] * 1.1))
        limits = self.widget.properties.get("yAxis", {}).get("left", {})
        axes.set_ylim(limits.get("min"), limits.get("max"))

    def _colour(self, line: Line) -> Any:
        """Its own or, whatever the others have to show, that of its place."""
        return line.colour or _COLOURS[self.lines.index(line) % len(_COLOURS)]

    def _legend(self, colours: dict[str, Any], bottom: float) -> float:
        """Write it from ``bottom`` on; returns where it ends."""
        most = (self.width - 2 * _PAD) / _LETTER
        widths = {label: len(label) + 4 for label in colours}
        rows: list[dict[str, int]] = [{}]
        for label, width in widths.items():
            if rows[-1] and sum(rows[-1].values()) + width > most:
                rows.append({})
            rows[-1][label] = width
        for number, row in enumerate(reversed(rows)):
            x, y = _PAD, bottom + (number + 0.5) * _ROW
            for label, width in row.items():
                self._write(x, y, "■", color=colours[label], va="center")
                self._write(x + 0.13, y, label, va="center", fontsize=7.5)
                x += width * _LETTER
        return bottom + len(rows) * _ROW

    def _missing(self, labels: list[str]) -> float:
        """Say what has no data at the foot of the card; returns where that ends."""
        words = fill(f"{MISSING}: {', '.join(labels)}", int((self.width - 2 * _PAD) / _LETTER * 1.12))
        self._write(_PAD, _PAD / 2, words, va="bottom", fontsize=7, **_ASIDE)
        return _PAD / 2 + (words.count("\n") + 1) * _ROW

    def _title(self) -> None:
        self._write(_PAD, self.height - _PAD / 2, self.widget.title, va="top", fontweight="bold", fontsize=9)

    def _write(self, x: float, y: float, words: str, **style: Any) -> None:
        self.figure.text(*self._at(x, y), words, **{"color": _INK, **style})

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (self.left + x) / self.all[0], (self.bottom + y) / self.all[1]

    def _box(self, place: tuple[float, float, float, float], face: str, edge: str) -> None:
        """Below the axes, which are drawn in the order in which they are made."""
        x, y, width, height = place
        where = {"transform": self.figure.transFigure, "zorder": -1}
        self.figure.add_artist(Rectangle((x, y), width, height, facecolor=face, edgecolor=edge, **where))


def _unbroken(points: Points, period: int) -> Iterator[Points]:
    """The parts of a line between periods without data."""
    for _, run in groupby(enumerate(points), lambda item: item[1][0] // period - item[0]):
        yield [point for _, point in run]


def _short(value: float) -> str:
    """Three digits are enough on a dashboard."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
