"""Poll plans against other schedules, on durations whose distribution is known; nothing passes but simulated time.

What a schedule costs is computed from the true distribution, so that chance is in what was learned and nowhere else.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from bucketbrush.domain.durations import Histogram
from bucketbrush.domain.polling import poll_plan
from local.engine.controller import ROOT
from tests.bench import calls, plot
from tests.bench.measured import Goal, Measured
from tests.bench.schedules import (
    COLD,
    DEADLINE,
    FEW,
    JOBS,
    MANY,
    OTHERS,
    PRICE,
    SOME,
    TYPICAL,
    Grid,
    best_fixed,
    exponential,
    fixed,
    learned,
    learned_censored,
    ours,
    shape_of,
    with_said,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bucketbrush.domain.durations import Shape
    from tests.bench.distributions import Expected
    from tests.bench.measured import Say
    from tests.bench.schedules import Case

PICTURE = ROOT / "docs" / "pictures" / "polling.svg"
CENSORED = "ours, censored"
OPTIMUM, EXPONENTIAL, FIXED, FIXED_10, BEST_FIXED = "optimum", "exponential", "fixed 5 s", "fixed 10 s", "best fixed"
SHARE = "share"
_REPEATS = 50  # of what is timed
_PRICES = (0.02, 0.05, PRICE, 0.5, 1, 2)


class Table(dict[str, dict[str, float]]):
    """Figures by row and column. The first row has all columns, in their order."""

    def __str__(self) -> str:
        columns = [*next(iter(self.values()))]
        cells = [[f"{row[column]:,.4f}" if column in row else "" for column in columns] for row in self.values()]
        lines = [["", *columns], *([name, *row] for name, row in zip(self, cells, strict=True))]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ([name.ljust(widths[0]), *map(str.rjust, row, widths[1:])] for name, *row in lines)
        return "".join(f"\n    {'  '.join(row)}" for row in rows)


@dataclass(frozen=True)
class Compared:
    """What each schedule costs in a case: ours for each seed, another once. ``shapes`` were believed after few jobs."""

    case: Case
    costs: dict[str, list[Expected]]
    shapes: list[Shape]

    def mean(self, schedule: str, what: Callable[[Expected], float]) -> float:
        return statistics.fmean(map(what, self.costs[schedule]))

    def ratios(self, schedule: str, other: str = OPTIMUM) -> list[float]:
        """The one's cost to the other's, for each seed of the one."""
        (divisor,) = self.costs[other]
        return [found.cost(PRICE) / divisor.cost(PRICE) for found in self.costs[schedule]]


def compare(case: Case, seeds: int) -> Compared:
    truth, end = case.truth, case.truth.end
    known = [learned(case, seed) for seed in range(seeds)]
    shapes = {name: [shape[name] for shape in known] for name in JOBS}
    if not case.former:
        shapes[CENSORED] = [learned_censored(case, seed) for seed in range(seeds)]
    costs = {name: [truth.expected(ours(shape, end)) for shape in found] for name, found in shapes.items()}
    others = {FIXED: fixed(5, end), FIXED_10: fixed(10, end), EXPONENTIAL: exponential(end)}
    costs |= {name: [truth.expected(schedule)] for name, schedule in others.items()}
    costs |= {BEST_FIXED: [best_fixed(truth)], OPTIMUM: [truth.expected(truth.optimum(PRICE))]}
    return Compared(case, costs, shapes[FEW])


def at_lateness(compared: Compared, lateness: float) -> tuple[float, float]:
    """The price at which our mean lateness after few jobs is so many seconds or just below, and the mean of our polls
    with it.
    """
    truth = compared.case.truth

    def found(price: float) -> list[Expected]:
        return [truth.expected(ours(shape, truth.end, price)) for shape in compared.shapes]

    low, high = 0.001, 10.0
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        if statistics.fmean(expected.lateness for expected in found(middle)) > lateness:
            low = middle
        else:
            high = middle
    return high, statistics.fmean(expected.polls for expected in found(high))


def measure(grid: Grid, others: Sequence[Case], say: Say) -> Measured:
    """All cases of the grid, and others."""

    def compared(cases: Iterable[Case]) -> Iterator[Compared]:
        for case in cases:
            yield compare(case, grid.seeds)
            say(case.name)

    lognormals, rest, drifts = [*compared(grid.lognormals)], [*compared(others)], [*compared(grid.drifts)]
    equal = _at_equal_lateness(lognormals)
    narrow = [row[SHARE] for name, row in equal.items() if name.endswith("sigma 0.25")]
    known = [*lognormals, *rest]
    goals = {
        "cold / optimum": (_mean(lognormals, COLD), 1.4),
        "cold / optimum, worst case": (_worst(lognormals, COLD), 2.0),
        "50 jobs / optimum": (_mean(lognormals, FEW), 1.02),
        "50 jobs / optimum, worst seed": (_worst(lognormals, FEW), 1.1),
        "200 jobs / optimum": (_mean(lognormals, MANY), 1.01),
        "200 jobs / optimum, worst seed": (_worst(lognormals, MANY), 1.05),
        "peaks and gamma, 200 jobs / optimum": (_worst_case(rest, MANY), 1.03),
        "censored / optimum": (_mean(known, CENSORED), 1.02),
        "censored / optimum, worst case": (_worst_case(known, CENSORED), 1.1),
        "100 jobs after a drift / optimum": (_mean(drifts, SOME), 1.1),
        "100 jobs after a drift, worst seed": (_worst(drifts, SOME), 1.2),
        "50 jobs / fixed 5 s": (_mean(lognormals, FEW, FIXED), 0.36),
        "50 jobs / exponential": (_mean(lognormals, FEW, EXPONENTIAL), 0.53),
        "polls / exponential's, both as late": (max(narrow), 1 / 3),
    }
    figures = {name: round(figure, 4) for name, (figure, _) in goals.items()}
    tables = _tables([*known, *drifts])
    tables |= {"both as late as the exponential": equal, "by LatenessPrice": _by_price(grid.seeds)}
    return Measured({**tables, **figures}, {name: Goal(most=most) for name, (_, most) in goals.items()})


def _tables(found: Sequence[Compared]) -> dict[str, Table]:
    schedules = [*found[0].costs]
    return {
        "polls": _table(found, schedules, lambda one, name: one.mean(name, lambda expected: expected.polls)),
        "lateness, s": _table(found, schedules, lambda one, name: one.mean(name, lambda expected: expected.lateness)),
        "cost": _table(found, schedules, lambda one, name: one.mean(name, lambda expected: expected.cost(PRICE))),
        "cost / optimum": _table(found, schedules, lambda one, name: _mean([one], name)),
        "cost / optimum, worst seed": _table(found, [*JOBS, CENSORED], lambda one, name: _worst([one], name)),
    }


def _table(found: Iterable[Compared], names: Sequence[str], figure: Callable[[Compared, str], float]) -> Table:
    return Table(
        {one.case.name: {name: round(figure(one, name), 4) for name in names if name in one.costs} for one in found}
    )


def _at_equal_lateness(found: Iterable[Compared]) -> Table:
    """Our polls and the exponential schedule's, at its lateness."""
    table = Table()
    for compared in found:
        (other,) = compared.costs[EXPONENTIAL]
        price, polls = at_lateness(compared, other.lateness)
        row = {"lateness, s": other.lateness, "price": price, FEW: polls, EXPONENTIAL: other.polls}
        row[SHARE] = polls / other.polls
        table[compared.case.name] = {name: round(figure, 4) for name, figure in row.items()}
    return table


