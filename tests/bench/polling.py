"""Poll plans against other schedules, on durations whose distribution is known; nothing passes but simulated time.

What is measured of ours is the deployed code: durations are learned job after job, and the plan is computed from what
is believed then. What a schedule costs is computed from the true distribution, so that chance is in what was learned
and nowhere else.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, count, pairwise, repeat
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from bucketbrush.domain.durations import PRIOR, Duration, Histogram, Shape, believed, parts
from bucketbrush.domain.polling import LONGEST, SHORTEST, poll_plan
from local.engine.controller import ROOT
from tests.bench import calls, plot
from tests.bench.distributions import Distribution, Expected, Gamma, Lognormal, schedule_of
from tests.bench.measured import Goal, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.bench.distributions import Times
    from tests.bench.measured import Say

PRICE, DEADLINE = 0.2, 21_600  # template.yaml, LatenessPrice and DeadlineSeconds: their defaults
PICTURE = ROOT / "docs" / "pictures" / "polling.svg"
COLD, FEW, SOME, MANY, CENSORED = "ours, 0 jobs", "ours, 50 jobs", "ours, 100 jobs", "ours, 200 jobs", "ours, censored"
JOBS = {COLD: 0, FEW: 50, SOME: 100, MANY: 200}
OPTIMUM, EXPONENTIAL, FIXED, FIXED_10, BEST_FIXED = "optimum", "exponential", "fixed 5 s", "fixed 10 s", "best fixed"
SHARE = "share"
_LONGEST_WAIT = 900  # behind the plan
_LEVELS = 3  # that a job is known by; here all of them hold the same jobs
_FORMER = 200  # jobs before a drift
_STALE = 5  # jobs for which a plan is used while durations are censored, as if they ran at the same time
_REPEATS = 50  # of what is timed
_PRICES = (0.02, 0.05, PRICE, 0.5, 1, 2)


# ---- Cases ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Durations, and those of the jobs before these, if they were others. Jobs are counted from where these begin."""

    name: str
    truth: Distribution
    former: Distribution | None = None

    @property
    def before(self) -> int:
        """How many others there were."""
        return _FORMER if self.former else 0

    def durations(self, seed: int) -> list[float]:
        """Of all jobs, one after the other."""
        chance = np.random.default_rng([seed, crc32(self.name.encode())])
        former = self.former.sample(chance, _FORMER).tolist() if self.former else []
        return [*former, *self.truth.sample(chance, JOBS[MANY]).tolist()]


@dataclass(frozen=True)
class Grid:
    """Medians in seconds and sigmas of the lognormals, and how many times each case is learned."""

    medians: Sequence[int] = (15, 40, 120, 300)
    sigmas: Sequence[float] = (0.25, 0.5, 0.8)
    seeds: int = 20

    @property
    def lognormals(self) -> Iterator[Case]:
        for median, sigma in self._cells():
            yield Case(f"lognormal {median} s, sigma {sigma}", _lognormal(median, sigma))

    @property
    def drifts(self) -> Iterator[Case]:
        for median, sigma in self._cells():
            truth, former = _lognormal(2 * median, sigma), _lognormal(median, sigma)
            yield Case(f"drift {median} to {2 * median} s, sigma {sigma}", truth, former)

    def _cells(self) -> Iterator[tuple[int, float]]:
        return ((median, sigma) for median in self.medians for sigma in self.sigmas)


def _lognormal(median: float, sigma: float) -> Distribution:
    return Distribution((1.0, Lognormal(median, sigma)))


OTHERS = (
    Case("two peaks 25/90 s", Distribution((0.5, Lognormal(25, 0.25)), (0.5, Lognormal(90, 0.25)))),
    Case("two peaks 15/300 s", Distribution((0.7, Lognormal(15, 0.3)), (0.3, Lognormal(300, 0.3)))),
    Case("gamma 4 x 15 s", Distribution((1.0, Gamma(4, 15)))),
)


TYPICAL = Case("lognormal 40 s, sigma 0.5", _lognormal(40, 0.5))


# ---- Schedules -----------------------------------------------------------------------------------------------------


def walk(plan: Sequence[int]) -> Iterator[int]:
    """The waits of the workflow: the plan's, and behind it ever longer ones (template.yaml, state Wait)."""
    yield from plan
    for step in count(1):
        yield min(_LONGEST_WAIT, math.floor(plan[-1] * 1.5**step))


def ours(shape: Shape, end: int, price: float = PRICE) -> Times:
    return schedule_of(walk(poll_plan(shape, price, DEADLINE)), end)


def fixed(wait: int, end: int) -> Times:
    return schedule_of(repeat(wait), end)


def exponential(end: int) -> Times:
    """Whole seconds, as a state machine waits: 2, 3, 4, 6, 10, 15, 22, 30, 30, ..."""
    return schedule_of((math.floor(min(30, 2 * 1.5 ** min(step, 10))) for step in count()), end)


def best_fixed(truth: Distribution) -> Expected:
    """Of the cheapest fixed wait, which one knows when it is over."""
    found = (truth.expected(fixed(wait, truth.end)) for wait in range(SHORTEST, LONGEST + 1))
    return min(found, key=lambda expected: expected.cost(PRICE))


# ---- Learning ------------------------------------------------------------------------------------------------------


def learned(case: Case, seed: int) -> dict[str, Shape]:
    """What is believed after some jobs, of which the provider tells how long they took, in whole seconds."""
    histograms = [*accumulate(map(round, case.durations(seed)), _with_said, initial=Histogram())]
    return {known: _shape(histograms[case.before + jobs]) for known, jobs in JOBS.items()}


def learned_censored(case: Case, seed: int) -> Shape:
    """What is believed after all jobs, when nobody tells more than between which two looks each was done."""
    durations = case.durations(seed)
    histogram, end = Histogram(), math.ceil(max(durations))
    for number, seconds in enumerate(durations):
        if number % _STALE == 0:
            shape = _shape(histogram)
            looks = [0, *ours(shape, end).tolist()]
        between = next(Duration(before, look) for before, look in pairwise(looks) if seconds <= look)
        histogram = histogram.added(parts(between, shape))
    return _shape(histogram)


def _with_said(histogram: Histogram, seconds: int) -> Histogram:
    return histogram.added(parts(Duration(seconds, seconds), PRIOR))


def _shape(histogram: Histogram) -> Shape:
    return believed([histogram] * _LEVELS)


# ---- Measuring -----------------------------------------------------------------------------------------------------


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
    histogram = reduce(_with_said, map(round, TYPICAL.durations(seed=0)), Histogram())
    took = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        poll_plan(_shape(histogram), PRICE, DEADLINE)
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
