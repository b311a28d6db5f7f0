"""Jobs in simulated time, from the drop to the end, against the limits of the template, of the API and of AWS.

When a job leaves and when its task is looked at is decided by the code that is deployed. How long functions take is
what tests.bench.quotas counts with, and what is random has a seed. A limit that is exceeded is noted and refuses
nothing, so that a run tells which one would be the first, and how often it would.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from bucketbrush.adapters.ledger import _FIRST_DELAY, _LONGEST_DELAY, _TRANSACTIONS
from bucketbrush.depart import Depart
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.domain.polling import poll_plan
from local.simulator.limits import TokenBucket
from tests.bench.quotas import (
    CLOSED,
    CREATED,
    DURATIONS_ROW,
    FINALIZE_SECONDS,
    LOOK_SECONDS,
    MOVED,
    OWN_SECONDS,
    QUEUE_SECONDS,
    ROW,
    SUBMIT_SECONDS,
    TRANSACTION_SECONDS,
    Limits,
    Name,
    Settings,
)
from tests.bench.schedules import DEADLINE, MANY, PRICE, TYPICAL, learned, walk
from tests.unit.fakes import SUBMIT_SETTINGS, FakeDepartures

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from bucketbrush.depart import Turn

    Steps: TypeAlias = Generator[float, None, None]  # the seconds until the next one

_BEGAN = 1_800_000_000
_MINUTE = 60
_MEDIAN, _SIGMA = 40, 0.5  # of the tasks: docs/waiting.md


@cache
def _plan() -> tuple[int, ...]:
    """The waits before each look, when much is known of such tasks."""
    return poll_plan(learned(TYPICAL, seed=0)[MANY], PRICE, DEADLINE)


class Traffic:
    """One run. ``needs`` is what is so of what the limits need; ``queue_seconds`` is MaxQueueSeconds.

    ``total`` is what was used of each limit, in seconds where it is about so many at once. ``refused`` counts what
    would have been refused, and ``first`` is the limit that would have been the first to do it.
    """

    def __init__(
        self, settings: Settings, limits: Limits, seed: int, needs: str = "", queue_seconds: int = QUEUE_SECONDS
    ) -> None:
        self.total: dict[Name, float] = defaultdict(float)
        self.refused: Counter[Name] = Counter()
        self.first: Name | None = None
        self.ended = 0
        self._now = float(_BEGAN)
        self._chance = Random(seed)
        self._due: list[tuple[float, int, Steps]] = []
        self._number = itertools.count()
        self._minutes: dict[Name, dict[int, float]] = {name: defaultdict(float) for name in Name}
        self._at_once: Counter[Name] = Counter()
        self.most_at_once: Counter[Name] = Counter()
        self._limits = {name: limit for name, limit in limits.items() if limit.needs in ("", needs)}
        self._buckets: dict[Name, TokenBucket] = {
            name: TokenBucket(self._clock, limit.most, math.ceil(limit.burst or limit.most))
            for name, limit in self._limits.items()
            if not limit.is_level and name is not Name.PACE  # which lets jobs wait
        }
        self._queue: deque[Job] = deque()
        self._free = settings.maximum_concurrency
        self._month_free_at = 0.0
        self._slept = 0.0
        departures: Any = FakeDepartures()
        departures.step = step_between(settings.submits_per_second)
        self._depart = Depart(departures, self._clock, self._sleep, queue_seconds, SUBMIT_SETTINGS.refused_wait_seconds)

    @property
    def peaks(self) -> dict[Name, float]:
        """What was used a second of each limit in the busiest minute."""
        return {name: max(found.values()) / _MINUTE for name, found in self._minutes.items() if found}

    def run(self, arrivals: Iterable[float], *, until_refused: bool = False) -> None:
        """Until every job has ended, or a limit is exceeded. ``arrivals`` are in seconds since the beginning."""
        for number, after in enumerate(arrivals):
            job = Job(job_id=str(number), state=State.ACCEPTED, created_at=int(_BEGAN + after))
            self._go_on(self._drop(job), _BEGAN + after)
        while self._due and not (until_refused and self.first):
            self._now, _, steps = heapq.heappop(self._due)
            if (seconds := next(steps, None)) is not None:
                self._go_on(steps, self._now + max(0.0, seconds))

    def _go_on(self, steps: Steps, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._number), steps))

    def _clock(self) -> float:
        return self._now

    def _sleep(self, seconds: float) -> None:
        self._slept = seconds

    # ---- What is used -----------------------------------------------------------------------------------------------

    def _use(self, name: Name, units: int = 1) -> None:
        self._note(name, units)
        if bucket := self._buckets.get(name):
            self._refuse(name, sum(bucket.take() > 0 for _ in range(units)))

    @contextmanager
    def _one_of(self, name: Name) -> Iterator[None]:
        """One more at once."""
        began = self._now
        self._at_once[name] += 1
        self.most_at_once[name] = max(self.most_at_once[name], self._at_once[name])
        self._refuse(name, name in self._limits and self._at_once[name] > self._limits[name].most)
        yield
        self._at_once[name] -= 1
        self._note(name, self._now - began)

    def _note(self, name: Name, amount: float) -> None:
        self.total[name] += amount
        self._minutes[name][int(self._now) // _MINUTE] += amount

    @contextmanager
    def _invocation(self) -> Iterator[None]:
        self._use(Name.REQUESTS)
        with self._one_of(Name.CONCURRENCY):
            yield

    def _refuse(self, name: Name, count: int) -> None:
        if count:
            self.refused[name] += count
            self.first = self.first or name

    # ---- A job ------------------------------------------------------------------------------------------------------

    def _drop(self, job: Job) -> Steps:
        """A drop comes to the queue, which calls as many functions as MaximumConcurrency allows."""
        self._queue.append(job)
        self._take()
        yield from ()

    def _take(self) -> None:
        while self._queue and self._free:
            self._free -= 1
            self._go_on(self._life(self._queue.popleft()), self._now)

    def _life(self, job: Job) -> Steps:
        with self._one_of(Name.INTAKE):
            self._use(Name.SCHEDULE)
            self._use(Name.JOBS, ROW)
            self._use(Name.INDEX, CREATED)
            turn = yield from self._submit(job)
        self._free += 1
        self._take()
        self._use(Name.STARTS)
        with self._one_of(Name.OPEN):
            self._use(Name.TRANSITIONS, 2)  # Read, Known
            while turn.problem:
                self._use(Name.TRANSITIONS)  # Hold
                yield turn.leaves_at // 1000 - self._now
                self._use(Name.TRANSITIONS)  # Submit
                self._use(Name.JOBS, ROW)  # the lease
                turn = yield from self._submit(job.model_copy(update={"departure": turn.departure}))
                self._use(Name.TRANSITIONS)  # Known
            yield from self._looks()
            yield from self._finalize()
        self.ended += 1

    def _submit(self, job: Job) -> Generator[float, None, Turn]:
        """One call of the submit function: the job is sent, or is told until when it waits."""
        with self._invocation():
            turn = self._depart.turn(job)
            yield OWN_SECONDS
            self._use(Name.INDEX, MOVED)
            if turn.problem:
                self._use(Name.JOBS, ROW)
                return turn
            self._depart.wait_for(turn)
            yield self._slept
            yield from self._change_month()
            self._use(Name.PACE)
            self._use(Name.SUBMITS)
            self._use(Name.JOBS, 2 * ROW)  # the intent, and the task's id
            yield SUBMIT_SECONDS
        return turn

    def _looks(self) -> Steps:
        done_at = self._now + self._chance.lognormvariate(math.log(_MEDIAN), _SIGMA)
        for wait in walk(_plan()):
            self._use(Name.TRANSITIONS)  # Wait
            yield wait
            self._use(Name.TRANSITIONS)  # Status
            is_done = self._now >= done_at
            with self._invocation():
                self._use(Name.READS)
                yield LOOK_SECONDS
                self._use(Name.JOBS, ROW)
            self._use(Name.TRANSITIONS)  # Seen
            if is_done:
                return

    def _finalize(self) -> Steps:
        self._use(Name.TRANSITIONS)  # Finalize
        with self._invocation():
            self._use(Name.READS)
            yield FINALIZE_SECONDS
            yield from self._change_month()
            self._use(Name.JOBS, ROW)
            self._use(Name.INDEX, CLOSED)
            self._use(Name.DURATIONS, DURATIONS_ROW)
            self._use(Name.MAILS)
        self._use(Name.TRANSITIONS, 2)  # Outcome, Done

    def _change_month(self) -> Steps:
        """A transaction that meets another one is cancelled, and tried again as the ledger does it."""
        if Name.MONTH not in self._limits:
            return
        for number in range(_TRANSACTIONS):
            if self._now >= self._month_free_at:
                self._month_free_at = self._now + TRANSACTION_SECONDS
                self._use(Name.MONTH)
                yield TRANSACTION_SECONDS
                return
            yield self._chance.uniform(0, min(_LONGEST_DELAY, _FIRST_DELAY * 2**number))
        self._refuse(Name.MONTH, 1)


def spread(jobs: int, rate: float, seed: int) -> list[float]:
    """When so many jobs come that come at random, so many a second: in seconds since the beginning."""
    chance = Random(seed)
    return sorted(chance.uniform(0, jobs / rate) for _ in range(jobs))
