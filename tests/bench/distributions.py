"""Durations whose distribution is known: samples of them, and what a schedule of looks costs, exactly.

With a task that is done at the time T and looks at the times t1 < t2 < ..., the look at t is made when T is above the
one before it, and a task is seen late by the time from T to the first look behind it. Times are in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from bucketbrush.domain.polling import LONGEST, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
Times: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"

_REST = 1e-7  # of the tasks, with which a schedule may end
_erfc: Callable[[Floats], Floats] = np.vectorize(math.erfc, otypes=[float])


class Kind(Protocol):
    """One kind of tasks."""

    def done(self, at: Floats) -> Floats:
        """P(T <= at), for times above 0."""

    def mean(self, at: Floats) -> Floats:
        """E[T; T <= at]: the mean of T over the tasks that are done by then, times their part."""

    def sample(self, chance: np.random.Generator, count: int) -> Floats:
        """So many durations."""


@dataclass(frozen=True)
class Lognormal:
    median: float
    sigma: float

    def done(self, at: Floats) -> Floats:
        return self._normal(self._deviation(at))

    def mean(self, at: Floats) -> Floats:
        return self.median * math.exp(self.sigma**2 / 2) * self._normal(self._deviation(at) - self.sigma)

    def sample(self, chance: np.random.Generator, count: int) -> Floats:
        return chance.lognormal(math.log(self.median), self.sigma, count)

    def _deviation(self, at: Floats) -> Floats:
        return np.log(at / self.median) / self.sigma

    @staticmethod
    def _normal(deviation: Floats) -> Floats:
        return 0.5 * _erfc(-deviation / math.sqrt(2))


@dataclass(frozen=True)
class Gamma:
    """``shape`` is a whole number: so many phases one after the other, each of ``scale`` seconds in the mean."""

    shape: int
    scale: float

    def done(self, at: Floats) -> Floats:
        return self._done(at, self.shape)

    def mean(self, at: Floats) -> Floats:
        return self.shape * self.scale * self._done(at, self.shape + 1)

    def sample(self, chance: np.random.Generator, count: int) -> Floats:
        return chance.gamma(self.shape, self.scale, count)

    def _done(self, at: Floats, shape: int) -> Floats:
        """Fewer phases than ``shape`` have ended, or it is done (Poisson)."""
        x = at / self.scale
        return 1 - np.exp(-x) * sum(x**ended / math.factorial(ended) for ended in range(shape))


class Expected(NamedTuple):
    """Of one task: looks, and seconds from its end to the look that sees it."""

    polls: float
    lateness: float

    def cost(self, price: float) -> float:
        """In looks, when a second's lateness costs ``price`` of them."""
        return self.polls + price * self.lateness


class Distribution:
    """Of the durations of tasks of some kinds, each with its part of them."""

    def __init__(self, *kinds: tuple[float, Kind]) -> None:
        self._kinds = kinds

    def sample(self, chance: np.random.Generator, count: int) -> Floats:
        """So many durations, in an order of chance."""
        weights = [weight for weight, _ in self._kinds]
        which = chance.choice(len(weights), count, p=weights)
        durations: Floats = np.choose(which, [kind.sample(chance, count) for _, kind in self._kinds])
        return durations

    def density(self, at: Floats) -> Floats:
        """Per second."""
        slope: Floats = np.gradient(self._done(at), at)
        return slope

    @cached_property
    def end(self) -> int:
        """When nearly every task is done."""
        end = 60
        while self._done(np.array([end]))[0] < 1 - _REST:
            end += end // 20
        return end

    def expected(self, schedule: Times) -> Expected:
        """What these looks cost; the last one is at ``end`` or behind it."""
        at = np.minimum(np.concatenate([[0], schedule]), self.end)
        done, mean = (table[at] for table in self._tables)
        return Expected(polls=float(np.sum(1 - done[:-1])), lateness=float(np.sum(_late(at, done, mean))))

    def optimum(self, price: float) -> Times:
        """The cheapest schedule of whole seconds whose waits are within the bounds of a poll plan.

        By the recursion of ``domain.polling``, here with the true distribution and every second.
        """
        done, mean = self._tables
        waits = np.arange(SHORTEST, LONGEST + 1)
        to_pay, wait = np.zeros(len(done)), np.zeros(self.end, dtype=np.int64)
        for at in range(self.end - 1, -1, -1):
            after = slice(at + SHORTEST, at + LONGEST + 1)
            lateness = (at + waits) * (done[after] - done[at]) - (mean[after] - mean[at])
            costs = price * lateness + to_pay[after]
            best = int(np.argmin(costs))
            wait[at], to_pay[at] = waits[best], 1 - done[at] + costs[best]
        looks = [int(wait[0])]
        while looks[-1] < self.end:
            looks.append(looks[-1] + int(wait[looks[-1]]))
        return np.array(looks)

    @cached_property
    def _tables(self) -> tuple[Floats, Floats]:
        """For each second from 0 to the longest wait behind ``end``: P(T <= t) and E[T; T <= t]."""
        at = np.arange(1.0, self.end + LONGEST + 1)
        mean = sum(weight * kind.mean(at) for weight, kind in self._kinds)
        return np.concatenate([[0.0], self._done(at)]), np.concatenate([[0.0], mean])

    def _done(self, at: Floats) -> Floats:
        done: Floats = np.sum([weight * kind.done(at) for weight, kind in self._kinds], axis=0)
        return done


def schedule_of(waits: Iterable[int], end: int) -> Times:
    """The times of the looks with these waits before them, up to the first one at ``end`` or behind it."""
    looks, at = [], 0
    for wait in waits:
        at += wait
        looks.append(at)
        if at >= end:
            break
    return np.array(looks)


def _late(at: Times, done: Floats, mean: Floats) -> Floats:
    """The seconds of lateness between each look and the next, times the part of the tasks that are done there."""
    return at[1:] * np.diff(done) - np.diff(mean)