def _by_price(seeds: int) -> Table:
    """What the parameter does: our looks and lateness after many jobs."""
    truth, shapes, table = TYPICAL.truth, [learned(TYPICAL, seed)[MANY] for seed in range(seeds)], Table()
    for price in _PRICES:
        found = [truth.expected(ours(shape, truth.end, price)) for shape in shapes]
        row = {"polls": [one.polls for one in found], "lateness, s": [one.lateness for one in found]}
        table[f"{price:g}"] = {name: round(statistics.fmean(figures), 4) for name, figures in row.items()}
    return table


def _mean(found: Iterable[Compared], schedule: str, other: str = OPTIMUM) -> float:
    """Of the ratios of all cases and seeds."""
    return statistics.fmean(ratio for one in found for ratio in one.ratios(schedule, other))


def _worst(found: Iterable[Compared], schedule: str) -> float:
    """Of all cases and seeds."""
    return max(ratio for one in found for ratio in one.ratios(schedule))


def _worst_case(found: Iterable[Compared], schedule: str) -> float:
    """The worst mean over a case's seeds."""
    return max(_mean([one], schedule) for one in found)


# ---- The picture, the time and the section ---------------------------------------------------------------------------


def draw(path: Path) -> None:
    """Schedules for one kind of tasks, ours with what was learned of them."""
    truth, end = TYPICAL.truth, TYPICAL.truth.end
    schedules = {
        "computed, after 200 jobs": ours(learned(TYPICAL, seed=0)[MANY], end),
        "every 5 s": fixed(5, end),
        "exponential, 2 to 30 s": exponential(end),
        "optimum": truth.optimum(PRICE),
    }
    rows = {f"{name}\n{_said(truth.expected(schedule))}": schedule for name, schedule in schedules.items()}
    at = np.arange(1.0, 161.0)
    plot.draw(path, "When to look at tasks that take 40 s in the median", rows, at, truth.density(at))


def _said(expected: Expected) -> str:
    return f"{expected.polls:.1f} looks + {PRICE:g} x {expected.lateness:.1f} s = {expected.cost(PRICE):.1f}"


def _plan_milliseconds() -> float:
    """How long this machine takes for one plan, from the histograms to the waits: the median."""
    histogram = reduce(with_said, map(round, TYPICAL.durations(seed=0)), Histogram())
    took = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        poll_plan(shape_of(histogram), PRICE, DEADLINE)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def bench(say: Say) -> Measured:
    """The section."""
    measured = measure(Grid(), OTHERS, say)
    draw(PICTURE)
    say(f"drawn: {PICTURE.relative_to(ROOT)}")
    polls = measured.figures["polls"][TYPICAL.name]
    priced = calls.bench(say, {"ours": polls[MANY], "first at once, then every 5 s": 1 + polls[FIXED]})
    tables = {name: Table(found) if isinstance(found, dict) else found for name, found in priced.items()}
    timed = {"a plan on this machine, ms": round(_plan_milliseconds(), 1)}
    return Measured({**measured.figures, **tables, **timed}, measured.goals)
