"""A hundred thousand jobs in simulated time, against what the provider's pages say of its limits.

The use case is the real one and so are its rules; the schedule's row is in memory, the clock is a queue of events, and
what is random has a seed. Functions start late, some much, and some are killed.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.depart import Depart
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.errors import BucketbrushError, ProviderBusy, ProviderUnreachable, RateLimited
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from local.simulator.limits import TokenBucket
from tests.bench.figures import most_within, rank_correlation
from tests.unit.fakes import SUBMIT_SETTINGS, FakeDepartures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RATE = 4.0
BEGAN = 1_800_000_000
LEASE_SECONDS = 65
COLD, KILLED = 0.03, 0.001  # shares of invocations
ON_THEIR_WAY = 4  # seconds: the last one of a departure that is not looked at again, and a cold start
LONGEST_LOOK = 300  # seconds until a paused job looks again


class Window:
    """At most ``most`` in any ``seconds``; ``take`` gives 0, or the seconds until there is room."""

    def __init__(self, clock: Callable[[], float], most: int, seconds: float) -> None:
        self._clock, self._most, self._seconds = clock, most, seconds
        self._taken: deque[float] = deque()

    def take(self) -> float:
        now = self._clock()
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            return self._taken[0] + self._seconds - now
        self._taken.append(now)
        return 0.0


class Simulation:
    """Jobs, their executions and the provider. ``sent`` are the accepted POSTs: when, and the number of the job.

    The provider of a default account (ToAPIs, async rate limits page) takes 5 submits a second, 300 a minute and 50 in
    ten seconds: as a bucket and as sliding windows, whichever refuses.
    """

    def __init__(self, seed: int, provider_rate: float = 5.0) -> None:
        self.now = float(BEGAN)
        self.refused = 0
        self.sent: list[tuple[float, int]] = []
        self.departures = FakeDepartures()
        self.departures.step = step_between(RATE)
        self._slept = 0.0
        self._chance = Random(seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = itertools.count()
        departures: Any = self.departures
        self._depart = Depart(
            departures,
            self._clock,
            self._sleep,
            SUBMIT_SETTINGS.max_queue_seconds,
            SUBMIT_SETTINGS.refused_wait_seconds,
        )
        self._limits: tuple[TokenBucket | Window, ...] = (
            TokenBucket(self._clock, provider_rate, int(10 * provider_rate)),
            *(Window(self._clock, int(seconds * provider_rate), seconds) for seconds in (10, 60)),
        )

    def run(self, arrivals: Sequence[float]) -> None:
        """Until every job is sent. ``arrivals`` are when they come, in seconds since the beginning."""
        for number, after in enumerate(arrivals):
            created_at = int(BEGAN + after)
            job = Job(job_id=str(number), state=State.ACCEPTED, created_at=created_at)
            self.at(BEGAN + after, self._invoke, job)
        while self._events:
            self.now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)

    def at(self, when: float, act: Callable[..., None], *arguments: Any) -> None:
        """Something happens at a time, in seconds since 1970."""
        heapq.heappush(self._events, (max(when, self.now), next(self._number), act, arguments))

    def pause(self, is_paused: bool) -> None:
        """As an operator does it."""
        paused_at = int(self.now) * 1000 if is_paused else None
        self.departures.schedule = self.departures.schedule.model_copy(update={"paused_at": paused_at})

    def _invoke(self, job: Job) -> None:
        """What the submit function does until its POST. One that is killed writes nothing, and runs again."""
        turn = self._depart.turn(job)
        if self._chance.random() < KILLED:
            self.at(self.now + LEASE_SECONDS, self._invoke, job)
            return
        job = job.model_copy(update={"departure": turn.departure})
        if turn.problem:
            job = job.model_copy(update={"hold_reason": type(turn.problem).__name__})
            self._wake(job, turn.leaves_at // 1000)
            return
        self._depart.wait_for(turn)
        self.at(self.now + self._slept + self._start(), self._post, job)

    def _post(self, job: Job) -> None:
        """A refused job keeps everybody back."""
        wait = max(limit.take() for limit in self._limits)
        if not wait:
            self.sent.append((self.now, int(job.job_id)))
            return
        self.refused += 1
        seconds = math.ceil(wait)
        self._depart.stop(seconds)
        self._hold(job, seconds)

    def _hold(self, job: Job, seconds: int, reason: type[BucketbrushError] = RateLimited) -> None:
        """As the submit function has a job wait that it could not send."""
        now = int(self.now)
        stalled_at = job.stalled_at or now
        facts = {"departure": None, "submitting_at": now, "stalled_at": stalled_at, "hold_reason": reason.__name__}
        self._wake(job.model_copy(update=facts), now + max(seconds, (now - stalled_at) // 10))

    def _wake(self, job: Job, hold_until: float) -> None:
        self.at(max(hold_until, self.now) + self._start(), self._invoke, job)

    def _start(self) -> float:
        """How late something begins, in seconds."""
        return self._chance.uniform(0.5, 3.0) if self._chance.random() < COLD else self._chance.uniform(0.0, 0.2)

    def _clock(self) -> float:
        return self.now

    def _sleep(self, seconds: float) -> None:
        self._slept = seconds


def arrivals(count: int, seed: int) -> list[float]:
    """Crowds, and others one by one for about as long as a crowd takes to leave: seconds since the beginning."""

    def come() -> Iterator[float]:
        chance, now = Random(seed), 0.0
        while True:
            crowd = chance.randint(100, 5000)
            for _ in range(crowd):
                yield (now := now + chance.uniform(0.0, 0.05))
            over_at = now + crowd / RATE * chance.uniform(0.0, 2.0)
            while now < over_at:
                yield (now := now + chance.expovariate(1.0))

    return list(itertools.islice(come(), count))


def queues(arrived: Sequence[float]) -> Iterator[range]:
    """The jobs of each time in which somebody always waits."""
    first, free_at = 0, 0.0
    for number, at in enumerate(arrived):
        if at > free_at:
            yield range(first, number)
            first = number
        free_at = max(free_at, at) + 1 / RATE
    yield range(first, len(arrived))


def rate_of(simulation: Simulation, arrived: Sequence[float]) -> float:
    """Jobs per second while there was a queue; short ones say little."""
    sent_at = {number: at for at, number in simulation.sent}
    long = [jobs for jobs in queues(arrived) if len(jobs) >= 100]
    seconds = sum(sent_at[jobs[-1]] - sent_at[jobs[0]] for jobs in long)
    return sum(len(jobs) - 1 for jobs in long) / seconds


def numbers(simulation: Simulation) -> list[int]:
    return sorted(number for _, number in simulation.sent)


def order(simulation: Simulation) -> float:
    return rank_correlation([number for _, number in simulation.sent])


def refused(simulation: Simulation) -> float:
    """Of all POSTs."""
    return simulation.refused / (simulation.refused + len(simulation.sent))


def test_a_hundred_thousand_jobs_are_sent_in_order_at_the_rate_and_hardly_one_is_refused() -> None:
    arrived = arrivals(100_000, seed=1)
    simulation = Simulation(seed=1)
    simulation.run(arrived)

    assert numbers(simulation) == [*range(100_000)]
    assert refused(simulation) <= 0.001
    assert order(simulation) >= 0.999
    assert 0.98 * RATE <= rate_of(simulation, arrived) <= RATE


def test_a_provider_that_is_slower_than_the_stack_gets_everything_in_order() -> None:
    arrived = arrivals(10_000, seed=2)
    simulation = Simulation(seed=2, provider_rate=3.0)
    simulation.run(arrived)

    assert numbers(simulation) == [*range(10_000)]
    assert 0.0 < refused(simulation) <= 0.15
    assert order(simulation) >= 0.998
    assert 0.85 * 3.0 <= rate_of(simulation, arrived) <= 3.0


def test_a_pause_of_an_hour_keeps_everything_back_and_ends_without_a_crowd() -> None:
    paused_at, resumed_at = BEGAN + 600, BEGAN + 4200
    simulation = Simulation(seed=3)
    simulation.at(paused_at, simulation.pause, True)
    simulation.at(resumed_at, simulation.pause, False)
    simulation.run(arrivals(10_000, seed=3))

    assert numbers(simulation) == [*range(10_000)]
    assert order(simulation) >= 0.999
    assert simulation.refused == 0
    times = [at for at, _ in simulation.sent]
    before = [at for at in times if at < resumed_at]
    assert len(before) > 100
    assert before[-1] <= paused_at + ON_THEIR_WAY
    after = times[len(before) :]
    assert after[0] <= resumed_at + LONGEST_LOOK + ON_THEIR_WAY
    assert most_within(after, 10) <= 10 * RATE + 10
    assert most_within(after, 60) <= 60 * RATE + 10


class Outage(Simulation):
    """For ten minutes the API cannot be reached, or with ``is_ours`` the submit function fails before its turn."""

    def __init__(self, seed: int, *, is_ours: bool) -> None:
        super().__init__(seed)
        self._is_ours = is_ours
        self._tries: Counter[str] = Counter()

    @property
    def _is_on(self) -> bool:
        return BEGAN + 60 <= self.now < BEGAN + 660

    def _invoke(self, job: Job) -> None:
        if self._is_ours and self._is_on and job.departure is not None:
            self._tries[job.job_id] += 1
            longest = min(300, 2 ** self._tries[job.job_id])  # as the workflow's Retry
            self.at(self.now + self._chance.uniform(0, longest), self._invoke, job)
            return
        super()._invoke(job)

    def _post(self, job: Job) -> None:
        if self._is_ours or not self._is_on:
            super()._post(job)
        else:
            self._hold(job, SUBMIT_SETTINGS.refused_wait_seconds, ProviderUnreachable)


@pytest.mark.parametrize("is_ours", [False, True])
def test_after_an_outage_nobody_leaves_in_a_crowd_and_no_time_is_lost(is_ours: bool) -> None:
    simulation = Outage(seed=4, is_ours=is_ours)
    simulation.run([0.02 * number for number in range(3000)])

    assert numbers(simulation) == [*range(3000)]
    times = [at for at, _ in simulation.sent]
    assert most_within(times, 1) <= 3 * RATE
    assert most_within(times, 10) <= 10 * RATE + 10
    assert refused(simulation) <= 0.05
    assert times[-1] - BEGAN <= 1.1 * (600 + 3000 / RATE)


class BusyModel(Simulation):
    """Every fourth job asks for a model that has no channel; in an hour all of them want to be sent."""

    def _post(self, job: Job) -> None:
        if int(job.job_id) % 4 == 0 and self.now < BEGAN + 3600:
            self._hold(job, SUBMIT_SETTINGS.refused_wait_seconds, ProviderBusy)
        else:
            super()._post(job)


def test_jobs_of_a_model_that_is_busy_do_not_keep_the_others_back() -> None:
    simulation = BusyModel(seed=5)
    simulation.run([0.02 * number for number in range(4000)])

    assert numbers(simulation) == [*range(4000)]
    healthy = [at - BEGAN for at, number in simulation.sent if number % 4]
    assert max(healthy) <= 1.05 * 4000 / RATE
