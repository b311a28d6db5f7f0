"""The poll plan: the cheapest looks there are, for any shape, and always within their bounds."""

from __future__ import annotations

import math
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.durations import BUCKETS, PRIOR, Shape, edge
from bucketbrush.domain.polling import LONGEST, MOST_LOOKS, SHORTEST, poll_plan
from tests.properties import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LAST_DEADLINE = 82_800  # the largest that the stack takes
DEADLINES, PRICES = st.integers(1, LAST_DEADLINE), st.floats(0.001, 1000)
WEIGHTS = st.one_of(st.floats(0, 1), st.floats(0, 1e-9), st.just(1e6))


def shape_of(weights: dict[int, float]) -> Shape:
    """The shape with these parts of its whole."""
    total = sum(weights.values())
    return tuple(weights.get(bucket, 0.0) / total for bucket in range(BUCKETS))


def lognormal(median: float, sigma: float) -> Shape:
    below = [0.0, *(_normal(math.log(edge(bucket) / median) / sigma) for bucket in range(BUCKETS - 1)), 1.0]
    return tuple(high - low for low, high in pairwise(below))


def _normal(deviation: float) -> float:
    return 0.5 * math.erfc(-deviation / math.sqrt(2))


# Spikes, hills, flat ones, and all of it in one bucket, the first and the last among them.
SHAPES = st.one_of(
    st.dictionaries(st.integers(0, BUCKETS - 1), WEIGHTS, min_size=1).filter(lambda it: sum(it.values()) > 0),
    st.integers(0, BUCKETS - 1).map(lambda bucket: {bucket: 1.0}),
    st.sampled_from([{0: 1.0}, {BUCKETS - 1: 1.0}, {0: 1.0, BUCKETS - 1: 1.0}, dict.fromkeys(range(BUCKETS), 1.0)]),
).map(shape_of) | st.builds(lognormal, st.floats(1, 50_000), st.floats(0.05, 3))


def evenly(shape: Shape) -> Callable[[float, float], tuple[float, float]]:
    """The probability of T between two times, and the mean of T times it, when T lies evenly within a bucket."""

    def between(low: float, high: float) -> tuple[float, float]:
        probability = mean = start = 0.0
        for bucket, part in enumerate(shape):
            end = edge(bucket)
            first, last = max(low, start), min(high, end)
            if first < last:
                inside = part * (last - first) / (end - start)
                probability, mean = probability + inside, mean + inside * (first + last) / 2
            start = end
        return probability, mean

    return between


def expected(shape: Shape, waits: Sequence[int]) -> tuple[float, float]:
    """The polls and the lateness of a plan, as far as it goes."""
    between, polls, late = evenly(shape), 0.0, 0.0
    for at, look in pairwise([0, *accumulate(waits)]):
        probability, mean = between(at, look)
        polls += 1 - between(0, at)[0]
        late += look * probability - mean
    return polls, late


def cost(shape: Shape, waits: Sequence[int], price: float) -> float:
    polls, late = expected(shape, waits)
    return polls + price * late


def plans(seconds: int) -> Iterator[tuple[int, ...]]:
    """Every plan whose last look is after so many."""
    for wait in range(SHORTEST, seconds - SHORTEST + 1):
        yield from ((wait, *rest) for rest in plans(seconds - wait))
    yield (seconds,)


# ---- The cheapest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [0.01, 0.1, 0.3, 1, 10])
@pytest.mark.parametrize(
    "shape",
    [PRIOR, lognormal(8, 0.3), shape_of({16: 1, 28: 2}), shape_of({0: 1, 32: 1}), shape_of({80: 1})],
    ids=["prior", "hill", "two peaks", "ends", "never"],
)
def test_of_all_plans_it_is_the_cheapest(shape: Shape, price: float) -> None:
    deadline = 14
    plan = poll_plan(shape, price, deadline)
    every = [*plans(sum(plan))]
    assert plan in every
    assert cost(shape, plan, price) == pytest.approx(min(cost(shape, waits, price) for waits in every))


def test_a_task_that_takes_what_it_always_takes_is_looked_at_just_behind_it() -> None:
    for bucket in (20, 30, 42):  # 6, 13 and 38 s
        assert poll_plan(shape_of({bucket: 1.0}), 0.2, 3600) == (math.ceil(edge(bucket)),)


def test_between_two_peaks_nobody_looks() -> None:
    early, late = 34, 58  # 19 and 152 s
    plan = poll_plan(shape_of({early: 1.0, late: 1.0}), 0.2, 3600)
    looks = [*accumulate(plan)]
    assert not [look for look in looks if edge(early) + 1 < look <= edge(late - 1)]
    assert looks[0] == math.ceil(edge(early))
    assert edge(late) <= looks[-1] < edge(late) + 10


