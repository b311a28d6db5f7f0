"""Kinds of tasks whose distribution is known, schedules of looks at them, and what is learned of them.

What is measured of ours is the deployed code: durations are learned job after job, and the plan is computed from what
is believed then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, count, pairwise, repeat
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from bucketbrush.domain.durations import PRIOR, Duration, Histogram, Shape, believed, parts
from bucketbrush.domain.polling import LONGEST, SHORTEST, poll_plan
from tests.bench.distributions import Distribution, Expected, Gamma, Lognormal, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.distributions import Times

PRICE, DEADLINE = 0.2, 21_600  # template.yaml, LatenessPrice and DeadlineSeconds: their defaults
COLD, FEW, SOME, MANY = "ours, 0 jobs", "ours, 50 jobs", "ours, 100 jobs", "ours, 200 jobs"
JOBS = {COLD: 0, FEW: 50, SOME: 100, MANY: 200}
_LONGEST_WAIT = 900  # behind the plan
_LEVELS = 3  # that a job is known by; here all of them hold the same jobs
_FORMER = 200  # jobs before a drift
_STALE = 5  # jobs for which a plan is used while durations are censored, as if they ran at the same time


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
            yield Case(f"lognormal {median} s, sigma {sigma}", lognormal(median, sigma))

    @property
    def drifts(self) -> Iterator[Case]:
        for median, sigma in self._cells():
            truth, former = lognormal(2 * median, sigma), lognormal(median, sigma)
            yield Case(f"drift {median} to {2 * median} s, sigma {sigma}", truth, former)

    def _cells(self) -> Iterator[tuple[int, float]]:
        return ((median, sigma) for median in self.medians for sigma in self.sigmas)


def lognormal(median: float, sigma: float) -> Distribution:
    return Distribution((1.0, Lognormal(median, sigma)))


OTHERS = (
    Case("two peaks 25/90 s", Distribution((0.5, Lognormal(25, 0.25)), (0.5, Lognormal(90, 0.25)))),
    Case("two peaks 15/300 s", Distribution((0.7, Lognormal(15, 0.3)), (0.3, Lognormal(300, 0.3)))),
    Case("gamma 4 x 15 s", Distribution((1.0, Gamma(4, 15)))),
)


TYPICAL = Case("lognormal 40 s, sigma 0.5", lognormal(40, 0.5))


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
    histograms = [*accumulate(map(round, case.durations(seed)), with_said, initial=Histogram())]
    return {known: shape_of(histograms[case.before + jobs]) for known, jobs in JOBS.items()}


def learned_censored(case: Case, seed: int) -> Shape:
    """What is believed after all jobs, when nobody tells more than between which two looks each was done."""
    durations = case.durations(seed)
    histogram, end = Histogram(), math.ceil(max(durations))
    for number, seconds in enumerate(durations):
        if number % _STALE == 0:
            shape = shape_of(histogram)
            looks = [0, *ours(shape, end).tolist()]
        between = next(Duration(before, look) for before, look in pairwise(looks) if seconds <= look)
        histogram = histogram.added(parts(between, shape))
    return shape_of(histogram)


def with_said(histogram: Histogram, seconds: int) -> Histogram:
    return histogram.added(parts(Duration(seconds, seconds), PRIOR))


def shape_of(histogram: Histogram) -> Shape:
    return believed([histogram] * _LEVELS)
