"""When to look at a task: the poll plan.

Looking too often costs money, looking too rarely costs the user's time, and how long tasks take is known as well as it
can be (``domain.durations``). With a task that is done at the time T and looks at the times t1 < t2 < ..., each look
that is made costs 1, and each second between T and the first look behind it costs ``price``. The cheapest looks are an
old problem of reliability (Barlow, Hunter and Proschan, "Optimum checking procedures", SIAM Journal 11, 1963), and come
from a recursion over what is still to be paid after a look at t that found the task not done (Bellman's):

    J(t) = min over u of  P(T > t) + price * u * P(t < T <= u) + J(u),   SHORTEST <= u - t <= LONGEST

That counts lateness from the task's beginning, not from T, which adds the same to all plans. J is 0 where nearly every
task is done, or the deadline is. The recursion goes backwards over whole seconds, fewer of them the later they are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bucketbrush.domain.durations import BUCKETS, Shape, edge

SHORTEST, LONGEST = 2, 300  # seconds between two looks, as long as there is a plan
MOST_LOOKS = 100
_REST = 0.001  # of the tasks: for these the plan need not be good
_FINENESS = 33  # seconds that can be told apart: one of so many
_COARSEST = 30


class _Time(NamedTuple):
    """One at which one may look, and the probability that the task is done by then."""

    at: int
    done: float


def poll_plan(shape: Shape, price: float, deadline: int) -> tuple[int, ...]:
    """The waits before each look, in whole seconds: the cheapest ones for tasks of this shape.

    ``price`` is what a second's lateness costs, in looks; ``deadline`` is in seconds from the task's beginning, and has
    the last look.
    """
    looks = [*_looks(shape, deadline)]
    following = _cheapest(looks, price)
    waits: list[int] = []
    now = 0
    while now < len(looks) - 1 and len(waits) < MOST_LOOKS:
        waits.append(looks[following[now]].at - looks[now].at)
        now = following[now]
    return tuple(waits)


def _cheapest(looks: Sequence[_Time], price: float) -> list[int]:
    """For each look the one that comes after it; the recursion above."""
    to_pay, following = [0.0] * len(looks), [0] * len(looks)
    for number in range(len(looks) - 2, -1, -1):
        at, done = looks[number]
        least = math.inf
        for after in range(number + 1, len(looks)):
            look = looks[after]
            if look.at - at > LONGEST:
                break
            cost = price * look.at * (look.done - done) + to_pay[after]
            if look.at - at >= SHORTEST and cost < least:
                least, following[number] = cost, after
        to_pay[number] = 1 - done + least
    return following


def _looks(shape: Shape, deadline: int) -> Iterator[_Time]:
    """The task's beginning, the times at which one may look, and the last of them. Within a bucket tasks are done
    evenly.
    """
    bucket, low, high, done = 0, 0.0, edge(0), 0.0
    for at in _times(_end(shape, deadline)):
        while high < at and bucket < BUCKETS - 1:
            done += shape[bucket]
            bucket += 1
            low, high = high, edge(bucket)
        yield _Time(at, done + shape[bucket] * min(1.0, (at - low) / (high - low)))


def _times(end: int) -> Iterator[int]:
    yield 0
    at = SHORTEST
    while at <= end - SHORTEST:
        yield at
        at += max(1, min(at // _FINENESS, _COARSEST))
    yield end


def _end(shape: Shape, deadline: int) -> int:
    """When nearly every task is done, or the deadline if that is sooner."""
    rest, bucket = 1.0, 0
    while rest > _REST and bucket < BUCKETS:
        rest -= shape[bucket]
        bucket += 1
    return max(SHORTEST, min(deadline, math.ceil(edge(bucket - 1))))