@pytest.mark.parametrize(("median", "sigma"), [(15, 0.25), (15, 0.8), (40, 0.5), (120, 0.25)])
@pytest.mark.parametrize("price", [0.05, 0.2, 1])
def test_for_a_lognormal_it_costs_what_the_best_plan_of_whole_seconds_costs(
    median: float, sigma: float, price: float
) -> None:
    """The true distribution, and not the shape's buckets, decides what both cost."""
    horizon = math.ceil(median * math.exp(4.5 * sigma))

    def done(at: int) -> float:
        return _normal(math.log(at / median) / sigma) if at else 0.0

    def mean(at: int) -> float:
        """Of T, of the tasks that are done, times their part."""
        return median * math.exp(sigma**2 / 2) * _normal(math.log(at / median) / sigma - sigma) if at else 0.0

    # By second: what is done, and the seconds that have passed since it was.
    parts = [done(at) for at in range(horizon + LONGEST + 1)]
    waited = [at * part - mean(at) for at, part in enumerate(parts)]

    def late(at: int, look: int) -> float:
        return waited[look] - waited[at] - (look - at) * parts[at]

    cheapest = [0.0] * (horizon + LONGEST + 1)
    for at in range(horizon, -1, -1):
        looks = range(at + SHORTEST, min(at + LONGEST, horizon + SHORTEST) + 1)
        cheapest[at] = 1 - parts[at] + min(price * late(at, look) + cheapest[look] for look in looks)
    found, at = 0.0, 0
    for wait in walked(poll_plan(lognormal(median, sigma), price, 3600), horizon):
        look = min(at + wait, len(parts) - 1)
        found += 1 - parts[at] + price * late(at, look)
        at = look
    assert cheapest[0] * (1 - 1e-9) <= found <= 1.01 * cheapest[0]


def walked(plan: Sequence[int], horizon: int) -> Iterator[int]:
    """The waits until the horizon: behind the plan each is half as long again, up to 900 seconds."""
    yield from plan
    at = sum(plan)
    for step in count(1):
        if at >= horizon:
            return
        wait = min(900, int(plan[-1] * 1.5**step))
        at += wait
        yield wait


@pytest.mark.parametrize("shape", [PRIOR, lognormal(40, 0.5), shape_of({34: 1, 60: 1, 61: 1})])
def test_the_dearer_lateness_the_more_polls_and_the_less_lateness(shape: Shape) -> None:
    found = [expected(shape, poll_plan(shape, price, 600)) for price in (0.001, 0.01, 0.05, 0.1, 0.2, 0.4)]
    for (polls, late), (more_polls, less_late) in pairwise(found):
        assert more_polls >= polls - 1e-9
        assert less_late <= late + 1e-9
    assert found[-1][0] > 1.5 * found[0][0]
    assert found[-1][1] < 0.5 * found[0][1]


# ---- The bounds --------------------------------------------------------------------------------------------------


@PROPERTIES
@given(SHAPES, PRICES, DEADLINES)
def test_any_plan_is_within_its_bounds(shape: Shape, price: float, deadline: int) -> None:
    plan = poll_plan(shape, price, deadline)
    assert 1 <= len(plan) <= MOST_LOOKS
    assert all(type(wait) is int and SHORTEST <= wait <= LONGEST for wait in plan)
    assert sum(plan) <= max(deadline, SHORTEST)
    # It ends at the deadline, where nearly every task is done, or where there are too many looks.
    done = sum(part for bucket, part in enumerate(shape) if edge(bucket) <= sum(plan))
    assert sum(plan) == max(deadline, SHORTEST) or done >= 0.999 - 1e-9 or len(plan) == MOST_LOOKS


@pytest.mark.parametrize("deadline", [2, 3, 4, 5, 61, 299, 300, 301, 302, 599, 3600])
@pytest.mark.parametrize("price", [0.01, 0.2])
def test_at_the_deadline_is_the_last_look(deadline: int, price: float) -> None:
    plan = poll_plan(shape_of({BUCKETS - 1: 1.0}), price, deadline)
    assert sum(plan) == deadline
    assert all(SHORTEST <= wait <= LONGEST for wait in plan)


def test_a_deadline_before_the_first_look_is_one_look() -> None:
    assert poll_plan(PRIOR, 0.2, 1) == (SHORTEST,)


def test_no_plan_goes_on_when_nearly_every_task_is_done() -> None:
    plan = poll_plan(lognormal(40, 0.25), 0.2, LAST_DEADLINE)
    assert 40 * math.exp(3.09 * 0.25) <= sum(plan) < 120  # of such a lognormal one task in a thousand takes longer


def test_a_plan_holds_a_hundred_looks_at_most() -> None:
    dear = poll_plan(PRIOR, 1000, 3600)
    assert (len(dear), dear[:30]) == (MOST_LOOKS, (SHORTEST,) * 30)
    never = poll_plan(shape_of({BUCKETS - 1: 1.0}), 0.2, LAST_DEADLINE)
    assert len(never) == MOST_LOOKS
    assert sum(never) > 0.9 * MOST_LOOKS * LONGEST
